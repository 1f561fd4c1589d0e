"""Training patches and whole validation frames, as the tensors that a batch is collated from.

Every random choice of patch `index` in `epoch` comes from (seed, epoch, index) alone: workers, restarts and the
number of devices do not change what patch 17 of epoch 3 looks like.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from depth_sr_ros.depth import expand_mask, fill_holes

from .augment import Augment
from .degradations import Degrader, round_half_up
from .noise_levels import SensorNoise
from .sample import DepthUnit
from .soft_edges import SoftEdges
from .store import SampleStore
from .zoom import zoom

Normalise = Literal["range", "max", "none"]
SCALES = (2, 4, 8, 16)
LEAST_LR_PATCH = 8
EIGHT_BIT_DISPARITY = DepthUnit("disparity", 255.0)
ATTEMPTS = 12  # positions tried for a patch with few enough holes


def check_geometry(scale: int, patch: int) -> None:
    """Raise ValueError, naming what would do, when `scale` or `patch` cannot be trained with."""
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(map(str, SCALES))}, got {scale}")
    if patch % scale:
        raise ValueError(
            f"a patch of {patch} HR pixels is not a multiple of the scale {scale}: "
            f"use {max(patch // scale, LEAST_LR_PATCH) * scale}"
        )
    if patch // scale < LEAST_LR_PATCH:
        raise ValueError(
            f"a patch of {patch} HR pixels is only {patch // scale} LR pixels wide at x{scale}, less than a network "
            f"needs to see an edge: use at least {LEAST_LR_PATCH * scale} (the papers use 256, or 16 LR pixels)"
        )


def make_tensors(
    depth: np.ndarray,
    guide: np.ndarray | None,
    *,
    scale: int,
    degrader: Degrader,
    rng: np.random.Generator,
    unit: DepthUnit,
    value_range: tuple[float, float],
    normalise: Normalise,
    measured: np.ndarray | None = None,
    sensor_noise: SensorNoise | None = None,
) -> dict[str, torch.Tensor]:
    """One map and its degraded form.

    The low-resolution map is made from `depth` with its holes (see `depth_sr_ros.lr_kernels`), then its own holes
    are filled, and so are those of the target: networks see numbers everywhere, `valid_lr` and `valid` say which are
    real. A pixel under an invalid LR cell is not valid either: nothing rewards inventing depth where the sensor saw
    none.

    Args:
        depth: (H, W) float32, NaN invalid, at least one valid pixel.
        guide: (H, W, 3) float32 in [0, 1], or None.
        value_range: least and greatest value of the whole map.
        normalise: "range" maps `value_range` to [0, 1], "max" divides by the greatest value (positive stays
            positive, ratios stay ratios), "none" keeps the unit.
        measured: (H, W) a sensor's own reading; filled and degraded in place of `depth` when given.
        sensor_noise: added to the low-resolution map; None: none but the degrader's.

    Returns:
        depth_lr (1, h, w), depth_hr (1, H, W) float32 without NaN; valid_lr, valid bool of the same shapes; guide
        (3, H, W) where given; sigma (1, h, w), the noise of depth_lr, with `sensor_noise`; offset and range (): unit
        value = tensor value * range + offset; level (): one level of an 8-bit image that holds the map, as a tensor
        value (whole levels count from 0 in the unit, not from offset).
    """
    depth_lr = degrader(depth if measured is None else fill_holes(measured), scale, rng, unit)
    sigma = None
    if sensor_noise is not None:
        depth_lr, sigma = sensor_noise(depth_lr, rng, unit)
    valid_lr = np.isfinite(depth_lr)
    if not valid_lr.any():  # noise has taken the last reading, or the readings lie in half-empty cells only
        depth_lr, valid = np.full_like(depth_lr, np.nanmean(depth)), np.zeros_like(depth, bool)
    else:
        valid = np.isfinite(depth) & expand_mask(valid_lr, scale)
    low, high = value_range
    offset = low if normalise == "range" else 0.0
    span = {"range": high - low, "max": abs(high), "none": 1.0}[normalise] or 1.0
    tensors = {
        "depth_lr": torch.from_numpy((fill_holes(depth_lr) - np.float32(offset)) / np.float32(span))[None],
        "depth_hr": torch.from_numpy((fill_holes(depth) - np.float32(offset)) / np.float32(span))[None],
        "valid_lr": torch.from_numpy(valid_lr)[None],
        "valid": torch.from_numpy(valid)[None],
        "offset": torch.tensor(offset, dtype=torch.float32),
        "range": torch.tensor(span, dtype=torch.float32),
        "level": torch.tensor(unit.level / span, dtype=torch.float32),
    }
    if sigma is not None:
        tensors["sigma"] = torch.from_numpy(sigma / np.float32(span))[None]
    if guide is not None:
        tensors["guide"] = torch.from_numpy(np.ascontiguousarray(guide.transpose(2, 0, 1)))
    return tensors


class PatchDataset(Dataset):
    """Random patches: `dataset[epoch, index]` for index in range(len(dataset)).

    A patch is what `make_tensors` gives, and `frame` (4,) float32: least, greatest and mean value and standard
    deviation (`MapStatistics`) of the whole map that it was cut from, in the unit of the patch's tensors and changed as
    its values were before any rounding.
    """

    def __init__(
        self,
        store: SampleStore,
        *,
        scale: int,
        patch: int,
        count: int,
        degrader: Degrader,
        augment: Augment,
        soft_edges: SoftEdges | None = None,
        sensor_noise: SensorNoise | None = None,
        normalise: Normalise = "range",
        with_guide: bool = True,
        max_invalid: float = 0.1,
        source_weights: list[float] | None = None,
        seed: int = 0,
    ) -> None:
        """Set up the draw.

        Args:
            store: the training samples.
            scale: 2, 4, 8 or 16.
            patch: side of a patch in HR pixels.
            count: patches per epoch.
            degrader: makes the low-resolution patch.
            augment: changes patches.
            soft_edges: blurs them after that; None: leaves edges as they are.
            sensor_noise: of the low-resolution patch, see `make_tensors`.
            normalise: see `make_tensors`.
            with_guide: add `guide` (zeros where a sample has none) and `has_guide`.
            max_invalid: largest invalid share (0-1) of a patch; after ATTEMPTS draws the best one is taken.
            source_weights: share of the patches per source; None: by the number of disjoint patches it holds.
            seed: of everything random.

        Raises:
            ValueError: impossible scale or patch, no sample as large as a patch, or weights that do not fit.
        """
        check_geometry(scale, patch)
        self.store, self.scale, self.patch, self.count = store, scale, patch, count
        self.degrader, self.augment, self.normalise = degrader, augment, normalise
        self.soft_edges, self.sensor_noise = soft_edges or SoftEdges(), sensor_noise
        self.with_guide, self.max_invalid, self.seed = with_guide, max_invalid, seed
        self._cumulative = np.cumsum(self._probabilities(source_weights))

    def _probabilities(self, source_weights: list[float] | None) -> np.ndarray:
        items, sources = self.store.items, self.store.sources
        if not items:
            raise ValueError(f"no training sample is left: {self.store.account()}")
        if source_weights is not None and (len(source_weights) != len(sources) or min(source_weights) < 0):
            raise ValueError(
                f"source_weights needs one number >= 0 for each of the {len(sources)} sources, got {source_weights}"
            )
        area = np.array([np.prod(item.shape) if min(item.shape) >= self.patch else 0.0 for item in items])
        if not area.any():
            largest = max((item.shape for item in items), key=min)
            raise ValueError(
                f"no sample is as large as a {self.patch}x{self.patch} patch; the largest is "
                f"{largest[0]}x{largest[1]}: choose a smaller patch"
            )
        probability = area / area.sum()
        if source_weights is not None:
            of_source = np.array([item.source for item in items])
            for number, weight in enumerate(source_weights):
                total = probability[of_source == number].sum()
                if weight > 0 and total == 0:
                    raise ValueError(f"{sources[number].layout} has weight {weight} but no sample to train on")
                probability[of_source == number] *= weight / total if total else 0.0
            if probability.sum() == 0:
                raise ValueError(f"source_weights {source_weights} leave nothing to train on")
        return probability / probability.sum()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: tuple[int, int]) -> dict:
        epoch, index = key
        if not 0 <= index < self.count:
            raise IndexError(f"{self.count} patches in an epoch, asked for number {index}")
        rng = np.random.default_rng([self.seed, epoch, index])
        number = min(int(np.searchsorted(self._cumulative, rng.random(), side="right")), len(self.store) - 1)
        sample, unit, frame = self.store.load(number)
        side = self.augment.crop_side(self.patch, min(sample.depth.shape), rng)
        rows, columns = self._place(sample.depth, side, rng)
        guide = None
        if self.with_guide and sample.guide is not None:
            guide = sample.guide[rows, columns].astype(np.float32) / 255
        depth, guide = zoom(sample.depth[rows, columns], guide, self.patch, unit.full_scale)
        depth, guide, values = self.augment(depth, guide, rng, frame[:2], unit.level)
        depth = self.soft_edges(depth, rng)
        tensors = make_tensors(
            depth,
            guide,
            scale=self.scale,
            degrader=self.degrader,
            rng=rng,
            unit=unit,
            value_range=frame[:2],
            normalise=self.normalise,
            sensor_noise=self.sensor_noise,
        )
        shift = tensors["offset"] * torch.tensor([1.0, 1.0, 1.0, 0.0])  # a spread knows no offset
        of_frame = torch.tensor(frame.changed(*values), dtype=torch.float32)
        tensors["frame"] = (of_frame - shift) / tensors["range"]
        if self.with_guide:
            tensors["has_guide"] = torch.tensor(guide is not None)
            tensors.setdefault("guide", torch.zeros(3, *depth.shape))
        return {**tensors, "name": self.store.items[number].name, "normalise": self.normalise}

    def _place(self, depth: np.ndarray, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
        """A position whose invalid share is at most `max_invalid`, or the best of ATTEMPTS random ones.

        Where even that is mostly holes, a position around a valid pixel.
        """
        best, least = (slice(0, side), slice(0, side)), 2.0
        for _ in range(ATTEMPTS):
            row = int(rng.integers(depth.shape[0] - side + 1))
            column = int(rng.integers(depth.shape[1] - side + 1))
            place = slice(row, row + side), slice(column, column + side)
            invalid = float(np.isnan(depth[place]).mean())
            if invalid < least:
                best, least = place, invalid
            if least <= self.max_invalid:
                break
        if least > max(0.5, self.max_invalid):  # hardly a reading among them: centre on one
            valid = np.argwhere(np.isfinite(depth))
            corner = valid[int(rng.integers(len(valid)))] - side // 2
            row, column = np.clip(corner, 0, np.array(depth.shape) - side)
            best = slice(row, row + side), slice(column, column + side)
        return best


class FrameDataset(Dataset):
    """Whole maps, cropped at the lower right to a multiple of the scale, degraded the same way every time.

    With `enlarge` above 1 their central squares, shown that many times as large (`zoom`), 8-bit disparities in whole
    levels again; a map without a valid pixel in its square stays as it is.
    """

    def __init__(
        self,
        store: SampleStore,
        *,
        scale: int,
        degrader: Degrader,
        normalise: Normalise = "range",
        with_guide: bool = True,
        enlarge: float = 1.0,
        seed: int = 0,
    ) -> None:
        check_geometry(scale, scale * LEAST_LR_PATCH)
        self.store, self.scale, self.degrader, self.seed = store, scale, degrader, seed
        self.normalise, self.with_guide, self.enlarge = normalise, with_guide, enlarge

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict:
        sample, unit, frame = self.store.load(index)
        depth, guide, measured = sample.depth, None, sample.measured
        if self.with_guide and sample.guide is not None:
            guide = sample.guide.astype(np.float32) / 255
        if self.enlarge > 1:
            depth, guide, measured = self._enlarged(depth, guide, measured, unit)
        height, width = (n // self.scale * self.scale for n in depth.shape)
        guide = None if guide is None else guide[:height, :width]
        tensors = make_tensors(
            depth[:height, :width],
            guide,
            scale=self.scale,
            degrader=self.degrader,
            rng=np.random.default_rng([self.seed, index]),
            unit=unit,
            value_range=frame[:2],
            normalise=self.normalise,
            measured=None if measured is None else measured[:height, :width],
        )
        if self.with_guide:
            tensors["has_guide"] = torch.tensor(guide is not None)
            tensors.setdefault("guide", torch.zeros(3, height, width))
        return {**tensors, "name": self.store.items[index].name, "normalise": self.normalise}

    def _enlarged(
        self, depth: np.ndarray, guide: np.ndarray | None, measured: np.ndarray | None, unit: DepthUnit
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        side = min(depth.shape)
        place = tuple(slice((n - side) // 2, (n - side) // 2 + side) for n in depth.shape)
        if np.isnan(depth[place]).all():  # no score could come of it
            return depth, guide, measured
        size = round(self.enlarge * side)
        if measured is not None:
            measured, _ = zoom(measured[place], None, size, unit.full_scale)
        depth, guide = zoom(depth[place], None if guide is None else guide[place], size, unit.full_scale)
        return round_half_up(depth) if unit == EIGHT_BIT_DISPARITY else depth, guide, measured
