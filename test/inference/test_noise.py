"""The noise of a frame, estimated from the frame: right on known noise, near 0 on clean frames, blind to edges."""

from __future__ import annotations

import numpy as np
import pytest

from depth_sr_ros.inference.noise import estimate_sigma, non_decreasing, robust_deviation


def room(height: int = 120, width: int = 160) -> np.ndarray:
    """A floor from 1 to 5 m with boxes and a ball on it, metres."""
    y, x = np.mgrid[:height, :width]
    depth = 1 / (0.2 + 0.8 * (y + 0.5) / height + 0.0002 * x)
    depth[30:60, 20:50] = 1.2 + 0.002 * x[30:60, 20:50]
    depth[70:110, 90:120] = 0.9
    inside = (y - 60) ** 2 + (x - 120) ** 2 < 400
    depth[inside] = 2 - np.sqrt(1 - ((y - 60) ** 2 + (x - 120) ** 2)[inside] / 400) * 0.3
    return depth


def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("sigma", [0.0005, 0.003, 0.02, 0.1])
def test_a_constant_level_is_found(sigma):
    depth = room()
    found = estimate_sigma(depth + sigma * noise(depth.shape))
    assert found.dtype == np.float32 and found.shape == depth.shape
    assert np.all(np.abs(np.log(found / sigma)) < np.log(1.3))
    assert abs(np.log(np.median(found) / sigma)) < np.log(1.15)


def test_a_level_that_grows_with_depth_is_found():
    depth = room()
    sigma = 0.002 + 0.0028 * depth**2
    found = estimate_sigma(depth + sigma * noise(depth.shape))
    assert np.median(np.abs(np.log(found / sigma))) < np.log(1.15)
    assert found[depth > 3].mean() > 2 * found[depth < 1.5].mean()


def test_a_clean_frame_has_hardly_any():
    assert estimate_sigma(room()).max() < 2e-4
    assert estimate_sigma(np.full((50, 60), 2.345)).max() == 0


def test_whole_steps_count_at_most_as_their_rounding_error():
    for step in (0.001, 0.05):
        found = estimate_sigma(np.rint(room() / step) * step)
        assert np.all(found < 2 * step / np.sqrt(12))


def test_unit_does_not_matter_and_holes_have_no_part():
    depth = room() + 0.01 * noise((120, 160))
    found = estimate_sigma(depth)
    np.testing.assert_allclose(estimate_sigma(1000 * depth), 1000 * found, rtol=1e-4)
    holes = depth.copy()
    holes[40:60, 60:100], holes[80, 80] = np.nan, 0
    holed = estimate_sigma(holes)
    assert np.isfinite(holed).all()
    assert np.median(np.abs(np.log(holed / found))) < 0.1


def test_a_hot_pixel_changes_little():
    depth = room() + 0.01 * noise((120, 160))
    hot = depth.copy()
    hot[4, 4] = 1e10
    there = np.arange(depth.size).reshape(depth.shape) != 4 * 160 + 4
    np.testing.assert_allclose(estimate_sigma(hot)[there], estimate_sigma(depth)[there], rtol=0.05)


def test_small_and_empty_frames_have_none():
    for depth in (np.ones((2, 50)), np.full((40, 40), np.nan), 1 + noise((8, 8)) ** 2):
        assert not estimate_sigma(depth).any()


def test_robust_deviation_ignores_a_fifth_of_outliers():
    errors = np.abs(noise((5000,)))
    assert robust_deviation(errors) == pytest.approx(1, rel=0.08)
    errors[:1000] = 50
    assert robust_deviation(errors) == pytest.approx(1, rel=0.12)


def test_non_decreasing_pools_what_falls():
    np.testing.assert_allclose(non_decreasing(np.array([1.0, 3.0, 2.0, 5.0])), [1, 2.5, 2.5, 5])
    np.testing.assert_allclose(non_decreasing(np.array([3.0, 2.0, 1.0])), [2, 2, 2])
