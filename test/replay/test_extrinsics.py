"""RGB of a camera beside the depth camera, brought into its view by the extrinsics that a replay is given."""

from __future__ import annotations

import dataclasses
import math
import os

import numpy as np
import pytest

from depth_sr_ros.replay.evaluate import Replay, replay
from depth_sr_ros.replay.reading import BagError
from depth_sr_ros.replay.writing import BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene
from depth_sr_ros.synthetic.scene import Motion

SCALE = 4
CAMERA = default_camera(160, 120)
BASELINE = 0.08
EXTRINSICS = (-BASELINE, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
BEHIND = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
"""An RGB camera that looks the other way."""


@pytest.fixture(scope="module")
def frames():
    """(LR depth, its truth, RGB) of a depth camera and of an RGB camera `BASELINE` metres to its right."""
    still = dataclasses.replace(random_scene(3), sway=Motion(), turn=(0.0, 0.0, 0.0))
    beside = dataclasses.replace(still, sway=Motion((BASELINE, 0.0, 0.0), phase=math.pi / 2))
    ours = still.render(CAMERA)
    return DepthCamera(SCALE).observe_frame(ours), ours.depth, beside.render(CAMERA).rgb


def write(path, frames, blank: int = 0):
    """A bag of three frames, or with `blank` of them without depth, in two frame_ids."""
    depth_lr, truth, rgb = frames
    with BagWriter(path, frame_id="depth", rgb_frame_id="rgb", depth_encoding="32FC1") as bag:
        for index in range(3):
            depth = np.full_like(depth_lr, np.nan) if index < blank else depth_lr
            bag.write_frame((index + 1) * 2 * 10**8, depth, CAMERA.scaled(1 / SCALE), rgb, CAMERA, truth)
    return path


@pytest.fixture(scope="module")
def bag_path(tmp_path_factory, frames):
    return write(tmp_path_factory.mktemp("beside") / "bag", frames)


def test_offline_they_make_rgb_guide(tmp_path, bag_path):
    metrics = {
        name: replay(bag_path, tmp_path, Replay("dada_rgb", SCALE, **options))
        for name, options in {
            "given": {"extrinsics": EXTRINSICS},
            "registered": {"assume_registered": True},
            "turned round": {"extrinsics": (BASELINE, *EXTRINSICS[1:])},
        }.items()
    }
    assert metrics["given"]["frames_out"] == 3 and metrics["given"]["notes"] == []
    assert metrics["given"]["mae_m"] < 0.9 * metrics["given"]["mae_bicubic_m"]
    for wrong in ("registered", "turned round"):
        assert metrics["given"]["mae_m"] < 0.9 * metrics[wrong]["mae_m"], wrong
    assert replay(bag_path, tmp_path, Replay("auto", SCALE, extrinsics=EXTRINSICS))["method"] in ("dada", "dada_rgb")


def test_offline_without_them_the_message_names_the_option(tmp_path, bag_path):
    with pytest.raises(BagError, match="--extrinsics"):
        replay(bag_path, tmp_path, Replay("dada_rgb", SCALE))


def test_offline_a_view_that_rgb_does_not_see_is_told(tmp_path, bag_path):
    with pytest.raises(BagError, match=r"0 % of the depth view.*check direction"):
        replay(bag_path, tmp_path, Replay("dada_rgb", SCALE, extrinsics=BEHIND))
    metrics = replay(bag_path, tmp_path, Replay("auto", SCALE, extrinsics=BEHIND))
    assert metrics["method"] in ("dsrnet", "bicubic") and "check direction" in metrics["notes"][0]


def test_offline_frames_whose_rgb_cannot_be_projected_are_left_out_and_counted(tmp_path, frames):
    path = write(tmp_path / "bag", frames, blank=2)
    metrics = replay(path, tmp_path / "out", Replay("dada_rgb", SCALE, extrinsics=EXTRINSICS))
    assert (metrics["frames_in"], metrics["frames_out"], metrics["frames_lost"]) == (3, 1, 2)
    assert (metrics["frames_guided"], metrics["frames_unguided"]) == (1, 2)
    (note,) = metrics["notes"]
    assert "2 of 3 frames" in note and "no valid pixel" in note
    metrics = replay(path, tmp_path / "auto", Replay("auto", SCALE, extrinsics=EXTRINSICS))
    assert (metrics["frames_out"], metrics["frames_guided"], metrics["frames_single"]) == (3, 1, 2)


def test_offline_the_lr_kernel_reaches_methods_that_use_it(tmp_path, bag_path):
    common = {"method": "dada_rgb", "scale": SCALE, "extrinsics": EXTRINSICS, "sigma": 0.0}
    own, block, bicubic = (
        replay(bag_path, tmp_path, Replay(**common, lr_kernel=kernel)) for kernel in (None, "block_mean", "bicubic")
    )
    assert own["mae_m"] == block["mae_m"] != bicubic["mae_m"]
    assert own["lr_consistency_m"] < 1e-5 < bicubic["lr_consistency_m"]
    single = replay(bag_path, tmp_path, Replay("auto", SCALE, lr_kernel="bicubic"))
    assert any("lr_kernel is not used" in note for note in single["notes"])


def test_the_node_gets_them_as_parameters():
    parameters = Replay("dada_rgb", SCALE, live=True, extrinsics=(-1, 0, 0, 0, 0, 0, 1), lr_kernel="bicubic")
    parameters = parameters.node_parameters()
    assert parameters["extrinsics"] == [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert all(isinstance(value, float) for value in parameters["extrinsics"]), "a DOUBLE_ARRAY takes no integers"
    assert (parameters["lr_kernel"], parameters["method_guided"]) == ("bicubic", "dada_rgb")
    assert not {"extrinsics", "lr_kernel"} & set(Replay("bicubic", SCALE, live=True).node_parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"extrinsics": (0.0,) * 7}, "quaternion"),
        ({"extrinsics": (1.0, 2.0)}, "7 numbers"),
        ({"extrinsics": EXTRINSICS, "live": True, "external": True}, "set its parameter extrinsics"),
        ({"lr_kernel": "bicubic", "live": True, "external": True}, "set its parameter lr_kernel"),
        ({"sigma": 0.0, "live": True, "external": True}, "set its parameter sigma"),
        ({"sigma": -0.1}, "at least 0"),
        ({"lr_kernel": "bicubic", "method": "single"}, "'single', which does not diffuse"),
        ({"lr_kernel": "bicubic", "method": "bridgenet"}, "auto, guided, dada, dada_rgb"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        Replay(**options)


@pytest.mark.ros
def test_live_they_make_rgb_guide_as_offline(tmp_path, bag_path, monkeypatch):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    settings = Replay("dada_rgb", SCALE, live=True, rate=0.2, extrinsics=EXTRINSICS, lr_kernel="bicubic")
    live = replay(bag_path, tmp_path / "live", settings)
    offline = replay(bag_path, tmp_path / "offline", dataclasses.replace(settings, live=False))
    assert live["frames_out"] == 3 and live["node_exit_code"] == 0
    assert live["guided_share"] == 1 and live["mode"] == "guided"
    assert live["mae_m"] == pytest.approx(offline["mae_m"], rel=2e-2)
    assert live["lr_consistency_m"] == pytest.approx(offline["lr_consistency_m"], rel=0.1)
