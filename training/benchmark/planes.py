"""Planes in a depth map: the map denoised, its planar regions, and the noise that is left on them.

A plane seen by a pinhole camera is linear in inverse depth, 1 / z = a x + b y + c, and in disparity; so everything here
works on such a map, called `inverse`, and speaks of depth only where it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

TILE = 24  # pixels; a seed plane must be seen undisturbed in one tile
WAVINESS = 0.012
LEAST_SHARE = 0.02  # of the map: smaller regions are no plane worth measuring
MOST_PLANES = 6
SEEDS = 150  # tiles tried
RADIUS = 6  # of the denoising window, pixels


def noise_level(inverse: np.ndarray) -> float:
    """Standard deviation of a map's local noise, quantisation included: around planes fitted to 12 x 12 pixels, the
    lowest quarter of which is taken to show one surface only.

    Args:
        inverse: (H, W) inverse depth or disparity, NaN invalid.
    """
    deviations = [deviation for deviation, _ in _tiles(inverse, TILE // 2)]
    return max(float(np.quantile(deviations, 0.25)) if deviations else 0.0, 1e-9)


def denoise(inverse: np.ndarray) -> np.ndarray:
    """The map with local noise and quantisation taken out and its edges kept: a bilateral filter of first order.

    Each pixel gets the value of the plane that fits its neighbourhood of 13 x 13 pixels best, neighbours weighted by
    distance (Gaussian of 3 pixels) and by how near their value is to the pixel's own (Gaussian of 3 noise levels), so
    that another surface has no say.

    Args:
        inverse: (H, W) inverse depth or disparity, NaN invalid.

    Returns:
        (H, W) float64, NaN where `inverse` is.
    """
    height, width = inverse.shape
    reach = 3 * noise_level(inverse)
    values = np.pad(inverse.astype(np.float64), RADIUS, constant_values=np.nan)
    moments = np.zeros((6, height, width))  # weights' sums over 1, x, y, xx, xy, yy
    right = np.zeros((3, height, width))  # of value over 1, x, y
    for y in range(-RADIUS, RADIUS + 1):
        for x in range(-RADIUS, RADIUS + 1):
            window = slice(RADIUS + y, RADIUS + y + height), slice(RADIUS + x, RADIUS + x + width)
            value = values[window]
            weight = np.exp(-(x * x + y * y) / 18 - ((values[window] - inverse) / reach) ** 2 / 2)
            weight = np.where(np.isfinite(value) & np.isfinite(weight), weight, 0.0)
            for index, factor in enumerate((1, x, y, x * x, x * y, y * y)):
                moments[index] += factor * weight
            weighted = weight * np.nan_to_num(value)
            for index, factor in enumerate((1, x, y)):
                right[index] += factor * weighted
    s1, sx, sy, sxx, sxy, syy = moments
    normal = np.stack([s1, sx, sy, sx, sxx, sxy, sy, sxy, syy], -1).reshape(height, width, 3, 3)
    normal += 1e-3 * (s1 + 1e-12)[..., None, None] * np.eye(3) * [0, 1, 1]  # too few neighbours for a slope: none
    normal[..., 0, 0] += 1e-12
    plane = np.linalg.solve(normal, right.transpose(1, 2, 0)[..., None])[..., 0]
    return np.where(np.isfinite(inverse), plane[..., 0], np.nan)


def planar_regions(inverse: np.ndarray) -> list[np.ndarray]:
    """Connected regions of a map that are planar to within its noise, largest first; (H, W) bool each, disjoint.

    Planes are seeded by least squares in tiles of 24 x 24 pixels, the quietest first, and grown over all connected
    pixels within 3 standard deviations of the map's noise or 1.2 % of the plane's value (depth cameras bend planes by
    so much), twice refitted.

    Args:
        inverse: (H, W) inverse depth or disparity, NaN invalid.
    """
    free = np.isfinite(inverse)
    noise = noise_level(inverse)
    regions = []
    for _, (rows, columns) in _tiles(inverse, TILE)[:SEEDS]:
        if not free[rows, columns].all():
            continue
        region = np.zeros(free.shape, bool)
        region[rows, columns] = True
        for _ in range(3):
            plane = Plane.fit(inverse, region).on(free.shape)
            near = free & (np.abs(inverse - plane) < np.maximum(3 * noise, WAVINESS * plane))
            near = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
            labels = cv2.connectedComponents(near, connectivity=4)[1]
            centre = labels[(rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2]
            if centre == 0:
                region = np.zeros(free.shape, bool)
                break
            region = labels == centre
        # single noisy pixels inside belong to the plane as well
        region = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
        region &= free
        if region.mean() >= LEAST_SHARE:
            regions.append(region)
            free &= ~region
        if len(regions) == MOST_PLANES:
            break
    return sorted(regions, key=lambda region: -int(region.sum()))


@dataclass(frozen=True)
class Plane:
    """value = slope_x * x + slope_y * y + offset over pixel coordinates, fitted by least squares."""

    slope_x: float
    slope_y: float
    offset: float

    @classmethod
    def fit(cls, inverse: np.ndarray, region: np.ndarray) -> Plane:
        """The plane through the pixels of `region` (H, W) bool, which must be finite and at least three."""
        y, x = np.nonzero(region)
        design = np.stack([x, y, np.ones(len(x))], 1).astype(np.float64)
        return cls(*np.linalg.lstsq(design, inverse[region].astype(np.float64), rcond=None)[0])

    def on(self, shape: tuple[int, int]) -> np.ndarray:
        """(H, W) float64 values of the plane."""
        return self.slope_x * np.arange(shape[1]) + self.slope_y * np.arange(shape[0])[:, None] + self.offset


def deviation(depth: np.ndarray, region: np.ndarray, inverted: bool) -> float:
    """Standard deviation of `depth` around the plane that fits it best in `region`, in the map's own unit.

    Args:
        depth: (H, W) depth (inverted) or disparity, finite in `region`.
        region: (H, W) bool, at least 4 pixels.
        inverted: `depth` is a depth, so that its inverse is linear on a plane.
    """
    linear = 1 / depth if inverted else depth
    plane = Plane.fit(linear, region).on(depth.shape)[region]
    residual = depth[region] - (1 / plane if inverted else plane)
    return float(np.sqrt((residual**2).sum() / (residual.size - 3)))


def _tiles(inverse: np.ndarray, size: int) -> list[tuple[float, tuple[slice, slice]]]:
    """The square tiles without holes, each after its standard deviation from its own plane, the quietest first."""
    y, x = np.mgrid[:size, :size]
    basis = np.linalg.qr(np.stack([np.ones(size * size), x.ravel(), y.ravel()], 1))[0]
    found = []
    for top in range(0, inverse.shape[0] - size + 1, size):
        for left in range(0, inverse.shape[1] - size + 1, size):
            tile = slice(top, top + size), slice(left, left + size)
            values = inverse[tile].ravel()
            if np.isfinite(values).all():
                found.append((float(np.std(values - basis @ (basis.T @ values))), tile))
    return sorted(found, key=lambda entry: entry[0])
