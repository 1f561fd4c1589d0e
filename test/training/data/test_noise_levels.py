"""Noise of known strength: sigma is the deviation of what was added, 0 on clean maps."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import Degrader, DepthSRData, RGBDSample, Source
from training.data.noise_levels import DisparitySteps, GaussianNoise, Rounding, SensorNoise
from training.data.sample import DepthUnit

METRES, DISPARITY = DepthUnit("m", 4.0), DepthUnit("disparity", 255.0)


@pytest.fixture
def slope() -> np.ndarray:
    """1 to 4 m, smooth."""
    y, x = np.mgrid[:160, :160]
    return (1 + 3 * (y + 0.37 * x) / 220).clip(1, 4).astype(np.float32)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_gaussian_noise_has_the_deviation_it_says(slope, rng, power):
    noise = GaussianNoise(sigma=(0.01, 0.01), powers=(power,), correlated=0.0)
    noisy, sigma = noise(slope, rng, METRES)
    np.testing.assert_allclose(sigma, 0.04 * (slope / 4) ** power, rtol=1e-5)
    assert np.isclose(((noisy - slope) / sigma).std(), 1, atol=0.03)


def test_correlated_noise_has_it_too(slope, rng):
    noise = GaussianNoise(sigma=(0.01, 0.01), powers=(0.0,), correlated=1.0, correlation=(0.8, 0.8))
    noisy, sigma = noise(slope, rng, METRES)
    error = (noisy - slope) / sigma
    assert np.isclose(error.std(), 1, atol=0.05) and (error[:, 1:] * error[:, :-1]).mean() > 0.3


@pytest.mark.parametrize("unit", [METRES, DISPARITY], ids=["m", "disparity"])
def test_steps_and_rounding_have_it_on_slopes(slope, rng, unit):
    depth = slope * unit.full_scale / 4
    for step in (DisparitySteps(steps=(100, 100)), Rounding()):
        stepped, sigma = step(depth, rng, unit)
        assert np.isclose(((stepped - depth) / sigma).std(), 1, atol=0.15)
        assert len(np.unique(stepped)) < depth.size / 5


def test_a_share_is_clean_and_sigma_errs_by_a_factor(slope):
    clean, ratios = 0, []
    only = {"disparity": DisparitySteps(probability=0), "rounding": Rounding(probability=0)}
    gaussian = GaussianNoise(probability=1, sigma=(0.01, 0.01), powers=(0.0,), correlated=0)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        noise = SensorNoise(clean=0.4, flying=0.3, gaussian=gaussian, sigma_error=0.2, **only)
        noisy, sigma = noise(slope[:16, :16], rng, METRES)
        if not sigma.any():
            assert np.array_equal(noisy, slope[:16, :16])
            clean += 1
        else:
            ratios.append(np.log(sigma.mean() / 0.04))
    assert 90 < clean < 150
    assert abs(np.mean(ratios)) < 0.05 and 0.15 < np.std(ratios) < 0.25


def test_holes_stay_holes_and_sigma_has_none(slope, rng):
    slope[20:30, 40:60] = np.nan
    for _ in range(20):
        noisy, sigma = SensorNoise(clean=0.0)(slope, rng, METRES)
        assert np.isnan(noisy[20:30, 40:60]).all() and np.isfinite(sigma).all()


class Plane(Source):
    """One scene, 1 to 5 m."""

    layout = "plane"
    names = ["plane"]  # noqa: RUF012

    def __getitem__(self, index: int) -> RGBDSample:
        depth = np.linspace(1, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
        return RGBDSample(depth, None, "plane", "m")


def test_patches_carry_sigma_in_the_unit_of_their_depth():
    gaussian = GaussianNoise(probability=1, sigma=(0.02, 0.02), powers=(0.0,), correlated=0)
    noise = SensorNoise(0.0, 0.0, gaussian, DisparitySteps(probability=0), Rounding(probability=0), sigma_error=0.0)
    data = DepthSRData(
        [Plane()],
        scale=2,
        patch=32,
        batch_size=4,
        patches_per_epoch=8,
        degradation=Degrader(),
        sensor_noise=noise,
        validation_scenes=[],
    )
    with pytest.warns(match="No validation frame"):
        data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["sigma"].shape == batch["depth_lr"].shape
    np.testing.assert_allclose(batch["sigma"] * batch["range"].view(-1, 1, 1, 1), 0.02 * 5, rtol=1e-3)
