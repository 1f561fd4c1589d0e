"""Noise on low-resolution depth together with its standard deviation, for networks that are told it (sigma)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .degradations import FlyingPixels
from .sample import DepthUnit


@dataclass
class GaussianNoise:
    """Gaussian noise whose standard deviation is c (z / full)^p: constant, linear or quadratic in the values.

    Attributes:
        probability: share (0-1) of the noisy maps that it touches.
        sigma: least and greatest c as fractions of the map's full scale; drawn log-uniformly per map.
        powers: p, one of which is drawn per map.
        correlated: share (0-1) of these maps in which neighbouring errors agree.
        correlation: least and greatest radius of that agreement, LR pixels.
    """

    probability: float = 0.75
    sigma: tuple[float, float] = (0.0005, 0.03)
    powers: tuple[float, ...] = (0.0, 0.0, 1.0, 2.0)
    correlated: float = 0.25
    correlation: tuple[float, float] = (0.4, 0.8)

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> tuple[np.ndarray, np.ndarray]:
        """(h, w) float32, NaN invalid -> the noisy map, and (h, w) the standard deviation of its noise."""
        strength = float(np.exp(rng.uniform(*np.log(self.sigma)))) * unit.full_scale
        share = np.clip(np.nan_to_num(depth / np.float32(unit.full_scale)), 0, 1)
        sigma = strength * share ** float(rng.choice(self.powers))
        noise = rng.standard_normal(depth.shape).astype(np.float32)
        if rng.random() < self.correlated:
            noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(*self.correlation)).astype(np.float32)
            noise /= noise.std() + 1e-12
        return (depth + sigma * noise).astype(np.float32), sigma


@dataclass
class DisparitySteps:
    """Equal steps in disparity, as a stereo matcher's: on metres they grow with z^2.

    Attributes:
        probability: share (0-1) of the noisy maps that it touches.
        steps: least and greatest number of steps up to the map's largest disparity; drawn log-uniformly per map. In
            metres that is the nearest depth's; other units are taken as disparities.
    """

    probability: float = 0.3
    steps: tuple[float, float] = (64.0, 1024.0)

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> tuple[np.ndarray, np.ndarray]:
        """As `GaussianNoise`; the deviation is that of a rounding error, step / sqrt(12)."""
        steps = float(np.exp(rng.uniform(*np.log(self.steps))))
        nearest = np.nanmin(depth) if np.isfinite(depth).any() else 1.0
        if unit.name != "m" or nearest <= 0:
            step = np.full(depth.shape, unit.full_scale / steps, np.float32)
            return (np.rint(depth / step) * step).astype(np.float32), step / np.sqrt(12)
        disparity = np.maximum(np.rint(steps * nearest / depth), 1)
        step = np.nan_to_num(depth**2 / (steps * nearest))
        return (steps * nearest / disparity).astype(np.float32), step / np.sqrt(12)


@dataclass
class Rounding:
    """Stored in whole levels of an 8-bit image or, for metres, half of the time in whole millimetres.

    Attributes:
        probability: share (0-1) of the noisy maps that it touches.
    """

    probability: float = 0.4

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> tuple[np.ndarray, np.ndarray]:
        """As `DisparitySteps`."""
        step = 0.001 if unit.name == "m" and rng.random() < 0.5 else unit.level
        return (np.rint(depth / step) * step).astype(np.float32), np.full(depth.shape, step / np.sqrt(12))


@dataclass
class SensorNoise:
    """A sensor's noise on a low-resolution map, and how strong it is.

    A share `clean` of the maps has no noise and sigma 0. The others get flying pixels, Gaussian noise, disparity steps
    and rounding, each with its probability. Sigma is the root of the sum of the last three's variances, times a factor
    per map that stands for the error of an estimate.

    Attributes:
        clean: share (0-1) of the maps without noise.
        flying: share (0-1) of the noisy ones with flying pixels (`FlyingPixels`).
        gaussian, disparity, rounding: as their classes say.
        sigma_error: standard deviation of the logarithm of that factor.
    """

    clean: float = 0.4
    flying: float = 0.3
    gaussian: GaussianNoise = field(default_factory=GaussianNoise)
    disparity: DisparitySteps = field(default_factory=DisparitySteps)
    rounding: Rounding = field(default_factory=Rounding)
    sigma_error: float = 0.2

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> tuple[np.ndarray, np.ndarray]:
        """(h, w) float32, NaN invalid -> the noisy map, and (h, w) float32 sigma in its unit, without NaN."""
        if rng.random() < self.clean:
            return depth, np.zeros(depth.shape, np.float32)
        if rng.random() < self.flying:
            depth = FlyingPixels()(depth, rng, unit)
        variance = np.zeros(depth.shape)
        for step in (self.gaussian, self.disparity, self.rounding):
            if rng.random() < step.probability:
                depth, sigma = step(depth, rng, unit)
                variance += sigma**2
        factor = np.exp(self.sigma_error * rng.standard_normal())
        return depth, (factor * np.sqrt(variance)).astype(np.float32)
