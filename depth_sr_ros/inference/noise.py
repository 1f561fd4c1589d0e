"""How noisy a depth frame is, from the frame alone: the standard deviation per pixel, for networks that take it."""

from __future__ import annotations

import numpy as np

GAIN = 6.0
"""Standard deviation of the second difference along both axes, of white noise of standard deviation 1."""
QUARTILE = 0.3186
"""Lower quartile of the absolute value of a standard normal variable."""
OUTLIER = 4.0  # standard deviations of the second difference, beyond which its pixels are taken for an edge
ROUNDS = 4  # of leaving out edges
BINS = 6  # of depth, at most
LEAST_PIXELS = 100  # from which a bin's quartile is worth having
MOST_PIXELS = 30_000  # evenly spaced over the frame: more make the estimate no better, and a large frame slow


def estimate_sigma(depth: np.ndarray) -> np.ndarray:
    """Standard deviation of the noise of a depth frame, as a function of depth that never falls.

    The second difference along both axes, [1 -2 1]^T [1 -2 1], is 0 on a plane, on any sum of a function of rows and
    one of columns, and so nearly on every smooth surface. Of white noise it has 6 times the deviation. Its lower
    quartile is taken in bins of depth, with edges left out as outliers in a few rounds, and made non-decreasing over
    the bins.

    Noise that agrees between neighbours is underestimated, and so is that of whole steps (quantisation) where most
    neighbours agree: a frame of flights of steps has 0.

    Args:
        depth: (H, W) floating, any linear unit; NaN, infinite or <= 0 is invalid.

    Returns:
        (H, W) float32 in the unit of `depth`, at least 0, without NaN; at invalid pixels that of the median depth. 0
        everywhere where there are too few pixels to tell.
    """
    depth = np.asarray(depth, np.float64)
    known = np.isfinite(depth) & (depth > 0)
    depth = np.where(known, depth, np.nan)
    nothing = np.zeros(depth.shape, np.float32)
    if min(depth.shape) < 3:
        return nothing
    rows = depth[:-2] - 2 * depth[1:-1] + depth[2:]
    residual = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    inside = np.isfinite(residual)
    if inside.sum() < LEAST_PIXELS:
        return nothing
    every = -(-int(inside.sum()) // MOST_PIXELS)
    values, errors = depth[1:-1, 1:-1][inside][::every], residual[inside][::every] / GAIN
    order = np.argsort(values, kind="stable")
    bins = np.array_split(order, min(BINS, len(order) // LEAST_PIXELS))
    centres = np.array([np.median(values[part]) for part in bins])
    sigmas = non_decreasing(np.array([robust_deviation(errors[part]) for part in bins]))
    sigma = np.interp(np.where(known, depth, np.nanmedian(depth)), centres, sigmas)
    return sigma.astype(np.float32)


def checked_sigma(sigma: float | np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """`sigma` as float32, () or (H, W).

    Args:
        sigma: standard deviation of the noise, in the unit of depth.
        shape: of the depth frame; None where it is not known yet.

    Raises:
        ValueError: below 0, not finite, or of another shape.
    """
    checked = np.asarray(sigma, np.float32)
    if not np.all(np.isfinite(checked) & (checked >= 0)):
        raise ValueError("sigma must be finite and at least 0 in the unit of depth; None estimates it")
    if checked.ndim not in (0, 2) or (checked.ndim == 2 and shape not in (None, checked.shape)):
        raise ValueError(f"sigma must be a number or a map of the shape of depth {shape}, got shape {checked.shape}")
    return checked


def robust_deviation(errors: np.ndarray) -> float:
    """Standard deviation of normal numbers from their absolute values (N,), of which some are outliers."""
    kept = errors
    for _ in range(ROUNDS):
        sigma = float(np.quantile(kept, 0.25)) / QUARTILE
        inliers = errors[errors <= OUTLIER * sigma]
        if len(inliers) == len(kept) or len(inliers) < len(errors) // 4:
            return sigma
        kept = inliers
    return sigma


def non_decreasing(values: np.ndarray) -> np.ndarray:
    """The non-decreasing sequence nearest to `values` (N,) in the square (pooling of adjacent violators)."""
    pools: list[list[float]] = []  # sum and number
    for value in values:
        pools.append([float(value), 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, number = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + number]
    return np.concatenate([np.full(int(number), total / number) for total, number in pools])
