"""What a frame's result says about RGB and about what went wrong; without ROS."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from frame_makers import frame_pair, scene

from depth_sr_ros.camera import Extrinsics
from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.inference.frames import FramePair, ProblemKind
from depth_sr_ros.inference.pipeline import UNMATCHED_BEFORE_HINT, Pipeline
from depth_sr_ros.inference.settings import Settings
from depth_sr_ros.inference.upsampler import DepthUpsampler

DEPTH, RGB = scene(32, 24)
METHODS = {"method_single": "bicubic", "method_guided": "dada_rgb"}
IDENTITY = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
LENS = (0.1, -0.05, 0.0, 0.0, 0.0)


def make_frame(depth: np.ndarray = DEPTH, **options) -> FramePair:
    return frame_pair(depth, RGB, **options)


def test_depth_without_a_valid_pixel_says_nothing_about_rgb():
    pipeline = Pipeline(Settings(**METHODS, extrinsics=IDENTITY))
    assert pipeline.run(make_frame()).rgb_usable is True
    assert pipeline.run(make_frame(np.full_like(DEPTH, np.nan))).rgb_usable is None

    def decode():
        raise ValueError("truncated")

    rgb = replace(make_frame().rgb, decode=decode)
    result = pipeline.run(replace(make_frame(), rgb=rgb))
    assert result.rgb_usable is False and not result.guided and result.depth is not None
    ((kind, text),) = result.problems
    assert kind is ProblemKind.GUIDE and "truncated" in text


@pytest.mark.parametrize(
    ("extrinsics", "depth_lens", "rgb_lens", "warned"),
    [
        ((), (), (), False),
        ((), (0.0,) * 5, (0.0,) * 8, False),
        ((), (), LENS, True),
        ((), LENS, (), True),
        ((), LENS, (*LENS, 0.0, 0.0, 0.0), False),  # depth registered to raw RGB: both bend alike
        (IDENTITY, LENS, LENS, True),
    ],
)
def test_lens_distortion_is_told_once(extrinsics, depth_lens, rgb_lens, warned):
    pipeline = Pipeline(Settings(**METHODS, extrinsics=extrinsics))
    notices = []
    for _ in range(3):
        result = pipeline.run(make_frame(depth_lens=depth_lens, rgb_lens=rgb_lens))
        assert result.guided
        notices += [text for kind, text in result.problems if kind is ProblemKind.DISTORTION]
    assert len(notices) == warned
    assert all("rectified topics" in text and "'camera'" in text for text in notices)


def test_lens_distortion_is_told_where_tf_gives_the_extrinsics():
    """Equal lenses are harmless only where the pair is registered."""
    still = Extrinsics.from_xyz_quaternion(IDENTITY)
    pipeline = Pipeline(Settings(**METHODS, extrinsics_from_tf=True), lambda rgb_frame, depth_frame: still)
    lenses = {"depth_lens": LENS, "rgb_lens": LENS}
    assert not pipeline.run(make_frame(**lenses)).problems
    problems = pipeline.run(make_frame(**lenses, rgb_frame="rgb")).problems
    assert [problem.kind for problem in problems] == [ProblemKind.DISTORTION]


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


def test_every_problem_of_a_frame_has_its_kind():
    pipeline = Pipeline(Settings(**METHODS))
    empty = pipeline.run(frame_pair(np.full_like(DEPTH, np.nan), None))
    assert [problem.kind for problem in empty.problems] == [ProblemKind.EMPTY] and empty.invalid_share == 1
    assert np.isnan(empty.depth).all()
    uncalibrated = replace(make_frame(), rgb_info=None)
    assert [problem.kind for problem in pipeline.run(uncalibrated).problems] == [ProblemKind.GUIDE]

    def out_of_memory(*_):
        raise RuntimeError("out of memory")

    pipeline.guided.infer = out_of_memory
    result = pipeline.run(make_frame())
    assert [problem.kind for problem in result.problems] == [ProblemKind.FAILED] and not result.guided
    np.testing.assert_array_equal(result.depth, pipeline.single.upsample(DEPTH))


def test_warming_up_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pipeline(Settings()).warm_up()


def test_mode_guided_gives_nothing_without_a_guide():
    pipeline = Pipeline(Settings(**METHODS, mode="guided"))
    for pair, words in ((frame_pair(DEPTH, None), "sync_slop"), (make_frame(rgb_frame="rgb"), "'rgb'")):
        result = pipeline.run(pair)
        assert result.depth is None and not result.guided
        ((kind, text),) = result.problems
        assert kind is ProblemKind.UNGUIDED and words in text


def test_rgb_that_never_pairs_is_reported_after_a_while():
    pipeline = Pipeline(Settings(**METHODS))
    lone = replace(frame_pair(DEPTH, None), rgb_gap=0.03)
    kinds = [[problem.kind for problem in pipeline.run(lone).problems] for _ in range(UNMATCHED_BEFORE_HINT + 1)]
    assert kinds == [[]] * (UNMATCHED_BEFORE_HINT - 1) + [[ProblemKind.GUIDE]] * 2
    pipeline.run(make_frame())
    assert not pipeline.run(lone).problems, "a pair begins the count anew"


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
