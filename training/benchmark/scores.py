"""The numbers of a table cell, all over the pixels that are valid in the ground truth.

- ``mad``: mean absolute difference (the DADA tables call it MAE), in the data set's unit
- ``rmse``, ``mse``: root mean square error and its square
- ``psnr``: dB, peak 255; disparity data sets only
- ``pe``: percentage of pixels whose error exceeds `PE_THRESHOLD` = 4 of 255 levels; disparity data sets only. The
  cross-scale attention paper does not legibly define its PE; at 4 levels bicubic gives 1.46 / 3.09 % on Books and
  2.74 / 5.67 % on Laundry at x4 / x8, where its tables say 1.465 / 3.098 and 2.755 / 5.600
- ``lr_consistency``: mean |down(output) - input| before rounding, with the kernel that made the input
"""

from __future__ import annotations

import numpy as np

from depth_sr_ros.evaluation import metrics

from .protocols import Protocol

PE_THRESHOLD = 4.0
SCORES = ("mad", "rmse", "mse", "psnr", "pe", "lr_consistency")
HIGHER_IS_BETTER = ("psnr",)
PUBLISHED_NAMES = {"mae": "mad"}
"""Published metric names that are one of `SCORES` under another name."""


def score(
    output: np.ndarray,
    truth: np.ndarray,
    depth_lr: np.ndarray,
    protocol: Protocol,
    kernel: str,
    *,
    level: float | None = None,
) -> dict[str, float]:
    """Score one result.

    Args:
        output: (H, W) as the method returned it, finite wherever its LR cell is valid.
        truth: (H, W) ground truth, NaN invalid.
        depth_lr: (h, w) LR input, NaN invalid.
        protocol: rounding, border and unit.
        kernel: LR kernel that made `depth_lr`, one of `LR_KERNELS`.
        level: one grey level in the unit of the maps (`Scene.level`), for the kernels of 8-bit images.

    Returns:
        `SCORES` by name; without psnr and pe where the unit is not disparity.

    Raises:
        ValueError: when the output has holes where the ground truth is valid (leaving out hard pixels would flatter).
    """
    holes = np.isfinite(truth) & ~np.isfinite(output)
    if holes.any():
        raise ValueError(f"the output has no depth at {int(holes.sum())} of {holes.size} pixels that are scored")
    finished = protocol.finish(output)
    if protocol.border:
        inner = slice(protocol.border, -protocol.border)
        finished, truth = finished[inner, inner], truth[inner, inner]
    rmse = metrics.rmse(finished, truth)
    scores = {"mad": metrics.mad(finished, truth), "rmse": rmse, "mse": rmse**2}
    if "disparity" in protocol.unit:
        scores["psnr"] = metrics.psnr(finished, truth)
        scores["pe"] = metrics.percent_error(finished, truth, PE_THRESHOLD)
    scores["lr_consistency"] = metrics.lr_consistency(output, depth_lr, kernel, level=level)
    return scores
