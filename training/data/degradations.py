"""From an exact high-resolution depth patch to the low-resolution one that a network sees.

A `Degrader` draws one kernel by weight, then applies each noise step with its probability. The paper's setting is
one kernel and no noise; the robust setting several of both:

    degradation:
      kernels:
        - {kernel: bicubic, weight: 2}
        - {kernel: block_mean}
        - {kernel: inter_cubic}
      noise:
        - {class_path: RangeNoise, init_args: {probability: 0.5, sigma: [0.0, 0.01]}}
        - {class_path: Uint8Rounding, init_args: {probability: 0.5}}

Kernels and the rule for holes are those of `depth_sr_ros.lr_kernels`, which the benchmark uses too.

Strengths of noise are fractions of a map's full scale (`DepthUnit.full_scale`), so one setting serves metres,
disparities and arbitrary units; where the physics differs by unit, the class says how.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from depth_sr_ros.lr_kernels import check_lr_kernel, downsample
from depth_sr_ros.synthetic import sensor

from .sample import DepthUnit


@dataclass
class WeightedKernel:
    """An LR kernel and its share among the kernels of a `Degrader`.

    Attributes:
        kernel: one of `depth_sr_ros.lr_kernels.LR_KERNELS`.
        weight: its share, relative to the other kernels' weights; at least 0.

    Raises:
        ValueError: unknown kernel.
    """

    kernel: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_lr_kernel(self.kernel)


@dataclass
class Noise(ABC):
    """One effect of a sensor on the low-resolution map. `probability`: the share of maps that it touches."""

    probability: float = 1.0

    @abstractmethod
    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        """(h, w) float32, NaN invalid -> the same with the effect."""


@dataclass
class RangeNoise(Noise):
    """Gaussian noise: of constant deviation on disparities, growing with the square of the depth on the other units.

    Attributes:
        sigma: least and greatest standard deviation at full scale, as fractions of it; drawn uniformly per map.
        correlation: radius over which neighbouring errors agree, LR pixels; 0 for independent pixels.
    """

    sigma: tuple[float, float] = (0.0, 0.01)
    correlation: float = 0.0

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        sigma = rng.uniform(*self.sigma) * unit.full_scale
        if unit.name == "disparity":
            return sensor.add_range_noise(depth, rng, sigma, 0.0, self.correlation)
        return sensor.add_range_noise(depth, rng, 0.1 * sigma, 0.9 * sigma / unit.full_scale**2, self.correlation)


@dataclass
class DisparityQuantisation(Noise):
    """Steps of a stereo matcher: equal steps in disparity, hence steps that grow with z^2 in metres.

    Attributes:
        steps: least and greatest number of disparity steps between nothing and the map's largest disparity; drawn
            log-uniformly per map. In metres the nearest valid depth has the largest disparity; arbitrary units are
            taken as disparities.
    """

    steps: tuple[float, float] = (64.0, 1024.0)

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        steps = float(np.exp(rng.uniform(*np.log(self.steps))))
        if unit.name != "m":
            return sensor.quantise_range(depth, unit.full_scale / steps)
        nearest = np.nanmin(depth) if np.isfinite(depth).any() else 1.0
        return sensor.quantise_disparity(depth, float(nearest), 1.0 / steps)


@dataclass
class Uint8Rounding(Noise):
    """Stored as an 8-bit image: rounded to 1/255 of full scale, i.e. to whole grey levels of 8-bit disparities."""

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        return sensor.quantise_range(depth, unit.level)


@dataclass
class RangeRounding(Noise):
    """Stored in whole millimetres (16UC1). Touches metres only: other units have no millimetre.

    Attributes:
        step: metres.
    """

    step: float = 0.001

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        return sensor.quantise_range(depth, self.step) if unit.name == "m" else depth


@dataclass
class FlyingPixels(Noise):
    """Pixels on depth edges that hang anywhere between both sides.

    Attributes:
        share: greatest share (0-1) of the edge pixels; drawn uniformly from 0 per map.
        jump: step that counts as an edge: a fraction of the nearer depth in metres, of full scale in other units.
    """

    share: float = 0.3
    jump: float = 0.04

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        share = rng.uniform(0, self.share)
        if unit.name == "m":
            return sensor.add_flying_pixels(depth, rng, share, self.jump)
        # The sensor's edge is relative to the depth; far above zero that becomes relative to full scale.
        far = np.float32(100 * unit.full_scale)
        return sensor.add_flying_pixels(depth + far, rng, share, self.jump / 100) - far


@dataclass
class Holes(Noise):
    """Lost readings: discs of lost pixels and single ones. Always leaves at least half of the map.

    Attributes:
        share: greatest share (0-1) of the map inside discs; drawn uniformly from 0 per map.
        radius: least and greatest radius of a disc, LR pixels.
        speckle: share (0-1) of single lost pixels.
    """

    share: float = 0.1
    radius: tuple[float, float] = (1.0, 4.0)
    speckle: float = 0.005

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        lost = rng.random(depth.shape) < self.speckle
        target = rng.uniform(0, self.share) * depth.size
        rows, columns = np.indices(depth.shape)
        while lost.sum() < min(target, 0.5 * depth.size):
            centre, radius = rng.uniform((0, 0), depth.shape), rng.uniform(*self.radius)
            lost |= np.hypot(rows - centre[0], columns - centre[1]) <= radius
        return np.where(lost, np.nan, depth).astype(np.float32)


@dataclass
class Degrader:
    """A kernel drawn by weight, then noise steps in their order, each with its probability.

    Attributes:
        kernels: at least one.
        noise: applied in order.

    Raises:
        ValueError: no kernel, a negative weight, all weights 0, or a probability outside 0-1.
    """

    kernels: list[WeightedKernel] = field(default_factory=lambda: [WeightedKernel("bicubic")])
    noise: list[Noise] = field(default_factory=list)

    def __post_init__(self) -> None:
        weights = [kernel.weight for kernel in self.kernels]
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"a Degrader needs kernels with weights >= 0, not all 0; got {self.kernels}")
        for step in self.noise:
            if not 0 <= step.probability <= 1:
                raise ValueError(f"the probability of {type(step).__name__} must be in 0-1, got {step.probability}")

    def __call__(self, depth: np.ndarray, scale: int, rng: np.random.Generator, unit: DepthUnit) -> np.ndarray:
        """Degrade one map.

        Args:
            depth: (H, W) float32, NaN invalid; `scale` divides both sizes.
            scale: 2, 4, 8 or 16.
            rng: source of all choices: the same state gives the same result.
            unit: what the numbers mean.

        Returns:
            (H / scale, W / scale) float32, NaN invalid.
        """
        weights = np.array([kernel.weight for kernel in self.kernels])
        kernel = self.kernels[int(rng.choice(len(weights), p=weights / weights.sum()))].kernel
        depth_lr = downsample(depth, scale, kernel, level=unit.level)
        for step in self.noise:
            if rng.random() < step.probability:
                depth_lr = step(depth_lr, rng, unit)
        return depth_lr


def round_half_up(x: np.ndarray) -> np.ndarray:
    """To whole numbers as MATLAB's uint8() does for positive ones; np.rint takes halves to even numbers."""
    return np.floor(x + 0.5)
