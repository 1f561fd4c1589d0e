"""Error measures between two depth (or disparity) maps, all over the pixels that are valid (finite) in both."""

from __future__ import annotations

import numpy as np

from ..lr_kernels import downsample


def _error(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Signed errors (N,) float64 over the pixels finite in both maps."""
    if estimate.shape != truth.shape:
        raise ValueError(f"estimate {estimate.shape} and ground truth {truth.shape} differ in shape")
    both = np.isfinite(estimate) & np.isfinite(truth)
    return estimate[both].astype(np.float64) - truth[both].astype(np.float64)


def mad(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference (= MAE), in the maps' unit; NaN when no pixel is valid in both."""
    error = _error(estimate, truth)
    return float(np.abs(error).mean()) if error.size else float("nan")


def rmse(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square error, in the maps' unit; NaN when no pixel is valid in both."""
    error = _error(estimate, truth)
    return float(np.sqrt((error**2).mean())) if error.size else float("nan")


def psnr(estimate: np.ndarray, truth: np.ndarray, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB for signals up to `peak` (255: disparities on the uint8 scale)."""
    error = rmse(estimate, truth)
    return float("inf") if error == 0 else float(20 * np.log10(peak / error))


def percent_error(estimate: np.ndarray, truth: np.ndarray, threshold: float = 1.0) -> float:
    """PE: the percentage (0-100) of pixels whose absolute error is above `threshold`, in the maps' unit."""
    error = _error(estimate, truth)
    return float(100 * (np.abs(error) > threshold).mean()) if error.size else float("nan")


def lr_consistency(
    output: np.ndarray, depth_lr: np.ndarray, kernel: str = "block_mean", *, level: float | None = None
) -> float:
    """Mean |downsample(output) - depth_lr| over the valid LR pixels, in the maps' unit: is the input kept?

    Args:
        output: (h * s, w * s) floating HR map; NaN invalid.
        depth_lr: (h, w) floating LR map; NaN invalid.
        kernel: one of `LR_KERNELS`, the one that made the input.
        level: of `LEVEL_KERNELS`, see `downsample`.
    """
    scale = output.shape[-1] // depth_lr.shape[-1]
    return mad(downsample(output.astype(np.float64), scale, kernel, level=level), depth_lr)
