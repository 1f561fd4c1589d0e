import numpy as np
import pytest

from training.benchmark.planes import denoise, deviation, noise_level, planar_regions

SHAPE, SIGMA = (192, 240), 0.002


@pytest.fixture(scope="module")
def two_planes():
    """Inverse depth of a slanted floor and a nearer wall before it: exact, and with noise of 0.002 / m."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    exact = 0.4 + 0.0008 * y + 0.0001 * x
    exact[40:150, 130:] = 0.8 - 0.0005 * x[40:150, 130:]
    return exact, exact + np.random.default_rng(0).normal(0, SIGMA, SHAPE)


def test_noise_level_is_the_noise_and_the_quantisation(two_planes):
    exact, noisy = two_planes
    assert noise_level(noisy) == pytest.approx(SIGMA, rel=0.15)
    step = 0.01
    assert noise_level(np.round(exact / step) * step) == pytest.approx(step / np.sqrt(12), rel=0.3)


def test_denoising_takes_noise_out_and_leaves_edges_and_holes(two_planes):
    exact, noisy = two_planes
    noisy = noisy.copy()
    noisy[10:20, 10:20] = np.nan
    clean = denoise(noisy)
    assert np.array_equal(np.isnan(clean), np.isnan(noisy))
    error = np.abs(clean - exact)
    assert np.nanmean(error) < 0.4 * np.nanmean(np.abs(noisy - exact))
    assert np.nanmax(error) < 5 * SIGMA  # the step between the surfaces is over 100 times the noise


def test_planar_regions_are_the_planes(two_planes):
    _, noisy = two_planes
    floor, wall = planar_regions(noisy)
    truth = np.zeros(SHAPE, bool)
    truth[40:150, 130:] = True
    assert (wall & truth).sum() > 0.95 * truth.sum() and (floor & ~truth).sum() > 0.95 * (~truth).sum()
    assert not (wall & floor).any() and (wall & ~truth).sum() < 0.02 * truth.sum()


def test_nothing_planar_in_a_bumpy_map():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    assert planar_regions(1 + 0.3 * np.sin(x / 9) * np.sin(y / 7)) == []


def test_deviation_is_the_noise_around_the_plane(two_planes):
    exact, _ = two_planes
    region = np.zeros(SHAPE, bool)
    region[160:, :] = True
    depth = 1 / exact + np.random.default_rng(1).normal(0, 0.01, SHAPE)
    assert deviation(depth, region, inverted=True) == pytest.approx(0.01, rel=0.03)
    assert deviation(exact, region, inverted=False) < 1e-9
    # a plane is not linear in depth: fitted as such, its bend would count as noise
    assert deviation(1 / exact, region, inverted=False) > 1e-4 > deviation(1 / exact, region, inverted=True)
