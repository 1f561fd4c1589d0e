"""Small frames for tests of the pipeline: a scene, and the images and calibrations that a camera would send of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from depth_sr_ros.inference.calibration import Calibration
from depth_sr_ros.inference.frames import ColourImage, DepthImage, FramePair


def scene(width: int = 64, height: int = 48, scale: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A box before a slanted wall: depth (height, width) float32 metres and RGB at `scale` times that size."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: height * scale, : width * scale] / (width * scale)
    box = (abs(x - 0.45) < 0.17) & (abs(y - 0.35) < 0.14)
    fine = np.where(box, 0.9, 2.0 + 0.8 * x).astype(np.float32)
    depth = fine.reshape(height, scale, width, scale).mean((1, 3)).astype(np.float32)
    rgb = np.where(box[..., None], [210, 60, 40], [60, 90, 160]) + rng.integers(-4, 5, (*box.shape, 3))
    return depth, rgb.astype(np.uint8)


def colour_image(pixels: np.ndarray, stamp: float = 0.0, frame_id: str = "camera") -> ColourImage:
    height, width = pixels.shape[:2]
    return ColourImage(round(stamp * 1e9), frame_id, width, height, "rgb8", lambda: pixels)


def calibration(width: int, height: int, field: float = 1.0, frame_id: str = "camera", **changes) -> Calibration:
    """A camera whose view depends on its aspect only, so that images of one scene at two sizes fit each other."""
    focal, cx, cy = field * width, width / 2 - 0.5, height / 2 - 0.5
    k = (focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0)
    return dataclasses.replace(Calibration(0, frame_id, width, height, k), **changes)


def frame_pair(
    depth: np.ndarray,
    rgb: np.ndarray | None,
    stamp: float = 1.0,
    depth_frame: str = "camera",
    rgb_frame: str = "camera",
    field: float = 1.0,
    depth_lens: tuple[float, ...] = (),
    rgb_lens: tuple[float, ...] = (),
) -> FramePair:
    """`depth`, metres, and `rgb` as a calibrated pair; `field` narrows RGB's view, the lenses are D."""
    height, width = depth.shape
    image = DepthImage(round(stamp * 1e9), depth_frame, depth)
    info = calibration(width, height, frame_id=depth_frame, d=depth_lens)
    if rgb is None:
        return FramePair(image, 0.0, info)
    rgb_info = calibration(rgb.shape[1], rgb.shape[0], field, rgb_frame, d=rgb_lens)
    return FramePair(image, 0.0, info, colour_image(rgb, stamp, rgb_frame), rgb_info)
