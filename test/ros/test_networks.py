"""Shipped networks behind the node's methods: bridgenet guides with RGB, csan serves the frames without it."""

from __future__ import annotations

import numpy as np
import pytest
from ros_harness import camera_info, header, rgb_message, scene

from depth_sr_ros.inference.pairing import Frame
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.ros.messages import depth_array, image_message
from depth_sr_ros.ros.parameters import Settings
from depth_sr_ros.ros.pipeline import Pipeline


def test_csan_and_bridgenet_run_with_their_shipped_weights():
    depth, rgb = scene(32, 24)
    pipeline = Pipeline(Settings(method_single="csan", method_guided="bridgenet", scale=4))
    frame = Frame(1.0, (image_message(depth, header(0)), depth), arrival=0.0)
    frame.info, frame.rgb_info = camera_info(32, 24), camera_info(128, 96)
    frame.info.header = frame.rgb_info.header = header(0)
    for method, message, guide in (("bridgenet", rgb_message(rgb, header(0)), rgb), ("csan", None, None)):
        frame.rgb = message
        result = pipeline.run(frame)
        assert result.guided == (guide is not None) and not result.trouble
        expected = DepthUpsampler(method, 4).upsample(depth, guide)
        np.testing.assert_allclose(result.depth, expected, rtol=0, atol=1e-4)


@pytest.mark.ros
def test_csan_and_bridgenet_live(start_node):
    depth, rgb = scene(32, 24)
    process, peer = start_node("networks", "-p", "method_single:=csan", "-p", "method_guided:=bridgenet")
    process.wait_for_log("with RGB: bridgenet x4", timeout=60)
    peer.wait_connected()
    peer.wait_served(depth)
    guided = DepthUpsampler("bridgenet", 4, device="cpu").upsample(depth, rgb)
    single = DepthUpsampler("csan", 4, device="cpu").upsample(depth)
    assert np.abs(guided - single).max() > 0.05
    np.testing.assert_allclose(depth_array(peer.exchange(depth, rgb=rgb)), guided, atol=1e-3)
    np.testing.assert_allclose(depth_array(peer.exchange(depth)), single, atol=1e-3)
