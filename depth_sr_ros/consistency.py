"""Make any high-resolution depth agree with the sensor: the block mean of the output equals the valid input.

It is DADA's adjustment step (eq. 3) used once, as a projection. The block mean of the result is exact after one
application because each HR pixel belongs to one LR cell.
"""

from __future__ import annotations

import torch

from .resize import block_mean, repeat

ADJUSTMENTS = ("additive", "multiplicative")


def enforce_consistency(depth: torch.Tensor, depth_lr: torch.Tensor, adjustment: str = "additive") -> torch.Tensor:
    """Shift (additive) or scale (multiplicative) every cell so that block_mean(depth) equals depth_lr where valid.

    Args:
        depth: (B, 1, h * s, w * s), finite.
        depth_lr: (B, 1, h, w) in the same unit; NaN marks an invalid cell, which is left as it is.
        adjustment: "additive" (Euclidean projection, keeps the detail's amplitude) or "multiplicative" (eq. 3,
            keeps depth ratios and the sign; a cell whose mean is not positive is shifted instead).

    Returns:
        (B, 1, h * s, w * s).

    Raises:
        ValueError: for an unknown adjustment or sizes that no integer scale relates.
    """
    if adjustment not in ADJUSTMENTS:
        raise ValueError(f"adjustment must be one of {ADJUSTMENTS}, got {adjustment!r}")
    scale = depth.shape[-1] // depth_lr.shape[-1]
    if depth.shape[-2:] != (depth_lr.shape[-2] * scale, depth_lr.shape[-1] * scale):
        raise ValueError(
            f"output {tuple(depth.shape[-2:])} is no integer multiple of the input {tuple(depth_lr.shape[-2:])}"
        )
    mean = block_mean(depth, scale)
    valid = torch.isfinite(depth_lr)
    shift = torch.where(valid, depth_lr - mean, torch.zeros_like(mean))
    if adjustment == "additive":
        return depth + repeat(shift, scale)
    scalable = valid & (mean > 0) & (depth_lr > 0)
    ratio = torch.where(scalable, depth_lr / mean, torch.ones_like(mean))
    shift = torch.where(scalable, torch.zeros_like(mean), shift)
    return depth * repeat(ratio, scale) + repeat(shift, scale)
