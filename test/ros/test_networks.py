"""Shipped networks behind the node's methods: bridgenet guides with RGB, csan serves the frames without it."""

from __future__ import annotations

import numpy as np
import pytest
from frame_makers import frame_pair, scene
from ros_harness import depth_array

from depth_sr_ros.inference.pipeline import Pipeline
from depth_sr_ros.inference.settings import Settings
from depth_sr_ros.inference.upsampler import DepthUpsampler


def test_csan_and_bridgenet_run_with_their_shipped_weights():
    depth, rgb = scene(32, 24)
    pipeline = Pipeline(Settings(method_single="csan", method_guided="bridgenet", scale=4))
    for method, guide in (("bridgenet", rgb), ("csan", None)):
        result = pipeline.run(frame_pair(depth, guide))
        assert result.guided == (guide is not None) and not result.problems
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
