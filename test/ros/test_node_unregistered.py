"""Kinect frames whose RGB is not registered, sent live: refused without extrinsics, used with them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "replay"))

from real_bags import KINECT_EXTRINSICS, UNREGISTERED
from ros_harness import camera_info, depth_array

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.depth import to_metres
from depth_sr_ros.resize import block_mean

pytestmark = pytest.mark.ros
SCALE = 4


def kinect(folder: Path, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth (480, 640) float32 metres and RGB (480, 640, 3)."""
    depth, colour = (
        cv2.imread(str(folder / f"frame-{index:06d}.{kind}"), cv2.IMREAD_UNCHANGED)
        for kind in ("depth.png", "color.jpg")
    )
    return to_metres(depth), cv2.cvtColor(colour, cv2.COLOR_BGR2RGB)


def info(focal: float, scale: int):
    """A Kinect camera of this focal length at 640x480, whose image was made smaller by `scale`."""
    message = camera_info(640 // scale, 480 // scale)
    message.k[0] = message.k[4] = focal / scale
    message.k[2], message.k[5] = (320.5 / scale - 0.5, 240.5 / scale - 0.5)
    return message


def send(peer, folder: Path, index: int) -> int:
    depth, rgb = kinect(folder, index)
    rgb = cv2.resize(rgb, (320, 240), interpolation=cv2.INTER_AREA)  # this process has Fast DDS's default transport
    frames = {"frame": "depth_optical", "rgb_frame": "rgb_optical"}
    return peer.send(block_mean(depth, SCALE), info=info(585.0, SCALE), rgb=rgb, rgb_info=info(525.0, 2), **frames)


def plain(folder: Path, index: int) -> np.ndarray:
    return DepthUpsampler("bicubic", SCALE, device="cpu").upsample(block_mean(kinect(folder, index)[0], SCALE))


def test_guided_refuses_single_goes_on_and_extrinsics_make_it_run(peer, data_set):
    frames = data_set(UNREGISTERED)
    bicubic_error, guided_error = [], []
    try:
        for index in (0, 1):  # auto: from depth alone, and why
            result = depth_array(peer.receive(send(peer, frames, index)))
            np.testing.assert_allclose(result, plain(frames, index), atol=1e-3)
        level, text, values = peer.next_status()
        assert level == b"\x01" and "'depth_optical'" in text and "'rgb_optical'" in text and "set extrinsics" in text
        assert values["solver_iterations_p50"] == "n/a" or float(values["guided_percent"]) < 100

        assert peer.set_parameters(mode="guided")[0].successful
        peer.wait_connected()
        stamp = send(peer, frames, 2)
        level, text, _ = peer.next_status(count=2)
        assert stamp not in peer.images and level == b"\x02"
        assert "mode guided publishes nothing" in text and "set extrinsics" in text

        assert peer.set_parameters(extrinsics=list(KINECT_EXTRINSICS))[0].successful
        for index in (3, 4, 5):
            truth = kinect(frames, index)[0]
            result = depth_array(peer.receive(send(peer, frames, index)))
            shared = np.isfinite(result) & np.isfinite(truth)
            assert shared.sum() > 0.98 * np.isfinite(truth).sum()
            guided_error.append(np.abs(result - truth)[shared].mean())
            bicubic_error.append(np.abs(plain(frames, index) - truth)[shared].mean())
        assert np.mean(guided_error) < 0.8 * np.mean(bicubic_error), (guided_error, bicubic_error)
        for _ in range(6):
            _, text, values = peer.next_status()
            if float(values["guided_percent"]) == 100:  # the single frames have left the window
                break
        assert "extrinsics" not in text and float(values["guided_percent"]) == 100
        assert float(values["solver_residual_max"]) <= 1e-3 and float(values["solver_warm_percent"]) > 0
    finally:
        peer.set_parameters(extrinsics=[], mode="auto")
        peer.wait_connected()
