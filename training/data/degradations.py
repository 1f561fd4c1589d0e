"""From an exact high-resolution depth patch to the low-resolution one that a network sees.

A `Degrader` draws one kernel by weight, then applies each noise step with its probability. The paper's setting is
one kernel and no noise; the robust setting several of both:

    degradation:
      kernels:
        - {class_path: MatlabBicubic, init_args: {weight: 2}}
        - {class_path: BlockMean}
        - {class_path: PlainCubic}
      noise:
        - {class_path: RangeNoise, init_args: {probability: 0.5, sigma: [0.0, 0.01]}}
        - {class_path: Uint8Rounding, init_args: {probability: 0.5}}

Holes: every kernel works on hole-filled depth (nearest valid value) except the block mean, which leaves invalid
pixels out; a cell with half its pixels invalid is invalid (NaN) under every kernel.

Strengths of noise are fractions of a map's full scale (`Scale.full`), so one setting serves metres, disparities and
arbitrary units; where the physics differs by unit, the class says how.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from depth_sr_ros.depth import fill_holes
from depth_sr_ros.resize import bicubic_matrix
from depth_sr_ros.synthetic import sensor

from .sample import Unit


@dataclass(frozen=True)
class Scale:
    """What the numbers of a depth map mean.

    Attributes:
        unit: as in `RGBDSample`.
        full: the map's full scale in that unit: 255 for 8-bit disparities, else its greatest value.
    """

    unit: Unit
    full: float

    @property
    def rounding_step(self) -> float:
        """One grey level of an 8-bit image that holds the whole map."""
        return self.full / 255


@dataclass
class Kernel(ABC):
    """How high-resolution pixels become one low-resolution pixel. `weight`: its share among the kernels."""

    weight: float = 1.0

    @abstractmethod
    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        """(H, W) float32, NaN invalid -> (H / scale, W / scale) float32, NaN where half a cell or more is invalid."""

    def _shifted(self, depth: np.ndarray, scale: int, kernel: str) -> np.ndarray:
        # The shared hole filling takes values <= 0 for holes; a kernel that sums to 1 commutes with a shift.
        least = np.nanmin(depth) if np.isfinite(depth).any() else 1.0
        if least > 0:
            return sensor.downsample(depth, scale, kernel)
        shift = np.float32(1 - least)
        return sensor.downsample(depth + shift, scale, kernel) - shift


@dataclass
class MatlabBicubic(Kernel):
    """MATLAB's imresize: bicubic, antialiased. The papers' kernel (protocol P1)."""

    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        return self._shifted(depth, scale, "bicubic")


@dataclass
class BlockMean(Kernel):
    """Mean of the valid pixels of each cell: what a depth camera's pixel integrates, and DADA's protocol."""

    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        return sensor.downsample(depth, scale, "block_mean")


@dataclass
class Nearest(Kernel):
    """One pixel of each cell (row and column scale // 2): no mixing at edges, plain aliasing."""

    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        return sensor.downsample(depth, scale, "nearest")


@dataclass
class PlainCubic(Kernel):
    """cv2.resize with INTER_CUBIC: bicubic without antialiasing, the kernel that clean-trained networks fail on."""

    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        return self._shifted(depth, scale, "inter_cubic")


@dataclass
class Uint8Bicubic(Kernel):
    """MATLAB's imresize of 8-bit images: rows before columns, halves rounded up after each of both passes.

    Protocol P2 of Middlebury 2005.
    """

    def __call__(self, depth: np.ndarray, scale: int, levels: Scale) -> np.ndarray:
        step = levels.rounding_step
        wide = round_half_up(depth / step)
        holes = np.isnan(self._shifted(wide, scale, "bicubic"))
        rows = bicubic_matrix(depth.shape[0], depth.shape[0] // scale)
        columns = bicubic_matrix(depth.shape[1], depth.shape[1] // scale)
        between = np.clip(round_half_up(rows @ fill(wide).astype(np.float64)), 0, 255)
        result = np.clip(round_half_up(between @ columns.T), 0, 255)
        return np.where(holes, np.nan, result * step).astype(np.float32)


@dataclass
class Noise(ABC):
    """One effect of a sensor on the low-resolution map. `probability`: the share of maps that it touches."""

    probability: float = 1.0

    @abstractmethod
    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
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

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        sigma = rng.uniform(*self.sigma) * levels.full
        if levels.unit == "disparity":
            return sensor.add_range_noise(depth, rng, sigma, 0.0, self.correlation)
        return sensor.add_range_noise(depth, rng, 0.1 * sigma, 0.9 * sigma / levels.full**2, self.correlation)


@dataclass
class DisparityQuantisation(Noise):
    """Steps of a stereo matcher: equal steps in disparity, hence steps that grow with z^2 in metres.

    Attributes:
        steps: least and greatest number of disparity steps between nothing and the map's largest disparity; drawn
            log-uniformly per map. In metres the nearest valid depth has the largest disparity; arbitrary units are
            taken as disparities.
    """

    steps: tuple[float, float] = (64.0, 1024.0)

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        steps = float(np.exp(rng.uniform(*np.log(self.steps))))
        if levels.unit != "m":
            return sensor.quantise_range(depth, levels.full / steps)
        nearest = np.nanmin(depth) if np.isfinite(depth).any() else 1.0
        return sensor.quantise_disparity(depth, float(nearest), 1.0 / steps)


@dataclass
class Uint8Rounding(Noise):
    """Stored as an 8-bit image: rounded to 1/255 of full scale, i.e. to whole grey levels of 8-bit disparities."""

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        return sensor.quantise_range(depth, levels.rounding_step)


@dataclass
class RangeRounding(Noise):
    """Stored in whole millimetres (16UC1). Touches metres only: other units have no millimetre.

    Attributes:
        step: metres.
    """

    step: float = 0.001

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        return sensor.quantise_range(depth, self.step) if levels.unit == "m" else depth


@dataclass
class FlyingPixels(Noise):
    """Pixels on depth edges that hang anywhere between both sides.

    Attributes:
        share: greatest share (0-1) of the edge pixels; drawn uniformly from 0 per map.
        jump: step that counts as an edge: a fraction of the nearer depth in metres, of full scale in other units.
    """

    share: float = 0.3
    jump: float = 0.04

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        share = rng.uniform(0, self.share)
        if levels.unit == "m":
            return sensor.add_flying_pixels(depth, rng, share, self.jump)
        # The sensor's edge is relative to the depth; far above zero that becomes relative to full scale.
        far = np.float32(100 * levels.full)
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

    def __call__(self, depth: np.ndarray, rng: np.random.Generator, levels: Scale) -> np.ndarray:
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

    kernels: list[Kernel] = field(default_factory=lambda: [MatlabBicubic()])
    noise: list[Noise] = field(default_factory=list)

    def __post_init__(self) -> None:
        weights = [kernel.weight for kernel in self.kernels]
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"a Degrader needs kernels with weights >= 0, not all 0; got {self.kernels}")
        for step in self.noise:
            if not 0 <= step.probability <= 1:
                raise ValueError(f"the probability of {type(step).__name__} must be in 0-1, got {step.probability}")

    def __call__(self, depth: np.ndarray, scale: int, rng: np.random.Generator, levels: Scale) -> np.ndarray:
        """Degrade one map.

        Args:
            depth: (H, W) float32, NaN invalid; `scale` divides both sizes.
            scale: 2, 4, 8 or 16.
            rng: source of all choices: the same state gives the same result.
            levels: what the numbers mean.

        Returns:
            (H / scale, W / scale) float32, NaN invalid.
        """
        weights = np.array([kernel.weight for kernel in self.kernels])
        kernel = self.kernels[int(rng.choice(len(weights), p=weights / weights.sum()))]
        depth_lr = kernel(depth, scale, levels)
        for step in self.noise:
            if rng.random() < step.probability:
                depth_lr = step(depth_lr, rng, levels)
        return depth_lr


def round_half_up(x: np.ndarray) -> np.ndarray:
    """To whole numbers as MATLAB's uint8() does for positive ones; np.rint takes halves to even numbers."""
    return np.floor(x + 0.5)


def fill(depth: np.ndarray) -> np.ndarray:
    """`depth` with every NaN replaced by the nearest valid value; any unit, zero and negative values included.

    Raises:
        ValueError: no valid pixel.
    """
    holes = np.isnan(depth)
    if not holes.any():
        return depth
    if holes.all():
        raise ValueError("no valid pixel to fill from: the depth map is invalid everywhere")
    # fill_holes takes values <= 0 for holes: shift above them, and keep the valid pixels as they were.
    shift = np.float32(1 - min(0.0, float(np.nanmin(depth))))
    return np.where(holes, fill_holes(depth + shift) - shift, depth).astype(np.float32)
