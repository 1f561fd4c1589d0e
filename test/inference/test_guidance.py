"""Guides from pairs: which pixels RGB saw, and what is said where it cannot guide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from frame_makers import calibration, frame_pair, scene

from depth_sr_ros.inference.guidance import Guide, GuideError, GuideMaker
from depth_sr_ros.inference.pipeline import Pipeline
from depth_sr_ros.inference.settings import Settings

DEPTH, RGB = scene(32, 24)
SHIFT = (-0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def make_guide(maker: GuideMaker, rgb_frame: str = "rgb", rgb_field: float = 1.0) -> Guide:
    return maker(frame_pair(DEPTH, RGB, 1.0, "depth", rgb_frame, rgb_field), DEPTH)


def test_unregistered_rgb_brings_its_mask():
    guide = make_guide(GuideMaker(4, SHIFT))
    assert guide.pixels.shape == (96, 128, 3) and guide.seen.shape == (96, 128) and guide.seen.dtype == bool
    assert 0.5 < guide.seen.mean() < 1.0


def test_registered_rgb_that_sees_a_little_less_leaves_the_border_unseen():
    whole = make_guide(GuideMaker(4), "depth")
    assert whole.seen is None
    narrow = make_guide(GuideMaker(4), "depth", rgb_field=1.03)
    assert not narrow.seen[:, 0].any() and narrow.seen[10:-10, 10:-10].all()


def test_the_view_changes_with_what_it_follows_from():
    views = [
        make_guide(GuideMaker(4, SHIFT)).view,
        make_guide(GuideMaker(4, (-0.06, *SHIFT[1:]))).view,
        make_guide(GuideMaker(4, SHIFT), rgb_field=1.1).view,
        make_guide(GuideMaker(4, assume_registered=True)).view,
    ]
    assert len(set(views)) == 4
    assert make_guide(GuideMaker(4, SHIFT)).view == views[0]


def test_frames_of_a_stream_start_warm_until_the_view_changes():
    """Stamps of the messages make the video."""
    pipeline = Pipeline(Settings(method_single="bicubic", method_guided="dada_rgb", extrinsics=SHIFT))

    def run(stamp: float):
        result = pipeline.run(frame_pair(DEPTH, RGB, stamp, "depth", "rgb"))
        assert result.guided
        return result.solve

    assert [run(stamp).warm for stamp in (1.0, 1.1, 1.2, 0.9, 1.0)] == [False, True, True, False, True]
    pipeline.adopt(Settings(method_single="bicubic", method_guided="dada_rgb", extrinsics=(-0.06, *SHIFT[1:])))
    assert not run(1.1).warm
    assert run(1.2).iterations < 10
    changed = Settings(
        method_single="bicubic", method_guided="dada_rgb", extrinsics=SHIFT, max_iterations=2, time_budget_ms=5e4
    )
    assert pipeline.fits(changed), "a budget needs no new method"
    pipeline.adopt(changed)
    solve = run(1.3)
    assert (solve.iterations, solve.budget_ended) == (2, True)
    pipeline.adopt(Settings(method_single="bicubic", method_guided="dada_rgb", extrinsics=SHIFT, time_budget_ms=1e-6))
    assert run(9.0).iterations == 0


def test_without_tf_the_message_names_the_ways_out():
    with pytest.raises(GuideError, match=r"set extrinsics .* or extrinsics_from_tf"):
        make_guide(GuideMaker(4))


def test_a_pair_that_lacks_something_names_it():
    pair = frame_pair(DEPTH, RGB)
    for change, words in (
        ({"rgb": None}, "no RGB image"),
        ({"depth_info": None}, "no depth/camera_info"),
        ({"rgb_info": None}, "no rgb/camera_info"),
        ({"rgb_info": calibration(64, 48)}, r"64x48.*128x96"),
        ({"depth_info": calibration(32, 24, k=(0.0,) * 9)}, "uncalibrated"),
    ):
        with pytest.raises(GuideError, match=words):
            GuideMaker(4)(replace(pair, **change), DEPTH)
