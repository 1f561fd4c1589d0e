"""DADA's diffuse-adjust loop as published: the reference that the equilibrium solver is measured against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .shapes import check_grid


def diffuse_adjust(
    depth: Tensor, source: Tensor, cv: Tensor, ch: Tensor, iterations: int, step: float = 0.24
) -> Tensor:
    """Alternate one diffusion step (eq. 1) and one adjustment step (eq. 3), `iterations` times.

    Diffusion: y_p += step * sum over the four neighbours n of c_pn (y_n - y_p), vertical and horizontal fluxes from
    the same image. Adjustment: y *= up(source / down(y)), down the block mean, up nearest-neighbour upsampling;
    cells whose source is NaN keep their values (ratio 1). Plain autograd differentiates through every iteration,
    and keeps every iteration's images in memory: run the first ones under `torch.no_grad()`.

    Args:
        depth: (B, 1, H, W), the start, positive, without NaN; any unit. Not changed.
        source: (B, 1, h, w), the LR depth in the same unit, positive, NaN where invalid; H = s h, W = s w.
        cv: (B, 1, H - 1, W), coefficients in [0, 1] of vertical neighbours, see `edge_coefficients`.
        ch: (B, 1, H, W - 1), the same of horizontal ones.
        iterations: number of steps, >= 0 (the paper: 8000).
        step: the paper's lambda; below 1/4, else the diffusion is unstable.

    Returns:
        (B, 1, H, W) in the unit of `depth`; the block mean of every valid cell equals its source.

    Raises:
        ValueError: for shapes that do not fit, a negative `iterations`, or a step outside (0, 1/4).
        TypeError: for mixed dtypes or devices.
    """
    scale = check_grid(depth, source, cv, ch)
    if iterations < 0:
        raise ValueError(f"iterations must be >= 0, got {iterations}")
    if not 0.0 < step < 0.25:
        raise ValueError(f"step must lie in (0, 0.25), got {step}")
    invalid = torch.isnan(source)
    source = torch.where(invalid, 0.0, source)
    free = invalid if bool(invalid.any()) else None
    cv, ch = step * cv, step * ch
    image = depth
    for _ in range(iterations):
        image = _adjust(_diffuse(image, cv, ch), source, free, scale)
    return image


def _diffuse(image: Tensor, cv: Tensor, ch: Tensor) -> Tensor:
    """Eq. 1; the step is already in the coefficients."""
    vertical = cv * (image[..., 1:, :] - image[..., :-1, :])
    horizontal = ch * (image[..., :, 1:] - image[..., :, :-1])
    out = image.clone()
    out[..., :-1, :] += vertical
    out[..., 1:, :] -= vertical
    out[..., :, :-1] += horizontal
    out[..., :, 1:] -= horizontal
    return out


def _adjust(image: Tensor, source: Tensor, free: Tensor | None, scale: int) -> Tensor:
    """Eq. 3: rescale every cell to its source; `free` cells (None when there are none) keep their values."""
    ratio = source / F.avg_pool2d(image, scale)
    if free is not None:
        ratio = torch.where(free, 1.0, ratio)
    batch, _, rows, columns = source.shape
    cells = image.reshape(batch, rows, scale, columns, scale) * ratio.view(batch, rows, 1, columns, 1)
    return cells.reshape(image.shape)
