"""Frames of a video through one upsampler: what the last one may leave to the next, and what it never may."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.inference.warm_start import MAX_GAP, WarmStart
from depth_sr_ros.resize import block_mean
from depth_sr_ros.synthetic import default_camera, random_scene

SCALE = 4
CAMERA = default_camera(128, 96)
BUDGETS = pytest.mark.parametrize("budget", [None, 4])


def frame(seed: int, time: float = 0.0, kind: str = "room") -> tuple[np.ndarray, np.ndarray]:
    """Depth (24, 32) and guide (96, 128, 3)."""
    rendered = random_scene(seed=seed, kind=kind).render(CAMERA, time=time)
    return block_mean(rendered.depth, SCALE), rendered.rgb


FIRST, NEXT, OTHER = frame(3), frame(3, 1 / 30), frame(5)


def upsampler(**options) -> DepthUpsampler:
    # readings are held to, as without noise: the LR consistency of results is exact then
    return DepthUpsampler("dada_rgb", SCALE, device="cpu", **({"sigma": 0.0} | options))


def cold(depth, guide, **options) -> np.ndarray:
    return upsampler(**options).upsample(depth, guide)


def test_a_still_scene_goes_on_where_it_was():
    video = upsampler()
    results = [video.infer(*FIRST, stamp=0.1 * i) for i in range(3)]
    last = results[2].solve
    assert last.warm and last.iterations <= 2 and not last.budget_ended
    np.testing.assert_allclose(results[2].depth, results[0].depth, rtol=2e-3)


def test_the_next_frame_is_the_same_result_in_fewer_iterations():
    video = upsampler()
    first = video.infer(*FIRST, stamp=0.0).solve
    assert not first.warm
    second = video.infer(*NEXT, stamp=1 / 30)
    result, solve = second.depth, second.solve
    assert solve.warm and solve.iterations < first.iterations and solve.relative_residual <= 1e-3
    difference = np.abs(result / cold(*NEXT) - 1)
    assert difference.mean() < 5e-4 and difference.max() < 0.05
    assert lr_consistency(result, NEXT[0]) < 1e-5


def test_a_budget_is_made_up_for_over_frames():
    exact = cold(*FIRST)
    video, errors = upsampler(max_iterations=6), []
    for i in range(8):
        result = video.upsample(*FIRST, stamp=0.1 * i)
        errors.append(float(np.abs(result - exact).mean()))
        assert lr_consistency(result, FIRST[0]) < 1e-5
    assert errors[-1] < 0.3 * errors[0]
    assert all(later < 1.05 * sooner for sooner, later in itertools.pairwise(errors))


@BUDGETS
def test_a_scene_cut_leaves_nothing_behind(budget):
    video = upsampler(max_iterations=budget)
    video.upsample(*FIRST, stamp=0.0)
    result = video.infer(*OTHER, stamp=0.03)
    assert not result.solve.warm
    np.testing.assert_array_equal(result.depth, cold(*OTHER, max_iterations=budget))


def test_new_rgb_before_the_same_depth_is_for_the_residual_to_judge():
    """The depth pixels alone would take it for the same scene."""
    guide = np.random.default_rng(0).integers(0, 256, FIRST[1].shape, np.uint8)
    video = upsampler()
    video.upsample(*FIRST, stamp=0.0)
    result = video.upsample(FIRST[0], guide, stamp=0.03)
    assert np.abs(result / cold(FIRST[0], guide) - 1).mean() < 5e-4


@BUDGETS
def test_what_moved_starts_cold(budget):
    """A box vanishes from before a wall: with a budget too small to level anything, no trace of it may stay."""
    wall = np.full((24, 32), 3.0, np.float32)
    box = wall.copy()
    box[8:16, 10:20] = 1.0
    guide = np.full((96, 128, 3), 90, np.uint8)
    red = guide.copy()
    red[33:62, 41:79] = (220, 40, 30)
    video = upsampler(max_iterations=budget)
    video.upsample(box, red, stamp=0.0)
    result = video.upsample(wall, guide, stamp=0.03)
    np.testing.assert_allclose(result, 3.0, atol=1e-4)


@BUDGETS
def test_a_hole_that_opens_is_filled_from_this_frame_alone(budget):
    depth = FIRST[0].copy()
    depth[5:12, 5:12] = np.nan
    video = upsampler(max_iterations=budget, fill_holes=True)
    video.upsample(*FIRST, stamp=0.0)
    poisoned = upsampler(max_iterations=budget, fill_holes=True)
    before = FIRST[0].copy()
    before[6:11, 6:11] = 0.4  # what stood in the hole's middle differs, all else is the same
    poisoned.upsample(before, FIRST[1], stamp=0.0)
    clean, other = (each.upsample(depth, FIRST[1], stamp=0.03)[24:44, 24:44] for each in (video, poisoned))
    assert np.abs(clean - other).max() < 0.05 and other.min() > 1.0  # of 3 m


@pytest.mark.parametrize(
    ("stamps", "warm"),
    [
        ((5.0, 5.03), True),
        ((5.0, 5.0 + MAX_GAP - 0.01), True),
        ((5.0, 5.0 + MAX_GAP + 0.01), False),
        ((5.0, 4.97), False),  # a bag that loops
        ((5.0, None), False),
        ((None, 5.0), False),
    ],
)
def test_time_decides(stamps, warm):
    video = upsampler()
    for stamp in stamps:
        result = video.infer(*FIRST, stamp=stamp)
    assert result.solve.warm == warm
    if not warm:
        np.testing.assert_array_equal(result.depth, cold(*FIRST))


def test_another_camera_or_size_begins_anew():
    video = upsampler()
    video.upsample(*FIRST, stamp=0.0, camera=("a", 1))
    assert video.infer(*FIRST, stamp=0.1, camera=("a", 1)).solve.warm
    assert not video.infer(*FIRST, stamp=0.2, camera=("a", 2)).solve.warm
    depth, guide = FIRST
    smaller = depth[:, :-4], guide[:, : -4 * SCALE]
    assert not video.infer(*smaller, stamp=0.3, camera=("a", 2)).solve.warm


def test_a_frame_that_fails_leaves_nothing_behind(monkeypatch):
    video = upsampler()
    video.upsample(*FIRST, stamp=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(video.model, "solve", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            video.upsample(*FIRST, stamp=0.1)
    assert not video.infer(*FIRST, stamp=0.2).solve.warm


def test_the_offer_is_the_new_depth_with_the_old_detail():
    """A plane that came 2 % nearer: the start has its LR pixels' level, and the bump that the last solution had."""
    memory = WarmStart()
    old, new = torch.full((1, 1, 6, 6), 2.0), torch.full((1, 1, 6, 6), 1.96)
    new[..., 0, 0], new[..., 0, 1] = torch.nan, 5.0
    solution = torch.full((1, 1, 24, 24), 2.0)
    solution[..., 12, 13] += 0.01
    memory.keep(1.0, None, old, solution)
    start = torch.full((1, 1, 24, 24), 7.0)
    offer = memory.offer(1.1, None, new, start)
    assert (offer[..., :4, :8] == 7.0).all(), "holes and cells that changed start cold"
    torch.testing.assert_close(offer[..., 12:, 8:], 1.96 + (solution - 2.0)[..., 12:, 8:])
    assert memory.offer(1.2, None, new, start) is None, "an offer is made once"


def test_every_result_says_what_its_solver_did():
    video = upsampler(max_iterations=2)
    solve = video.infer(*FIRST).solve
    assert solve.iterations == 2 and solve.budget_ended and solve.relative_residual > 1e-3
    video.max_iterations = None
    solve = video.infer(*FIRST).solve
    assert solve.iterations > 2 and not solve.budget_ended
    assert video.infer(np.full_like(FIRST[0], np.nan), FIRST[1]).solve is None
    bicubic = DepthUpsampler("bicubic", SCALE, device="cpu")
    assert bicubic.infer(FIRST[0], stamp=0.0).solve is None


def test_time_that_is_over_ends_the_frame_with_a_result_that_fits_its_input():
    video = upsampler(time_budget_s=1e-9)
    result = video.infer(*FIRST)
    assert result.solve.iterations == 0 and result.solve.budget_ended
    assert np.isfinite(result.depth).all() and lr_consistency(result.depth, FIRST[0]) < 1e-5


@pytest.mark.parametrize("bad", [{"max_iterations": 0}, {"time_budget_s": 0.0}, {"time_budget_s": -1.0}])
def test_bad_budgets_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        upsampler(**bad)
