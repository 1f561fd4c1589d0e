"""Bags from real RGB-D frames: depth made smaller by NaN-aware block mean, the original depth as ground truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.depth import to_metres
from depth_sr_ros.replay.writing import BagWriter
from depth_sr_ros.resize import block_mean

SETS = ("realsense_aligned", "realsense_planes")
UNREGISTERED = "kinect_7scenes"
KINECT_EXTRINSICS = (-0.025, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""Kinect v1, depth to RGB, by its known build: the depth camera sits 25 mm left of the RGB camera, both look ahead."""

START_NS = 1_600_000_000_000_000_000


def make_bag(
    source: Path, path: Path, scale: int, frames: int = 20, rate_hz: float = 5.0, storage: str = "mcap"
) -> Path:
    """Write a bag that repeats a data set's frames with new stamps until there are `frames`.

    Depth is cropped to a multiple of `scale` at the bottom and right, registered RGB with it; RGB keeps its full size.
    Unregistered RGB has a frame_id and a camera of its own.
    """
    pairs = _pairs(source)
    rgb_frame = "rgb_optical_frame" if source.name == UNREGISTERED else None
    with BagWriter(path, storage=storage, rgb_frame_id=rgb_frame) as bag:
        for index in range(frames):
            depth_file, colour_file = pairs[index % len(pairs)]
            truth = to_metres(cv2.imread(str(depth_file), cv2.IMREAD_UNCHANGED))
            rgb = cv2.cvtColor(cv2.imread(str(colour_file)), cv2.COLOR_BGR2RGB)
            height, width = (n - n % scale for n in truth.shape)
            truth, camera = truth[:height, :width], _camera(source, width, height)
            rgb_camera = camera
            if source.name == UNREGISTERED:
                rgb_camera = Intrinsics(525.0, 525.0, 320.0, 240.0, rgb.shape[1], rgb.shape[0])
            else:
                rgb = np.ascontiguousarray(rgb[:height, :width])
            stamp = START_NS + round(index * 1e9 / rate_hz)
            bag.write_frame(stamp, block_mean(truth, scale), camera.scaled(1 / scale), rgb, rgb_camera, truth)
    return path


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    if folder.name == UNREGISTERED:
        depths = sorted(folder.glob("*.depth.png"))
        return [(depth, depth.with_name(depth.name.replace("depth.png", "color.jpg"))) for depth in depths]
    depths = sorted((folder / "depth").iterdir())
    colours = {file.stem: file for file in (folder / "color").iterdir()}
    return [(depth, colours.get(depth.stem) or sorted(colours.values())[i]) for i, depth in enumerate(depths)]


def _camera(folder: Path, width: int, height: int) -> Intrinsics:
    if folder.name == UNREGISTERED:
        return Intrinsics(585.0, 585.0, 320.0, 240.0, width, height)
    file = folder / "cam_params_realsense.json"
    if file.exists():
        k = json.loads(file.read_text())["intrinsic_matrix"]  # column by column
        return Intrinsics(k[0], k[4], k[6], k[7], width, height)
    focal = 0.72 * width  # a D435's colour camera has about 69 degrees across; only the ratio of scales matters here
    return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
