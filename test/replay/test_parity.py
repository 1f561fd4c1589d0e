"""The same recording through the node over DDS and offline: the same frames, the same score."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from depth_sr_ros.inference.counts import FrameCounts
from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.scoring import ReplayedFrame, Scorer
from depth_sr_ros.replay.writing import DEFAULT_TOPICS, BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

SCALE, FRAMES, WITHOUT_RGB = 4, 6, 3
PERIOD_NS = 200_000_000
CAMERA = default_camera(160, 120)


class EarlyRgb(BagWriter):
    """RGB is recorded 40 ms before the depth image of its stamp, so that over DDS it is there first, too."""

    def _write(self, topic: str, kind: str, stamp_ns: int, message) -> None:
        early = topic in (DEFAULT_TOPICS.rgb, DEFAULT_TOPICS.rgb_info)
        super()._write(topic, kind, stamp_ns - 40_000_000 * early, message)


def write(path: Path, encoding: str) -> Path:
    """A moving camera; one frame has no RGB."""
    scene, sensor = random_scene(11), DepthCamera(SCALE)
    with EarlyRgb(path, depth_encoding=encoding) as bag:
        for index in range(FRAMES):
            frame = scene.render(CAMERA, index / 15)
            rgb = (None, None) if index == WITHOUT_RGB else (frame.rgb, CAMERA)
            stamp = 10**18 + index * PERIOD_NS
            bag.write_frame(stamp, sensor.observe_frame(frame, 1), CAMERA.scaled(1 / SCALE), *rgb, frame.depth)
    return path


@pytest.fixture
def scored(monkeypatch) -> list[ReplayedFrame]:
    """The frames that were scored since the list was cleared."""
    frames: list[ReplayedFrame] = []
    add = Scorer.add

    def recorded(self: Scorer, frame: ReplayedFrame):
        frames.append(frame)
        return add(self, frame)

    monkeypatch.setattr(Scorer, "add", recorded)
    return frames


@pytest.mark.parametrize(
    ("method", "encoding", "guided", "single"),
    [("bicubic", "32FC1", 0, 6), ("dada_rgb", "32FC1", 5, 0), ("auto", "16UC1", 5, 1)],
)
def test_live_and_offline_give_the_same(tmp_path, scored, monkeypatch, method, encoding, guided, single):
    bag_path = write(tmp_path / "bag", encoding)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    offline = replay(bag_path, tmp_path / "offline", Replay(method, SCALE))
    expected = list(scored)
    assert (offline["frames_guided"], offline["frames_single"]) == (guided, single)
    for _ in range(3):  # best-effort DDS may lose a frame on a busy machine; what is compared are whole replays
        scored.clear()
        live = replay(bag_path, tmp_path / "live", Replay(method, SCALE, live=True, rate=0.5))
        if live["frames_out"] == offline["frames_out"] and not live["frames_dropped"]:
            break
    assert {name: live[name] for name in FrameCounts().rows()} == {name: offline[name] for name in FrameCounts().rows()}
    live_frames = sorted(scored, key=lambda frame: frame.stamp_ns)
    assert [frame.stamp_ns for frame in live_frames] == [frame.stamp_ns for frame in expected]
    for one, other in zip(live_frames, expected, strict=True):
        np.testing.assert_allclose(one.depth, other.depth, rtol=0, atol=1e-6)
    for name in ("mae_m", "rmse_m", "mae_bicubic_m", "coverage", "lr_consistency_m"):
        assert live[name] == pytest.approx(offline[name], abs=1e-6), name
    assert (live["method"], live["mode"], live["weights"]) == (offline["method"], offline["mode"], offline["weights"])
