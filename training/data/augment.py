"""Changes to a patch that leave the task the same: depth and colour move together."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .degradations import round_half_up


@dataclass
class Augment:
    """Which changes to draw for each training patch.

    Attributes:
        rotate: half of the patches turned by 180 degrees (the paper).
        flip: half of the patches mirrored left to right.
        transpose: half of the patches with rows and columns swapped.
        invert: share (0-1) of the patches whose values run the other way, near for far.
        value_scale: least and greatest factor on the values, drawn log-uniformly; changes how they relate to noise
            and rounding.
        gain: greatest relative change of the colour's brightness and of each channel; 0 for none.
        blur: greatest standard deviation of a Gaussian blur of the colour, pixels; drawn uniformly from 0.
        zoom: least and greatest magnification of the scene, drawn log-uniformly; third-size Middlebury at 3 has the
            contours and the softness of colour of the full-size benchmark. Applied where the patch is cut out.
        eight_bit: share (0-1) of the patches whose depth is rounded, last of all, to whole levels of an 8-bit image
            (1 for 8-bit disparities, else 1/255 of the map's greatest value: `DepthUnit`). The benchmark's ground truth
            is such an image: its planes are flights of steps, which a change of size or of values would smooth away.
            What was positive stays so: one level at least.
    """

    rotate: bool = True
    flip: bool = True
    transpose: bool = False
    invert: float = 0.0
    value_scale: tuple[float, float] = (1.0, 1.0)
    gain: float = 0.0
    blur: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    eight_bit: float = 0.0

    def __post_init__(self) -> None:
        for name in ("invert", "eight_bit"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share of the patches in 0-1, got {getattr(self, name)}")
        if self.eight_bit > 0 and self.value_scale[1] > 1:
            raise ValueError(f"eight_bit leaves no room above the full scale: value_scale {self.value_scale} exceeds 1")
        if not 0 < self.value_scale[0] <= self.value_scale[1]:
            raise ValueError(f"value_scale is (least, greatest) with 0 < least <= greatest, got {self.value_scale}")
        if not 0 <= self.gain < 1:
            raise ValueError(f"gain must be in [0, 1), got {self.gain}")
        if self.blur < 0:
            raise ValueError(f"blur is a standard deviation in pixels, got {self.blur}")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"zoom is (least, greatest) with 0 < least <= greatest, got {self.zoom}")

    def crop_side(self, patch: int, largest: int, rng: np.random.Generator) -> int:
        """Side in pixels of the crop that `zoom` turns into a patch: at most `largest`, `patch` without zoom."""
        if self.zoom == (1.0, 1.0):
            return patch
        least, greatest = np.log(self.zoom)
        return int(np.clip(round(patch / np.exp(rng.uniform(least, greatest))), 2, largest))

    def __call__(
        self,
        depth: np.ndarray,
        guide: np.ndarray | None,
        rng: np.random.Generator,
        value_range: tuple[float, float],
        level: float,
    ) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
        """Change one patch.

        Args:
            depth: (N, N) float32, NaN invalid.
            guide: (N, N, 3) float32 in [0, 1], or None.
            rng: source of all choices.
            value_range: least and greatest value of the whole map, for `invert`.
            level: one level of an 8-bit image that holds the whole map (`DepthUnit.level`), for `eight_bit`.

        Returns:
            The patch's depth and guide, and what happened to its values: (factor, shift) with
            new = factor * old + shift, before rounding.
        """
        # Drawn whether used or not, so that switching one change on leaves the others as they were.
        turns = rng.random(4)
        stretch, gains = rng.random(), rng.uniform(-1, 1, 4)
        rounded = rng.spawn(1)[0].random() < self.eight_bit  # without a draw from what the degrader will draw from
        if self.rotate and turns[0] < 0.5:
            depth, guide = depth[::-1, ::-1], None if guide is None else guide[::-1, ::-1]
        if self.flip and turns[1] < 0.5:
            depth, guide = depth[:, ::-1], None if guide is None else guide[:, ::-1]
        if self.transpose and turns[2] < 0.5:
            depth, guide = depth.T, None if guide is None else guide.swapaxes(0, 1)
        factor, shift = (-1.0, sum(value_range)) if turns[3] < self.invert else (1.0, 0.0)
        if factor < 0:
            depth = np.float32(shift) - depth
        low, high = np.log(self.value_scale)
        if high > 0 or low < 0:
            stretched = np.exp(low + stretch * (high - low))
            depth, factor, shift = depth * np.float32(stretched), stretched * factor, stretched * shift
        if guide is not None and self.gain > 0:
            guide = np.clip(guide * ((1 + self.gain * gains[0]) * (1 + 0.5 * self.gain * gains[1:])), 0, 1)
        if guide is not None and self.blur > 0:
            sigma = rng.uniform(0, self.blur)
            guide = cv2.GaussianBlur(guide.astype(np.float32), (0, 0), max(sigma, 0.05))
        if rounded:
            levels = round_half_up(depth / np.float32(level))
            depth = np.where((depth > 0) & (levels < 1), 1, levels) * np.float32(level)
        depth = np.ascontiguousarray(depth, np.float32)
        return depth, None if guide is None else np.ascontiguousarray(guide, np.float32), (factor, shift)
