"""Proof of life and correctness: what goes in over DDS comes out super-resolved, with its camera_info."""

from __future__ import annotations

import array

import numpy as np
import pytest
from frame_makers import scene
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data
from ros_harness import camera_info, depth_array, header

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.depth import from_metres, to_metres
from depth_sr_ros.messages.camera_info import decode_camera_info
from depth_sr_ros.ros.encoding import image_message

pytestmark = pytest.mark.ros


def with_holes(depth: np.ndarray) -> np.ndarray:
    depth = depth.copy()
    depth[5:9, 7:12] = np.nan
    return depth


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_output_is_that_of_the_upsampler(peer, dtype):
    depth = with_holes(scene()[0])
    out = peer.exchange(image_message(from_metres(depth, dtype), header(0)), frame="optical")
    result = depth_array(out)
    expected = DepthUpsampler("bicubic", scale=4).upsample(to_metres(from_metres(depth, dtype)))
    assert result.dtype == dtype and result.shape == (192, 256)
    assert out.header.frame_id == "optical"
    difference = to_metres(result) - expected
    np.testing.assert_array_equal(np.isnan(to_metres(result)), np.isnan(expected))
    assert np.nanmax(np.abs(difference)) < (6e-4 if dtype == np.uint16 else 1e-6)
    assert np.isnan(expected[20:36, 28:48]).all(), "holes stay holes, cell by cell"


def test_camera_info_goes_beside_every_image(peer):
    depth = scene()[0]
    stamps = []
    for _ in range(10):
        stamps.append(peer.send(depth))
        peer.spin(0.04)
    for stamp in stamps:
        peer.receive(stamp)
        info = peer.receive_info(stamp)
        expected = decode_camera_info(camera_info(64, 48)).scaled(64, 48, 4)
        assert (info.width, info.height, info.header) == (256, 192, header(stamp))
        np.testing.assert_allclose(info.k, expected.k)
        np.testing.assert_allclose(info.p, expected.p)
    # what an earlier test asked for may still arrive
    assert sorted(stamp for stamp in peer.infos if stamp >= stamps[0]) == stamps
    assert [stamp for stamp in peer.order if stamp >= stamps[0]] == stamps, "frames keep their order"


def test_padded_big_endian_input_gives_the_same(peer):
    millimetres = from_metres(scene()[0], np.uint16)
    plain = peer.exchange(image_message(millimetres, header(0)))
    padded = image_message(millimetres, header(0))
    rows = np.pad(millimetres.astype(">u2").view(np.uint8), ((0, 0), (0, 6)), constant_values=0xEE)
    padded.data, padded.step, padded.is_bigendian = array.array("B", rows.tobytes()), rows.shape[1], 1
    np.testing.assert_array_equal(depth_array(peer.exchange(padded)), depth_array(plain))


def test_best_effort_camera_and_quality_of_service(peer):
    """A sensor's QoS reaches the node, and any subscriber's request fits the output."""
    (out,) = peer.node.get_publishers_info_by_topic(peer.node.resolve_topic_name("depth_sr/image_raw"))
    assert out.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert out.qos_profile.durability == DurabilityPolicy.VOLATILE
    for topic in peer.publishers:
        (subscriber,) = peer.node.get_subscriptions_info_by_topic(peer.node.resolve_topic_name(topic))
        assert subscriber.qos_profile.reliability == qos_profile_sensor_data.reliability, topic
    names = peer.list_parameters()
    for endpoint in ("depth/image_raw.subscription", "rgb/camera_info.subscription", "depth_sr/image_raw.publisher"):
        for policy in ("reliability", "depth", "history"):
            assert f"qos_overrides.{peer.node.get_namespace()}/{endpoint}.{policy}" in names
    assert "qos_overrides./diagnostics.publisher.reliability" in names


def test_diagnostics_tell_the_numbers(peer):
    depth = with_holes(scene()[0])
    for _ in range(40):
        peer.send(depth)
        peer.spin(0.033)
    level, message, values = peer.next_status()
    assert level in (b"\x00", b"\x01"), message
    assert values["method"] == values["method_single"] == "bicubic" and values["method_guided"] == "dada_rgb"
    assert values["device"] == "cpu" and values["mode"] == "auto" and values["scale"] == "4"
    assert 10 < float(values["input_rate_hz"]) < 40 and float(values["output_rate_hz"]) > 10
    assert 0 < float(values["latency_ms_p50"]) < 500
    assert float(values["invalid_percent"]) == pytest.approx(100 * 20 / (64 * 48), abs=0.7)
    assert int(values["frames_in"]) >= int(values["frames_out"]) >= 40
    assert peer.statuses[-1].hardware_id == "camera"
    assert peer.statuses[-1].name == f"{peer.node.get_namespace()}/depth_sr: super-resolution"
