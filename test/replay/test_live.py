"""A recording through the real node over real DDS, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.writing import BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

SCALE = 4
CAMERA = default_camera(160, 120)
FRAMES = 8


@pytest.fixture(autouse=True)
def own_domain(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture(scope="module")
def bag_path(tmp_path_factory) -> Path:
    path, scene = tmp_path_factory.mktemp("live") / "bag", random_scene(11)
    frame = scene.render(CAMERA)
    depth_lr = DepthCamera(SCALE).observe_frame(frame, 1)
    with BagWriter(path) as bag:
        for index in range(FRAMES):
            stamp = 10**18 + index * 200_000_000
            bag.write_frame(stamp, depth_lr, CAMERA.scaled(1 / SCALE), frame.rgb, CAMERA, frame.depth)
    return path


@pytest.mark.parametrize("method", ["dada_rgb", "bicubic"])
def test_replay_through_the_node(tmp_path, bag_path, method):
    metrics = replay(bag_path, tmp_path, Replay(method=method, scale=SCALE, live=True))
    offline = replay(bag_path, tmp_path / "offline", Replay(method=method, scale=SCALE))
    assert metrics["frames_in"] == FRAMES
    assert metrics["frames_out"] >= FRAMES - 1
    assert metrics["infos_out"] >= metrics["frames_out"]
    assert metrics["duplicates"] == metrics["strangers"] == 0
    assert metrics["method"] == method and metrics["weights"] == offline["weights"]
    assert metrics["node_exit_code"] == 0
    assert 0 < metrics["latency_ms_p50"] < 5000
    # The node sends millimetres: the same result as the upsampler's, rounded.
    assert metrics["mae_m"] == pytest.approx(offline["mae_m"], abs=6e-4)
    assert metrics["mae_bicubic_m"] == pytest.approx(offline["mae_bicubic_m"], rel=5e-3)
    assert np.isclose(metrics["coverage"], offline["coverage"], atol=1e-3)
    assert (tmp_path / "panel.png").exists()


def test_sigterm_ends_the_node_too(tmp_path, bag_path):
    command = [sys.executable, "-m", "depth_sr_ros.cli", "replay", str(bag_path), "--live", "--rate", "0.1"]
    ours = subprocess.Popen([*command, "--method", "bicubic", "-o", str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{ours.pid}/task/{ours.pid}/children")
        deadline = time.monotonic() + 60
        while not (node := children.read_text().split()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert node, "the replay started no node"
        time.sleep(0.5)  # the child is seen before Popen has returned
        ours.send_signal(signal.SIGTERM)
        assert ours.wait(60) == 128 + signal.SIGTERM
        assert not Path("/proc", node[0]).exists()
    finally:
        ours.kill()
        ours.wait()


def test_no_node_is_said_plainly(tmp_path, bag_path):
    from depth_sr_ros.replay.playing import PlayError

    with pytest.raises(PlayError, match=r"nobody subscribes to /nobody/depth/image_raw.*ROS_DOMAIN_ID"):
        replay(bag_path, tmp_path, Replay(scale=SCALE, live=True, external=True, namespace="nobody", startup_s=1.0))


def test_node_that_dies_is_quoted(tmp_path, bag_path):
    from depth_sr_ros.replay.node_process import NodeProcess

    node = NodeProcess({"scale": "not_a_number"}, tmp_path / "node.log")
    deadline = time.monotonic() + 60
    while (code := node.exit_code()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert code != 0 and "scale" in node.last_words(40)
    assert node.stop() == code


def test_diagnostics_are_those_of_the_node_that_is_played_to():
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    from depth_sr_ros.replay.playing import Player

    player = Player(None, "ours")
    for name in ("/theirs/depth_sr", "/depth_sr", "/ours/depth_sr", "/ours/depth_sr_too"):
        values = [KeyValue(key="frames_in", value=name)]
        status = DiagnosticStatus(name=f"{name}: super-resolution", values=values)
        player._on_diagnostics(DiagnosticArray(status=[status]))
    assert player.recording.diagnostics == {"frames_in": "/ours/depth_sr"}
    assert player.recording.diagnostics_count == 1
