"""Transitions, ~/enable, and parameters that change or refuse to, on nodes that a manager drives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from frame_makers import scene
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import ROOT, depth_array, header
from sensor_msgs.msg import Image

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.inference.settings import Settings
from depth_sr_ros.ros.encoding import image_message

pytestmark = pytest.mark.ros

DEPTH, _ = scene()


@pytest.fixture(scope="module")
def managed(start_node):
    """A node that waits for its manager."""
    return start_node(
        "managed", "-p", "autostart:=false", "-p", "mode:=single", "-p", "method_single:=bicubic", "-p", "scale:=2"
    )


def subscribed(peer) -> bool:
    return bool(peer.node.count_subscribers(peer.node.resolve_topic_name("depth/image_raw")))


def test_whole_life(managed):
    node, peer = managed
    assert peer.state() == "unconfigured"
    level, text, _ = peer.next_status()
    assert level == b"\x00" and "unconfigured" in text
    for _ in range(2):  # a second life after cleanup is as good as the first
        assert peer.transition("configure") and peer.state() == "inactive"
        assert not subscribed(peer), "an inactive node costs no bandwidth"
        assert peer.transition("activate") and peer.state() == "active"
        peer.wait_connected(rgb=False)
        assert depth_array(peer.wait_served(DEPTH)).shape == (96, 128)
        assert peer.transition("deactivate") and peer.state() == "inactive"
        peer.spin_until(lambda: not subscribed(peer), 20.0, "unsubscribed")
        assert peer.transition("cleanup") and peer.state() == "unconfigured"
        topic = peer.node.resolve_topic_name("depth_sr/image_raw")
        peer.spin_until(lambda topic=topic: not peer.node.count_publishers(topic), 20.0, "publishers are gone")
    assert not peer.transition("activate"), "activate needs configure"
    assert node.alive()


def test_configure_fails_politely_and_recovers(managed):
    """Weights that do not exist: FAILURE with a log, state unconfigured, diagnostics ERROR, and a way back."""
    node, peer = managed
    (result,) = peer.set_parameters(weights_single="no_such_variant", method_single="dsrnet")[-1:]
    assert result.successful, result.reason
    assert not peer.transition("configure") and peer.state() == "unconfigured"
    level, text, _ = peer.next_status()
    assert level == b"\x02" and "cannot configure" in text
    assert "[ERROR]" in node.text() and "cannot configure" in node.text()
    peer.set_parameters(weights_single="auto", method_single="bicubic")
    assert peer.transition("configure") and peer.transition("activate")
    peer.wait_connected(rgb=False)
    peer.wait_served(DEPTH)
    assert peer.transition("deactivate") and peer.transition("cleanup")


def test_enable_stops_and_starts_the_work(peer):
    peer.exchange(DEPTH)
    answer = peer.enable(False)
    assert answer.success and "disabled" in answer.message
    peer.spin_until(lambda: not subscribed(peer), 5.0, "unsubscribed")
    stamp = peer.send(DEPTH)
    level, text, _ = peer.next_status(count=2)
    assert level == b"\x00" and "disabled by ~/enable" in text and stamp not in peer.images
    assert peer.enable(True).success
    peer.wait_connected()
    peer.wait_served(DEPTH)


def test_every_parameter_is_described(peer):
    names = [field.name for field in dataclasses.fields(Settings)]
    assert set(names) <= set(peer.list_parameters())
    by_name = {descriptor.name: descriptor for descriptor in peer.describe(*names)}
    assert all(descriptor.description for descriptor in by_name.values())
    assert by_name["autostart"].read_only and not by_name["scale"].read_only
    (scale_range,) = by_name["scale"].integer_range
    assert (scale_range.from_value, scale_range.to_value) == (1, 32)
    assert by_name["sync_slop"].floating_point_range and by_name["max_depth"].floating_point_range
    (extrinsics,) = peer.get_parameters("extrinsics")
    assert extrinsics.type == ParameterType.PARAMETER_DOUBLE_ARRAY and list(extrinsics.double_array_value) == []


REFUSED = {
    "out of range": ({"scale": 64}, "scale"),
    "negative": ({"sync_slop": -0.1}, "sync_slop"),
    "wrong type": ({"scale": "four"}, "type"),
    "read only": ({"autostart": False}, "read-only"),
    "unknown mode": ({"mode": "both"}, "auto, single, guided"),
    "unknown method": ({"method_single": "magic"}, "bicubic"),
    "unknown device": ({"device": "abacus"}, "abacus"),
    "CUDA where there is none": ({"device": "cuda:97"}, "cuda"),
    "missing weights": ({"weights_single": "/no/such/file.safetensors", "method_single": "dsrnet"}, ""),
    "unknown kernel": ({"lr_kernel": "nearest"}, "auto, block_mean, bicubic"),
    "a kernel that contradicts consistent": ({"consistent": True, "lr_kernel": "bicubic"}, "expected one of them"),
    "short extrinsics": ({"extrinsics": [0.0, 1.0]}, "7 numbers"),
    "points without sensor_msgs_py": ({"publish_points": True}, "sensor_msgs_py"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_parameter_is_refused_with_a_reason_and_changes_nothing(node, peer, case):
    if case.startswith("points"):
        try:
            import sensor_msgs_py  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("sensor_msgs_py is installed here, so points can be published")
    values, words = REFUSED[case]
    before = peer.get_parameters(*values)
    results = peer.set_parameters(**values)
    assert any(not result.successful for result in results)
    assert any(words.lower() in result.reason.lower() for result in results if not result.successful), results
    for name, value in zip(values, before, strict=True):
        if peer.get_parameters(name) != [value]:  # one of several was good by itself
            peer.set_raw_parameter(ParameterMessage(name=name, value=value))
    assert depth_array(peer.exchange(DEPTH)).shape == (192, 256) and node.alive()


def test_scale_and_depth_limit_change_live(peer):
    try:
        assert all(result.successful for result in peer.set_parameters(scale=2, max_depth=1.5))
        stamp = peer.send(DEPTH)
        result, info = depth_array(peer.receive(stamp)), peer.receive_info(stamp)
        assert result.shape == (96, 128) and (info.width, info.height) == (128, 96)
        np.testing.assert_array_equal(np.isnan(result), (DEPTH > 1.5).repeat(2, 0).repeat(2, 1))
        assert peer.next_status()[2]["scale"] == "2"
    finally:
        assert all(result.successful for result in peer.set_parameters(scale=4, max_depth=0.0))
    assert depth_array(peer.exchange(DEPTH)).shape == (192, 256)


def test_holes_are_filled_on_request(peer):
    holed = DEPTH.copy()
    holed[10:14, 10:14] = np.nan
    peer.set_parameters(fill_holes=True)
    try:
        assert np.isfinite(depth_array(peer.exchange(holed))).all()
    finally:
        peer.set_parameters(fill_holes=False)
    assert np.isnan(depth_array(peer.exchange(holed))).sum() == 16 * 16


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_consistent_output_has_the_input_as_block_mean(peer, adjustment):
    assert all(r.successful for r in peer.set_parameters(consistent_adjustment=adjustment, consistent=True))
    try:
        result = depth_array(peer.exchange(DEPTH))
    finally:
        peer.set_parameters(consistent=False, consistent_adjustment="additive")
    expected = DepthUpsampler("bicubic", 4, device="cpu", consistent=adjustment).upsample(DEPTH)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(result.reshape(48, 4, 64, 4).mean((1, 3)), DEPTH, atol=1e-5)


def test_params_file_and_qos_override(start_node, tmp_path):
    """The shipped YAML loads; a reliable subscription meets a best-effort camera, which the node explains."""
    overrides = tmp_path / "qos.yaml"
    overrides.write_text(
        "/**:\n  ros__parameters:\n    qos_overrides:\n      /strict/depth/image_raw:\n"
        "        subscription: {reliability: reliable}\n"
    )
    shipped = ROOT / "config" / "depth_sr.yaml"
    node, peer = start_node("strict", "--params-file", str(shipped), "--params-file", str(overrides))
    node.wait_for_log("single depth:")
    assert list(peer.get_parameters("extrinsics")[0].double_array_value) == []
    peer.wait_connected()
    peer.node.destroy_publisher(peer.publishers.pop("depth/image_raw"))
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    camera = peer.node.create_publisher(Image, "depth/image_raw", qos)
    peer.publishers["depth/image_raw"] = camera
    for _ in range(30):
        camera.publish(image_message(DEPTH, header(peer.next_stamp())))
        peer.spin(0.1)
    level, text, values = peer.next_status()
    assert level == b"\x02" and "QoS mismatch on /strict/depth/image_raw" in text and "RELIABILITY" in text
    assert values["frames_in"] == "0"
    assert "QoS mismatch on /strict/depth/image_raw" in node.text()
    assert node.stop() == 0


def test_silence_is_explained(start_node):
    """Nobody publishes; then somebody does, in another room as it were: nothing arrives on default Fast DDS."""
    node, peer = start_node("lonely", profile=False)
    for publisher in peer.publishers.values():
        peer.node.destroy_publisher(publisher)
    peer.spin_until(lambda: any(status.level == b"\x03" for status in peer.statuses), 40.0, "STALE")
    assert "nobody publishes /lonely/depth/image_raw" in peer.statuses[-1].message
    peer.node.create_publisher(Image, "depth/image_raw", QoSProfile(depth=1))
    peer.spin_until(lambda: "614 kB" in peer.statuses[-1].message, 10.0, "the hint at Fast DDS")
    assert peer.statuses[-1].level == b"\x03"
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in peer.statuses[-1].message
    assert node.stop() == 0


def test_bad_start_is_told_in_plain_words_and_by_the_exit_status(start_node):
    wrong = {
        "mistaken": ("-p", "scale:=64"),
        "unassigned": ("-p", "scale"),
        "fileless": ("--params-file", "/nonexistent.yaml"),
    }
    words = {"mistaken": "scale", "unassigned": "'-p scale'", "fileless": "/nonexistent.yaml"}
    nodes = {name: start_node(name, *arguments)[0] for name, arguments in wrong.items()}
    for name, node in nodes.items():
        assert node.process.wait(90) == 1, node.text()
        (line,) = [line for line in node.text().splitlines() if line.startswith("depth_sr: ")]
        assert words[name] in line and "Traceback" not in node.text(), node.text()


def test_bad_combination_at_start_leaves_a_node_to_correct(start_node):
    node, peer = start_node("mixed_up", "-p", "method_single:=dada_rgb")
    node.wait_for_log("cannot configure: method_single must be one of")
    assert peer.state() == "unconfigured"
    assert peer.set_parameters(method_single="bicubic")[0].successful
    assert peer.transition("configure") and peer.transition("activate")
    peer.wait_connected()
    peer.wait_served(DEPTH)
    assert node.stop() == 0
