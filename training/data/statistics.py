"""Statistics of depth maps and of the colour beside them: what makes one data set look like another to a network.

Everything about depth is relative to the map's own range (greatest minus least valid value), so that metres and
disparities compare. Holes are filled by their nearest valid value first: an edge hidden in an occlusion hole counts
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from depth_sr_ros.depth import fill_holes

from .sample import RGBDSample
from .zoom import JUMP

THIN = 9
"""Side of the square, pixels, that does not fit into a thin structure."""

WINDOW = 21
"""Side of the square, pixels, over which a surface's slope is fitted: below it 8-bit rounding is all one sees."""

COLOUR_STEP = 0.04
"""Gradient of the luminance (0 to 1) per pixel that counts as a colour edge: a step of 8 % of the full range."""

REACH = 2
"""Pixels within which a depth edge and a colour edge belong together."""


@dataclass(frozen=True)
class DepthStatistics:
    """Of one map, or the mean over several maps; NaN where there was nothing to measure.

    Attributes:
        edge_density: share (0 to 1) of pixels at a depth edge.
        contrast_median: median jump at depth edges, fraction of the range.
        contrast_high: its 90th percentile.
        thin: share of valid pixels on thin structures.
        slope_median: median slope of surfaces, fraction of the range per 100 pixels.
        slope_high: its 90th percentile.
        depth_only: share of depth-edge pixels without a colour edge within `REACH` pixels.
        colour_only: share of colour-edge pixels without a depth edge within `REACH` pixels.
    """

    edge_density: float
    contrast_median: float
    contrast_high: float
    thin: float
    slope_median: float
    slope_high: float
    depth_only: float
    colour_only: float


def measure(sample: RGBDSample) -> DepthStatistics:
    """All statistics of one sample.

    Raises:
        ValueError: no valid pixel, or all of one depth, for which fractions of the range mean nothing.
    """
    valid = ~np.isnan(sample.depth)
    span = float(np.ptp(sample.depth[valid])) if valid.any() else 0.0
    if span == 0:
        raise ValueError(f"{sample.name}: statistics need a map of at least two depths, got {valid.sum()} equal pixels")
    # Depth in metres grows away from the camera; disparities and Sintel's values grow towards it.
    nearness = (fill_holes(sample.depth) - np.nanmin(sample.depth)) / span * (-1 if sample.unit == "m" else 1)
    jump = jumps(nearness)
    edge = jump > JUMP
    thin = thin_structures(nearness)[valid]
    slope = slopes(nearness, valid & ~edge)
    depth_only = colour_only = np.nan
    if sample.guide is not None:
        depth_only, colour_only = unmatched(edge, colour_edges(sample.guide), valid)
    return DepthStatistics(
        edge_density=float(edge.mean()),
        contrast_median=_percentile(jump[edge], 50),
        contrast_high=_percentile(jump[edge], 90),
        thin=float(thin.mean()),
        slope_median=100 * _percentile(slope, 50),
        slope_high=100 * _percentile(slope, 90),
        depth_only=depth_only,
        colour_only=colour_only,
    )


def mean(statistics: Sequence[DepthStatistics]) -> DepthStatistics:
    """The mean over maps, each with the same weight; what a map does not have is left out."""
    columns = np.array([astuple(one) for one in statistics], float).T
    return DepthStatistics(*(float(np.nanmean(c)) if np.isfinite(c).any() else float("nan") for c in columns))


def jumps(depth: np.ndarray) -> np.ndarray:
    """Greatest absolute difference of each pixel to its four neighbours; (H, W), in the map's unit."""
    result = np.zeros_like(depth)
    for axis in (0, 1):
        step = np.abs(np.diff(depth, axis=axis))
        first, last = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        result[first] = np.maximum(result[first], step)
        result[last] = np.maximum(result[last], step)
    return result


def thin_structures(nearness: np.ndarray) -> np.ndarray:
    """(H, W) bool: the nearer surface here is too thin for a square of `THIN` x `THIN` pixels.

    These are the pixels that a morphological opening with that square sets back by more than `JUMP`.

    Args:
        nearness: (H, W) float32 without NaN, greater is nearer, range 1.
    """
    # The border goes on outside, so that what the picture's frame cuts off does not look thin.
    padded = cv2.copyMakeBorder(nearness.astype(np.float32), THIN, THIN, THIN, THIN, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((THIN, THIN), np.uint8))[THIN:-THIN, THIN:-THIN]
    return nearness - opened > JUMP


def slopes(depth: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Length of the gradient of the plane fitted to each window of `WINDOW` x `WINDOW` pixels.

    Args:
        depth: (H, W) without NaN.
        smooth: (H, W) bool, False at edges and holes: only windows without such a pixel are fitted.

    Returns:
        (N,) slopes of the windows, change of depth per pixel; N may be 0.
    """
    half = WINDOW // 2
    offset = np.arange(-half, half + 1, dtype=np.float64)
    ramp, flat = offset / (offset @ offset), np.full(WINDOW, 1 / WINDOW)
    source = depth.astype(np.float64)
    along_x, along_y = (cv2.sepFilter2D(source, -1, x, y) for x, y in ((ramp, flat), (flat, ramp)))
    kernel = np.ones((WINDOW, WINDOW), np.uint8)
    inside = cv2.erode(smooth.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    return np.hypot(along_x, along_y)[inside]


def colour_edges(rgb: np.ndarray) -> np.ndarray:
    """(H, W) bool: Sobel's 3x3 gradient of the luminance is longer than `COLOUR_STEP` per pixel.

    Args:
        rgb: (H, W, 3) uint8.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return np.hypot(*(cv2.Sobel(grey, -1, x, y, scale=1 / 8) for x, y in ((1, 0), (0, 1)))) > COLOUR_STEP


def unmatched(depth_edge: np.ndarray, colour_edge: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Share of depth edges without a colour edge within `REACH` pixels, and of colour edges without a depth edge.

    All arguments (H, W) bool. Edges closer than `REACH` to a hole are left out: where exactly the depth changes is
    not known there. NaN for a share of nothing.
    """
    kernel = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    known = cv2.erode(valid.astype(np.uint8), kernel) > 0
    shares = []
    for these, others in ((depth_edge, colour_edge), (colour_edge, depth_edge)):
        counted = these & known
        alone = counted & (cv2.dilate(others.astype(np.uint8), kernel) == 0)
        shares.append(float(alone.sum() / counted.sum()) if counted.any() else float("nan"))
    return shares[0], shares[1]


def _percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else float("nan")
