"""Soft edges: as wide as asked for, holes kept out, whole or in part."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.soft_edges import SoftEdges, gaussian


def step() -> np.ndarray:
    return np.where(np.arange(64) < 32, 1.0, 3.0)[None].repeat(48, 0).astype(np.float32)


def width(row: np.ndarray) -> int:
    """Pixels of a step from 1 to 3 that lie between 10 and 90 % of it."""
    return int(np.sum((row > 1.2) & (row < 2.8)))


def test_edges_become_as_wide_as_a_gaussian_s(rng):
    for sigma in (0.5, 1.5, 3.0):
        soft = SoftEdges(1.0, (sigma, sigma), part=0.0)(step(), rng)
        assert abs(width(soft[20]) - 2.56 * sigma) <= 1
        assert soft.dtype == np.float32 and np.isclose(soft.mean(), 2, atol=1e-4)


def test_holes_take_no_part_and_stay():
    depth = step()
    depth[:, 33:36] = np.nan
    soft = gaussian(depth, 2.0)
    assert np.array_equal(np.isnan(soft), np.isnan(depth))
    lone = np.full((20, 20), 7.0, np.float32)
    lone[5:9, 5:9] = np.nan
    np.testing.assert_allclose(gaussian(lone, 3.0)[np.isfinite(lone)], 7, rtol=1e-6)
    assert np.isnan(gaussian(np.full((8, 8), np.nan, np.float32), 1.0)).all()


def test_a_part_keeps_its_hard_edges_elsewhere():
    edge = [SoftEdges(1.0, (3.0, 3.0), part=1.0)(step(), np.random.default_rng(n)) for n in range(20)]
    widths = [{width(row) for row in soft} for soft in edge]
    assert any(min(found) == 0 and max(found) >= 6 for found in widths)


def test_the_share_of_the_patches_and_no_draw_from_the_generator_that_others_use():
    changed = 0
    for seed in range(200):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        changed += not np.array_equal(SoftEdges(0.5)(step(), rng), step())
        assert rng.random() == other.random()
    assert 70 < changed < 130


@pytest.mark.parametrize("options", [{"share": 1.5}, {"part": -1}, {"sigma": (2, 1)}, {"sigma": (0, 1)}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SoftEdges(**options)
