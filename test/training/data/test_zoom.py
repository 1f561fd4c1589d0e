"""Zoom: edges stay one pixel wide, surfaces stay themselves, colour goes along."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.zoom import zoom


@pytest.fixture
def edge():
    """A slanted plane with a nearer slanted plane before it, cut diagonally; colour shows the same edge."""
    rows, columns = np.indices((32, 32), dtype=np.float32)
    near = columns + 0.5 * rows < 24
    depth = np.where(near, 180 - 0.5 * rows, 60 + 0.3 * columns).astype(np.float32)
    return depth, np.repeat(near[..., None].astype(np.float32), 3, axis=2), near


def test_enlarged_edges_are_one_pixel_wide_and_smooth(edge):
    depth, guide, _ = edge
    out, colour = zoom(depth, guide, 96, full=255)
    rows, columns = (np.indices((96, 96)) + 0.5) / 3 - 0.5
    on_near, on_far = np.abs(out - (180 - 0.5 * rows)), np.abs(out - (60 + 0.3 * columns))
    assert np.minimum(on_near, on_far).max() < 1.5  # nothing hangs between the planes
    # The contour follows the true line to within a pixel, not in stairs of three.
    width = (on_near < on_far).sum(axis=1)
    truth = np.clip((24 - 0.5 * rows[:, 0] + 0.5) * 3, 0, 96)
    assert np.abs(width - truth)[6:-6].max() <= 2.5 and np.abs(np.diff(width))[6:-6].max() <= 2
    assert colour.shape == (96, 96, 3) and colour.min() >= 0 and colour.max() <= 1
    assert (((colour[..., 0] > 0.1) & (colour[..., 0] < 0.9)).sum(axis=1)[6:-6] > 1).all()  # colour is soft there


def test_shrunk_depth_holds_source_values_only(edge):
    depth, guide, near = edge
    out, colour = zoom(depth, guide, 16, full=255)
    assert np.isin(out, depth).all() and out.shape == (16, 16)
    np.testing.assert_allclose(colour[..., 0], near.reshape(16, 2, 16, 2).mean(axis=(1, 3)), atol=1e-6)


def test_holes_are_zoomed_too_and_bleed_into_nothing(edge):
    depth = edge[0].copy()
    depth[8:12, 20:24] = np.nan
    out, _ = zoom(depth, None, 64, full=255)
    assert np.isnan(out[16:24, 40:48]).all() and np.isnan(out).sum() == 64
    assert np.isnan(zoom(np.full((8, 8), np.nan, np.float32), None, 16, 255)[0]).all()


def test_same_size_is_the_same_crop(edge):
    depth, guide, _ = edge
    same, colour = zoom(depth, guide, 32, 255)
    assert same is depth and colour is guide
