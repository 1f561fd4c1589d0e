"""Affinity between the pixels of a feature map (CTKT eq. 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def affinity(features: torch.Tensor, pool: int | None = None) -> torch.Tensor:
    """A(F) = softmax(R(F) R(F)^T): each row says how much every pixel resembles one pixel; rows sum to 1.

    For H x W pixels the matrix has (H W)^2 entries. With `pool`, features are first averaged to a grid of at most
    pool x pool cells (pool = 16: 65,536 entries per sample), so that it fits and costs little.

    Args:
        features: (B, C, H, W).
        pool: side of the grid in cells; None keeps every pixel.

    Returns:
        (B, P, P) with P the number of cells (or pixels), rows first.
    """
    if pool is not None:
        features = F.adaptive_avg_pool2d(features, (min(pool, features.shape[-2]), min(pool, features.shape[-1])))
    rows = features.flatten(2).transpose(1, 2)
    return torch.softmax(rows @ rows.transpose(1, 2), dim=-1)
