"""What a frame's result says about RGB, and when memory is given back; without DDS traffic."""

from __future__ import annotations

import weakref
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from rclpy.parameter import Parameter
from ros_harness import camera_info, header, rgb_message, scene

from depth_sr_ros.camera import Extrinsics
from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.inference.pairing import Frame
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.ros.messages import image_message
from depth_sr_ros.ros.node import SrNode
from depth_sr_ros.ros.outputs import Outputs
from depth_sr_ros.ros.parameters import Settings
from depth_sr_ros.ros.pipeline import Pipeline

DEPTH, RGB = scene(32, 24)
METHODS = {"method_single": "bicubic", "method_guided": "dada_rgb"}
IDENTITY = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
LENS = [0.1, -0.05, 0.0, 0.0, 0.0]


def make_frame(depth: np.ndarray = DEPTH, depth_lens=(), rgb_lens=()) -> Frame:
    frame = Frame(1.0, (image_message(depth, header(0)), depth), arrival=0.0)
    frame.info, frame.rgb_info = camera_info(32, 24), camera_info(128, 96)
    frame.info.header = frame.rgb_info.header = header(0)
    frame.info.d, frame.rgb_info.d = depth_lens, rgb_lens
    frame.rgb = rgb_message(RGB, header(0))
    return frame


def test_depth_without_a_valid_pixel_says_nothing_about_rgb():
    pipeline = Pipeline(Settings(**METHODS, extrinsics=IDENTITY))
    assert pipeline.run(make_frame()).rgb_usable is True
    assert pipeline.run(make_frame(np.full_like(DEPTH, np.nan))).rgb_usable is None
    damaged = make_frame()
    damaged.rgb.encoding = "jpeg"
    assert pipeline.run(damaged).rgb_usable is False


@pytest.mark.parametrize(
    ("extrinsics", "depth_lens", "rgb_lens", "warned"),
    [
        ((), [], [], False),
        ((), [0.0] * 5, [0.0] * 8, False),
        ((), [], LENS, True),
        ((), LENS, [], True),
        ((), LENS, [*LENS, 0.0, 0.0, 0.0], False),  # depth registered to raw RGB: both bend alike
        (IDENTITY, LENS, LENS, True),
    ],
)
def test_lens_distortion_is_told_once(extrinsics, depth_lens, rgb_lens, warned):
    pipeline = Pipeline(Settings(**METHODS, extrinsics=extrinsics))
    notices = []
    for _ in range(3):
        result = pipeline.run(make_frame(depth_lens=depth_lens, rgb_lens=rgb_lens))
        assert result.guided
        notices += [text for kind, text in result.trouble if kind == "distortion"]
    assert len(notices) == warned
    assert all("rectified topics" in text and "'camera'" in text for text in notices)


def test_lens_distortion_is_told_where_tf_gives_the_extrinsics():
    """Equal lenses are harmless only where the pair is registered."""
    still = Extrinsics.from_xyz_quaternion(IDENTITY)
    pipeline = Pipeline(Settings(**METHODS, extrinsics_from_tf=True), lambda rgb_frame, depth_frame: still)
    frame = make_frame(depth_lens=LENS, rgb_lens=LENS)
    assert not [kind for kind, _ in pipeline.run(frame).trouble if kind == "distortion"]
    frame.rgb.header.frame_id = "rgb"
    assert [kind for kind, _ in pipeline.run(frame).trouble] == ["distortion"]


def test_lens_distortion_of_points_is_told_once(monkeypatch):
    publisher = Mock()
    node = Mock(create_lifecycle_publisher=Mock(return_value=publisher))
    monkeypatch.setattr("depth_sr_ros.ros.outputs.points_message", lambda depth, camera, head: "cloud")
    told = []
    outputs = Outputs(node, lambda kind, text: told.append((kind, text)), Mock())
    outputs.offer_points(True, active=True)
    for lens in ((), LENS, LENS):
        outputs.publish(make_frame(depth_lens=lens), DEPTH.repeat(4, 0).repeat(4, 1))
    assert [call.args[0] for call in publisher.publish.call_args_list].count("cloud") == 3
    ((kind, text),) = told
    assert kind == "distortion" and "the point cloud does not undo" in text


def test_the_guided_method_holds_to_the_kernel_that_is_set():
    pipeline = Pipeline(settings := Settings(**METHODS, lr_kernel="bicubic"))
    result = pipeline.run(make_frame())
    assert result.guided
    expected = DepthUpsampler("dada_rgb", 4, lr_kernel="bicubic").upsample(DEPTH, RGB)
    np.testing.assert_allclose(result.depth, expected, rtol=1e-5)
    assert lr_consistency(result.depth, DEPTH, "bicubic") < 1e-3 < lr_consistency(result.depth, DEPTH)
    assert not pipeline.fits(replace(settings, lr_kernel="auto")), "another constraint needs the method built anew"


def test_consistent_by_factors_keeps_the_ratios_within_a_cell():
    free, held = (
        Pipeline(Settings(**METHODS, mode="single", consistent=on, consistent_adjustment="multiplicative"))
        for on in (False, True)
    )
    free, held = (pipeline.run(make_frame()).depth for pipeline in (free, held))
    assert lr_consistency(held, DEPTH) < 1e-6 < lr_consistency(free, DEPTH)
    factors = (held / free).reshape(24, 4, 32, 4)
    np.testing.assert_allclose(factors, factors.mean((1, 3), keepdims=True) + 0 * factors, rtol=1e-5)


@pytest.mark.ros
def test_a_kernel_that_contradicts_consistent_is_refused_by_the_node(ros_context):
    values = {**METHODS, "autostart": False, "consistent": True}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SrNode(context=ros_context, namespace="/kernel", parameter_overrides=overrides)
    try:
        node.trigger_configure()
        (refused,) = node.set_parameters([Parameter("lr_kernel", value="bicubic")])
        assert not refused.successful and "set consistent to false" in refused.reason
        assert node.get_parameter("lr_kernel").value == "auto"
        changes = [Parameter("consistent", value=False), Parameter("lr_kernel", value="bicubic")]
        assert node.set_parameters_atomically(changes).successful
        assert node._pipeline.guided.model.lr_kernel == "bicubic" and not node._pipeline.single.adjustment
        (refused,) = node.set_parameters([Parameter("consistent", value=True)])
        assert not refused.successful
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.ros
def test_cuda_memory_is_given_back_once_nothing_holds_the_methods(ros_context, monkeypatch):
    """torch's cache only shrinks by what no tensor uses, so the order matters: first let go, then empty."""
    values = {**METHODS, "autostart": False}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SrNode(context=ros_context, namespace="/memory", parameter_overrides=overrides)
    held, freed = [], []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: freed.append([ref() is None for ref in held]))
    try:
        node.trigger_configure()
        held.append(weakref.ref(node._pipeline))
        assert node.set_parameters([Parameter("scale", value=2)])[0].successful
        held.append(weakref.ref(node._pipeline))
        assert freed == [[True]], "after the change of methods the old ones are gone"
        node.trigger_cleanup()
        assert freed[1:] == [[True, True]]
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.parametrize(
    "settings, single, guided",
    [
        ({}, "dsrnet_lite_x4_robust", "dada_lite_x4"),
        ({"weights_single": "clean", "weights_guided": "clean"}, "dsrnet_lite_x4", "dada_lite_x4_bicubic"),
        ({"weights_guided": "no_prior", "method_single": "csan"}, "csan_lite_x4", "dada_lite_x4_no_prior"),
        ({"scale": 3}, "none", "none"),
    ],
)
def test_the_diagnostics_name_the_weights(settings, single, guided):
    pipeline = Pipeline(Settings(**settings))
    assert pipeline.facts(guided_share=0.0)["weights"] == single
    assert pipeline.facts(guided_share=1.0)["weights"] == guided
    if single != "none":
        assert [text.split(",")[0].split()[-1] for text in pipeline.choices] == [single, guided]
