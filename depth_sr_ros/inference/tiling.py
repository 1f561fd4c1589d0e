"""Run a network on overlapping tiles when the whole frame does not fit the memory."""

from __future__ import annotations

import torch

from ..models import ResidualNetwork


def super_resolve_in_tiles(
    model: ResidualNetwork,
    depth_lr: torch.Tensor,
    guide: torch.Tensor | None,
    tile: int,
    overlap: int | None = None,
    sigma: torch.Tensor | None = None,
) -> torch.Tensor:
    """The network's output computed tile by tile, equal to the whole frame where `overlap` covers the receptive field.

    Depth is normalised over the whole frame first, so tiles agree on their range.

    Args:
        model: a network that sees normalised depth (see `ResidualNetwork`).
        depth_lr: (B, 1, h, w), finite.
        guide: (B, 3, h * scale, w * scale) or None.
        tile: edge of a tile in LR pixels, without its overlap; rounded up to the model's `tile_step`.
        overlap: LR pixels of context on each side, likewise rounded up; None: the model's `tile_overlap`.
        sigma: (B, 1, h, w) for a network that `accepts_sigma`; None: 0.

    Returns:
        (B, 1, h * scale, w * scale).
    """
    model.check_inputs(depth_lr, guide)
    scale = model.scale
    tile, overlap = (
        -(-n // model.tile_step) * model.tile_step for n in (tile, model.tile_overlap if overlap is None else overlap)
    )
    depth, low, extent = model.normalise(depth_lr)
    batch, _, height, width = depth.shape
    out = depth.new_empty(batch, 1, height * scale, width * scale)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y0, x0 = max(top - overlap, 0), max(left - overlap, 0)
            y1, x1 = min(bottom + overlap, height), min(right + overlap, width)
            piece = None if guide is None else guide[..., y0 * scale : y1 * scale, x0 * scale : x1 * scale]
            noise = None if sigma is None else sigma[..., y0:y1, x0:x1] / extent
            result = model.super_resolve_normalised(depth[..., y0:y1, x0:x1], piece, noise)
            out[..., top * scale : bottom * scale, left * scale : right * scale] = result[
                ..., (top - y0) * scale : (bottom - y0) * scale, (left - x0) * scale : (right - x0) * scale
            ]
    return low + extent * out
