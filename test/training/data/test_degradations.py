"""Low-resolution kernels against their definitions, and each noise step against what it promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from training.benchmark.protocols import imresize_uint8
from training.data.degradations import (
    BlockMean,
    Degrader,
    DisparityQuantisation,
    FlyingPixels,
    Holes,
    MatlabBicubic,
    Nearest,
    PlainCubic,
    RangeNoise,
    RangeRounding,
    Scale,
    Uint8Bicubic,
    Uint8Rounding,
    fill,
)

DISPARITY = Scale("disparity", 255.0)
METRES = Scale("m", 4.0)


@pytest.fixture
def depth(rng):
    """A disparity map of whole grey levels: two slanted planes."""
    rows, columns = np.indices((64, 96))
    return np.where(columns < 40, 180 + rows // 8, 40 + columns // 6).astype(np.float32)


def test_block_mean_leaves_holes_out(depth):
    depth[:8, :8] = np.nan
    depth[8:12, 8:10] = np.nan  # half of the cell at (2, 2) of x4
    depth[12, 8] = np.nan  # a sixteenth of the cell at (3, 2)
    lr = BlockMean()(depth, 4, DISPARITY)
    assert lr.shape == (16, 24) and np.isnan(lr[:2, :2]).all() and np.isnan(lr[2, 2])
    assert lr[3, 2] == pytest.approx(np.nanmean(depth[12:16, 8:12]))
    assert np.isnan(lr).sum() == 5


def test_matlab_bicubic_is_antialiased_and_plain_cubic_is_not(depth):
    inside = (slice(4, -4), slice(4, -4))  # Pillow treats the border its own way
    expected = np.asarray(Image.fromarray(depth).resize((24, 16), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(MatlabBicubic()(depth, 4, DISPARITY)[inside], expected[inside], atol=1e-3)
    plain = cv2.resize(depth, (24, 16), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(PlainCubic()(depth, 4, DISPARITY), plain, atol=1e-4)
    assert np.abs(plain - expected).max() > 1


def test_nearest_takes_one_pixel_of_each_cell(depth):
    assert np.array_equal(Nearest()(depth, 8, DISPARITY), depth[4::8, 4::8])


@pytest.mark.parametrize("scale", [2, 4])
def test_uint8_bicubic_is_the_benchmarks_protocol_2(rng, scale):
    depth = rng.integers(0, 256, (48, 64)).astype(np.float32)
    expected = imresize_uint8(depth, (48 // scale, 64 // scale))
    assert np.array_equal(Uint8Bicubic()(depth, scale, DISPARITY), expected)


def test_uint8_bicubic_is_pillows_mode_l(rng):
    depth = cv2.GaussianBlur(rng.uniform(30, 220, (64, 96)), (0, 0), 4).round().astype(np.float32)
    # Pillow passes along the rows first, MATLAB along the columns
    turned = Image.fromarray(np.ascontiguousarray(depth.T.astype(np.uint8)))
    expected = np.asarray(turned.resize((16, 24), Image.Resampling.BICUBIC)).T
    got = Uint8Bicubic()(depth, 4, DISPARITY)
    difference = np.abs(got - expected)[2:-2, 2:-2]
    assert np.array_equal(got, np.rint(got)) and difference.max() <= 1 and (difference > 0).mean() < 0.02


@pytest.mark.parametrize("kernel", [MatlabBicubic(), BlockMean(), Nearest(), PlainCubic(), Uint8Bicubic()])
def test_kernels_keep_a_constant_and_hole_out_where_half_a_cell_is_invalid(kernel):
    depth = np.full((32, 32), 100, np.float32)
    depth[:6, :8] = np.nan
    lr = kernel(depth, 8, DISPARITY)
    np.testing.assert_allclose(lr[~np.isnan(lr)], 100, rtol=1e-6)
    assert np.isnan(lr[0, 0]) and np.isnan(lr).sum() == 1


@pytest.mark.parametrize("kernel", [MatlabBicubic(), PlainCubic()])
def test_bicubic_kernels_serve_maps_with_zeros_and_negative_values(kernel, depth):
    depth[:3, :3] = np.nan
    reference = kernel(depth, 4, DISPARITY)
    np.testing.assert_allclose(kernel(depth - 200, 4, DISPARITY), reference - 200, atol=1e-4)


def test_kernels_survive_a_patch_without_a_valid_pixel():
    empty = np.full((16, 16), np.nan, np.float32)
    for kernel in (MatlabBicubic(), BlockMean(), Nearest(), PlainCubic()):
        assert np.isnan(kernel(empty, 4, DISPARITY)).all()


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


@pytest.mark.parametrize("levels", [DISPARITY, METRES])
def test_flying_pixels_hang_between_both_sides_of_edges_only(rng, levels):
    depth = np.full((60, 60), levels.full * 0.3, np.float32)
    depth[:, 30:] = levels.full * 0.9
    out = FlyingPixels(share=1.0)(depth, np.random.default_rng(1), levels)
    changed = np.abs(out - depth) > 1e-4 * levels.full
    assert changed[:, 29:31].any() and not changed[:, :28].any() and not changed[:, 32:].any()
    assert out.min() >= depth.min() * 0.999 and out.max() <= depth.max() * 1.001


def test_holes_stay_within_their_share(rng):
    depth = np.full((64, 64), 2, np.float32)
    shares = [np.isnan(Holes(share=0.3)(depth, rng, METRES)).mean() for _ in range(30)]
    assert max(shares) < 0.35 and max(shares) > 0.1 and min(shares) < 0.1


def test_degrader_draws_kernels_by_weight_and_noise_by_probability(depth):
    degrader = Degrader([Nearest(weight=3), BlockMean(weight=1), PlainCubic(weight=0)], [Holes(probability=0.5)])
    nearest, holes = Nearest()(depth, 4, DISPARITY), 0
    plain = BlockMean()(depth, 4, DISPARITY)
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
    degrader = Degrader([MatlabBicubic(), BlockMean()], [RangeNoise(), FlyingPixels(), Holes(), Uint8Rounding()])
    a, b, c = (degrader(depth, 4, np.random.default_rng([5, n]), DISPARITY) for n in (1, 1, 2))
    assert np.array_equal(a, b, equal_nan=True) and not np.array_equal(a, c, equal_nan=True)


@pytest.mark.parametrize(
    ("kernels", "noise", "message"),
    [
        ([], [], "needs kernels"),
        ([BlockMean(weight=0)], [], "not all 0"),
        ([BlockMean(weight=-1)], [], "weights >= 0"),
        ([BlockMean()], [RangeNoise(probability=1.5)], r"RangeNoise must be in 0-1, got 1\.5"),
    ],
)
def test_degrader_refuses_impossible_settings(kernels, noise, message):
    with pytest.raises(ValueError, match=message):
        Degrader(kernels, noise)


def test_fill_takes_the_nearest_valid_value_and_keeps_zeros():
    depth = np.array([[0, 0, np.nan, 5], [0, np.nan, 5, -2]], np.float32)
    filled = fill(depth)
    assert np.isfinite(filled).all() and np.array_equal(filled[np.isfinite(depth)], depth[np.isfinite(depth)])
    assert filled[0, 2] in (0, 5) and set(np.unique(filled)) == {0, 5, -2}
    with pytest.raises(ValueError, match="invalid everywhere"):
        fill(np.full((2, 2), np.nan, np.float32))
