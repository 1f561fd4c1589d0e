"""The draw of kernels and noise, and each noise step against what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from depth_sr_ros.lr_kernels import downsample
from training.data.degradations import (
    Degrader,
    DisparityQuantisation,
    FlyingPixels,
    Holes,
    RangeNoise,
    RangeRounding,
    Uint8Rounding,
    WeightedKernel,
)
from training.data.sample import DepthUnit

DISPARITY = DepthUnit("disparity", 255.0)
METRES = DepthUnit("m", 4.0)


@pytest.fixture
def depth(rng):
    """A disparity map of whole grey levels: two slanted planes."""
    rows, columns = np.indices((64, 96))
    return np.where(columns < 40, 180 + rows // 8, 40 + columns // 6).astype(np.float32)


def test_range_noise_grows_with_depth_in_metres_and_not_in_disparity(rng):
    near, far = np.full((200, 200), 1, np.float32), np.full((200, 200), 4, np.float32)
    noise = RangeNoise(sigma=(0.01, 0.01))
    deviation = [float((noise(x, rng, METRES) - x).std()) for x in (near, far)]
    assert deviation[1] == pytest.approx(0.04, rel=0.05)  # 1 % of full scale at full scale
    assert deviation[0] == pytest.approx(0.1 * 0.04 + 0.9 * 0.04 / 16, rel=0.05)
    for level in (20, 200):
        flat = np.full((200, 200), level, np.float32)
        assert (noise(flat, rng, DISPARITY) - flat).std() == pytest.approx(2.55, rel=0.05)


def test_disparity_steps_are_equal_in_disparity_and_grow_in_metres(rng):
    z = np.linspace(1, 4, 4000, dtype=np.float32)[None]
    levels = np.unique(DisparityQuantisation(steps=(100, 100))(z, rng, METRES))
    np.testing.assert_allclose(np.diff(1 / levels), -0.01, rtol=1e-3)
    d = np.linspace(10, 250, 4000, dtype=np.float32)[None]
    levels = np.unique(DisparityQuantisation(steps=(51, 51))(d, rng, DISPARITY))
    np.testing.assert_allclose(np.diff(levels), 5, rtol=1e-4)


def test_rounding_steps(rng):
    x = rng.uniform(0, 255, (20, 20)).astype(np.float32)
    np.testing.assert_allclose(Uint8Rounding()(x, rng, DISPARITY), np.rint(x), atol=1e-3)
    metres = rng.uniform(0.5, 4, (20, 20)).astype(np.float32)
    assert np.abs(Uint8Rounding()(metres, rng, METRES) - metres).max() <= 4 / 255 / 2 + 1e-6
    np.testing.assert_allclose(RangeRounding()(metres, rng, METRES), np.round(metres, 3), atol=1e-6)
    assert RangeRounding()(x, rng, DISPARITY) is x


@pytest.mark.parametrize("unit", [DISPARITY, METRES])
def test_flying_pixels_hang_between_both_sides_of_edges_only(rng, unit):
    depth = np.full((60, 60), unit.full_scale * 0.3, np.float32)
    depth[:, 30:] = unit.full_scale * 0.9
    out = FlyingPixels(share=1.0)(depth, np.random.default_rng(1), unit)
    changed = np.abs(out - depth) > 1e-4 * unit.full_scale
    assert changed[:, 29:31].any() and not changed[:, :28].any() and not changed[:, 32:].any()
    assert out.min() >= depth.min() * 0.999 and out.max() <= depth.max() * 1.001


def test_holes_stay_within_their_share(rng):
    depth = np.full((64, 64), 2, np.float32)
    shares = [np.isnan(Holes(share=0.3)(depth, rng, METRES)).mean() for _ in range(30)]
    assert max(shares) < 0.35 and max(shares) > 0.1 and min(shares) < 0.1


def test_degrader_draws_kernels_by_weight_and_noise_by_probability(depth):
    kernels = [WeightedKernel("nearest", 3), WeightedKernel("block_mean", 1), WeightedKernel("inter_cubic", 0)]
    degrader = Degrader(kernels, [Holes(probability=0.5)])
    nearest, holes = downsample(depth, 4, "nearest"), 0
    plain = downsample(depth, 4, "block_mean")
    counts = {"nearest": 0, "mean": 0}
    for seed in range(400):
        out = degrader(depth, 4, np.random.default_rng(seed), DISPARITY)
        valid = np.isfinite(out)
        holes += not valid.all()
        counts["nearest"] += np.array_equal(out[valid], nearest[valid])
        counts["mean"] += np.array_equal(out[valid], plain[valid])
    assert counts["nearest"] + counts["mean"] == 400 and 270 < counts["nearest"] < 330
    assert 170 < holes < 230


def test_degrader_is_deterministic(depth):
    degrader = Degrader(
        [WeightedKernel("bicubic"), WeightedKernel("block_mean")],
        [RangeNoise(), FlyingPixels(), Holes(), Uint8Rounding()],
    )
    a, b, c = (degrader(depth, 4, np.random.default_rng([5, n]), DISPARITY) for n in (1, 1, 2))
    assert np.array_equal(a, b, equal_nan=True) and not np.array_equal(a, c, equal_nan=True)


@pytest.mark.parametrize(
    ("kernels", "noise", "message"),
    [
        ([], [], "needs kernels"),
        ([WeightedKernel("block_mean", 0)], [], "not all 0"),
        ([WeightedKernel("block_mean", -1)], [], "weights >= 0"),
        ([WeightedKernel("block_mean")], [RangeNoise(probability=1.5)], r"RangeNoise must be in 0-1, got 1\.5"),
    ],
)
def test_degrader_refuses_impossible_settings(kernels, noise, message):
    with pytest.raises(ValueError, match=message):
        Degrader(kernels, noise)


def test_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match=r"unknown LR kernel 'MatlabBicubic': expected one of block_mean, bicubic"):
        WeightedKernel("MatlabBicubic")
