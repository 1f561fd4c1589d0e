"""Soft depth edges: depth that a program has filled or smoothed has edges several pixels wide, not steps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class SoftEdges:
    """Gaussian blur of high-resolution patches, of the whole patch or of a part of it.

    Attributes:
        share: of the patches that are blurred (0-1).
        sigma: least and greatest standard deviation in HR pixels, drawn uniformly per patch.
        part: share (0-1) of the blurred patches in which only one side of a random line is blurred.
    """

    share: float = 0.0
    sigma: tuple[float, float] = (0.5, 3.0)
    part: float = 0.3

    def __post_init__(self) -> None:
        for name in ("share", "part"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share of the patches in 0-1, got {getattr(self, name)}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma is (least, greatest) with 0 < least <= greatest, got {self.sigma}")

    def __call__(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur one patch, or leave it.

        Args:
            depth: (H, W) float32, NaN invalid.
            rng: source of all choices; a generator of its own is spawned, so that later draws stay as they are.

        Returns:
            (H, W) float32, NaN where `depth` is.
        """
        rng = rng.spawn(1)[0]
        if rng.random() >= self.share:
            return depth
        blurred = gaussian(depth, rng.uniform(*self.sigma))
        if rng.random() >= self.part:
            return blurred
        weight = half_plane(depth.shape, rng)
        return ((1 - weight) * depth + weight * blurred).astype(np.float32)


def gaussian(depth: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur by normalised convolution: invalid pixels (NaN) take no part and stay invalid.

    Args:
        depth: (H, W) float32, NaN invalid.
        sigma: standard deviation, pixels.
    """
    holes = np.isnan(depth)
    if holes.all():
        return depth
    middle = np.nanmean(depth)  # around it, float32 rounds least
    values = np.where(holes, 0, depth - middle).astype(np.float32)
    total = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    if holes.any():
        share = cv2.GaussianBlur((~holes).astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        total = np.where(holes, np.nan, total / np.maximum(share, 1e-6))
    return (total + middle).astype(np.float32)


def half_plane(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(H, W) weights from 0 to 1 across a random line, the ramp between them 8 pixels wide."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.indices(shape, dtype=np.float32)
    through = rng.uniform(0.25, 0.75, 2) * shape
    distance = (rows - through[0]) * np.cos(angle) + (columns - through[1]) * np.sin(angle)
    return np.clip(distance / 8 + 0.5, 0, 1).astype(np.float32)
