"""Make any high-resolution depth agree with the sensor: the block mean of the output equals the valid input, and
no pixel lies beyond what was measured around it.

The first is DADA's adjustment step (eq. 3) used once, as a projection. The block mean of the result is exact after one
application because each HR pixel belongs to one LR cell.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..choices import ADJUSTMENTS
from ..resize import block_mean, repeat

BISECTIONS = 26  # 2^-26 of a cell's range: below float32 rounding


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


def clip_to_neighbours(depth: torch.Tensor, depth_lr: torch.Tensor) -> torch.Tensor:
    """Clip every pixel to the least and greatest depth measured around it, cells' means left free.

    For depth whose means need not be the readings. Arguments and bounds as in `bound_to_neighbours`.
    """
    scale = depth.shape[-1] // depth_lr.shape[-1]
    valid = torch.isfinite(depth_lr)
    high = F.max_pool2d(torch.where(valid, depth_lr, -torch.inf), 3, stride=1, padding=1)
    low = -F.max_pool2d(torch.where(valid, -depth_lr, -torch.inf), 3, stride=1, padding=1)
    nothing = low > high  # no reading around: no bound
    low, high = low.masked_fill(nothing, -torch.inf), high.masked_fill(nothing, torch.inf)
    return torch.clamp(depth, repeat(low, scale), repeat(high, scale))


def bound_to_neighbours(depth: torch.Tensor, depth_lr: torch.Tensor) -> torch.Tensor:
    """Keep every pixel between the least and greatest depth measured around it, and every cell at its mean.

    Where the guide's edges and the depth's disagree, a hard constraint on the mean pushes a few pixels of a cell far
    beyond anything measured nearby. Here each pixel of a cell is bounded by the 3 x 3 valid LR pixels around the
    cell, and the cell is shifted so that its mean is still its LR pixel: ``clip(depth + t, low, high)`` with t such
    that the mean is exact, found by bisection. It exists, because low <= depth_lr <= high.

    Args:
        depth: (B, 1, h * s, w * s), finite; its block mean equals depth_lr where valid.
        depth_lr: (B, 1, h, w) in the same unit; NaN marks an invalid cell, which is left as it is.

    Returns:
        (B, 1, h * s, w * s); cells without a pixel out of bounds are unchanged.
    """
    batch, _, rows, columns = depth_lr.shape
    scale = depth.shape[-1] // columns
    valid = torch.isfinite(depth_lr)
    high = F.max_pool2d(torch.where(valid, depth_lr, -torch.inf), 3, stride=1, padding=1)
    low = -F.max_pool2d(torch.where(valid, -depth_lr, -torch.inf), 3, stride=1, padding=1)
    cells = depth.reshape(batch, rows, scale, columns, scale).transpose(2, 3).reshape(-1, scale * scale)
    low, high, mean = low.reshape(-1, 1), high.reshape(-1, 1), depth_lr.reshape(-1, 1)
    outside = valid.reshape(-1) & ((cells < low) | (cells > high)).any(dim=1)
    if not bool(outside.any()):
        return depth
    pixels, low, high, mean = cells[outside], low[outside], high[outside], mean[outside]
    # at the first shift every pixel is clipped to low, at the second to high: the mean lies between
    least, most = low - pixels.amax(dim=1, keepdim=True), high - pixels.amin(dim=1, keepdim=True)
    for _ in range(BISECTIONS):
        shift = (least + most) / 2
        below = torch.clip(pixels + shift, low, high).mean(dim=1, keepdim=True) < mean
        least, most = torch.where(below, shift, least), torch.where(below, most, shift)
    cells = cells.clone()
    cells[outside] = torch.clip(pixels + (least + most) / 2, low, high)
    return cells.reshape(batch, rows, columns, scale, scale).transpose(2, 3).reshape(depth.shape)
