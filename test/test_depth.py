import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from depth_sr_ros.depth import expand_mask, fill_holes, from_metres, to_metres, valid_mask


def test_millimetres_become_metres_and_invalid_become_nan():
    raw = np.array([[0, 1500, 65535, 1]], np.uint16)
    np.testing.assert_array_equal(to_metres(raw), np.array([[np.nan, 1.5, np.nan, 0.001]], np.float32))


def test_float_metres_keep_values_and_lose_invalid():
    raw = np.array([[1.25, np.nan, np.inf, -np.inf, 0, -2]], np.float32)
    np.testing.assert_array_equal(to_metres(raw), np.array([[1.25] + 5 * [np.nan]], np.float32))


def test_max_depth_invalidates():
    assert np.isnan(to_metres(np.array([[5000]], np.uint16), max_depth=4.0)).all()


def test_to_metres_copies():
    raw = np.ones((2, 2), np.float32)
    to_metres(raw)[:] = 7
    assert (raw == 1).all()


@pytest.mark.parametrize("shape, dtype", [((2, 2), np.uint8), ((2, 2), np.int16), ((2, 2, 1), np.uint16)])
def test_to_metres_refuses_other_images(shape, dtype):
    with pytest.raises(ValueError, match="depth image"):
        to_metres(np.zeros(shape, dtype))


@given(arrays(np.uint16, (3, 4)))
def test_millimetres_round_trip(raw):
    expected = np.where(raw == 65535, 0, raw)
    np.testing.assert_array_equal(from_metres(to_metres(raw), np.uint16), expected)


def test_depth_beyond_uint16_is_invalid_not_wrapped():
    depth = np.array([[70.0, 65.6, 0.0002, np.nan, np.inf]], np.float32)
    np.testing.assert_array_equal(from_metres(depth, np.uint16), np.zeros((1, 5), np.uint16))


@given(st.integers(0, 2**31), st.floats(0.05, 0.95))
def test_fill_copies_the_nearest_measurement(seed, share):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 4, (12, 15)).astype(np.float32)
    depth[rng.random(depth.shape) < share] = np.nan
    depth[3, 4] = 1.0
    filled = fill_holes(depth)
    valid = valid_mask(depth)
    np.testing.assert_array_equal(filled[valid], depth[valid])
    assert np.isin(filled, depth[valid]).all()
    ys, xs = np.nonzero(valid)
    for y, x in zip(*np.nonzero(~valid)):
        distance = np.hypot(ys - y, xs - x)
        # the 5x5 chamfer distance is within 3 % of the Euclidean one
        candidates = depth[ys, xs][distance <= distance.min() * 1.04 + 1e-6]
        assert filled[y, x] in candidates


def test_fill_of_nothing_is_refused():
    with pytest.raises(ValueError, match="invalid everywhere"):
        fill_holes(np.full((4, 4), np.nan, np.float32))


def test_expand_mask_gives_each_pixel_its_cell():
    np.testing.assert_array_equal(expand_mask(np.array([[True, False]]), 2), [[1, 1, 0, 0], [1, 1, 0, 0]])
