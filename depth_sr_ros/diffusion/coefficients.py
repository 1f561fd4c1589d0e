"""Diffusion coefficients: how freely depth flows between neighbouring pixels, read off the guide's features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DEPTH_KAPPA = 0.05
"""Relative difference from one LR pixel to the next at which depth alone is taken for a step: a plane seen at 60
degrees by an 80 x 60 camera of 58 degrees' view has 0.024."""


def edge_coefficients(features: Tensor, kappa: float | Tensor) -> tuple[Tensor, Tensor]:
    """The coefficient of every vertical and horizontal edge of the pixel grid.

    c = 1 / (1 + (x / kappa)^2) with x the mean over channels of |difference| between the two pixels of the edge.
    This is the form of DADA's published implementation. Eq. 2 of the paper is the same function of the Euclidean
    norm, ||difference||_2, instead of the mean absolute difference; for C channels that differ equally the two x
    differ by sqrt(C), that is, by a factor in kappa.

    Args:
        features: (B, C, H, W) floating; for the learning-free method, RGB in [0, 1].
        kappa: the difference at which a coefficient has fallen to 1/2, in the unit of `features`; > 0. A tensor
            must have one element, or one per sample (any shape with B elements).

    Returns:
        cv (B, 1, H - 1, W) between (y, x) and (y + 1, x), and ch (B, 1, H, W - 1) between (y, x) and (y, x + 1);
        both in (0, 1], differentiable in `features` and `kappa`.

    Raises:
        ValueError: when `features` is not (B, C, H, W) floating or `kappa` is not positive or of a wrong size.
    """
    if features.dim() != 4 or not features.is_floating_point():
        raise ValueError(
            f"features must be a floating (B, C, H, W) tensor, got {features.dtype} {tuple(features.shape)}"
        )
    if isinstance(kappa, Tensor):
        if kappa.numel() not in (1, features.shape[0]):
            raise ValueError(
                f"kappa must have 1 element or one per sample ({features.shape[0]}), got {tuple(kappa.shape)}"
            )
        kappa = kappa.reshape(-1, 1, 1, 1)
    elif not kappa > 0:
        raise ValueError(f"kappa must be positive, got {kappa}")
    vertical = torch.diff(features, dim=-2).abs().mean(dim=1, keepdim=True)
    horizontal = torch.diff(features, dim=-1).abs().mean(dim=1, keepdim=True)
    return _falloff(vertical, kappa), _falloff(horizontal, kappa)


def depth_coefficients(depth: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The coefficients of edges whose pixels no guide describes, from the upsampled depth alone.

    c as in `edge_coefficients`, with x = s |difference| / mean of the two depths: the relative difference that such a
    slope makes from one LR pixel to the next. A plane, even a steep one, flows freely; a step between two surfaces,
    which upsampling has spread over about s pixels, stays where and as it is.

    Args:
        depth: (B, 1, H, W) floating, the upsampled LR depth, in any unit.
        scale: s, HR pixels per LR pixel.

    Returns:
        cv (B, 1, H - 1, W) and ch (B, 1, H, W - 1), in (0, 1].
    """
    vertical, horizontal = _relative_difference(depth, -2), _relative_difference(depth, -1)
    return _falloff(scale * vertical, DEPTH_KAPPA), _falloff(scale * horizontal, DEPTH_KAPPA)


PLANAR_KAPPA = 0.1
"""Relative second difference of depth per LR pixel at which `planarity` has fallen to 1/2."""


def planarity(depth: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """How planar depth is around every edge of the pixel grid: near 1 on planes of any slope, near 0 at steps.

    g = 1 / (1 + (x / `PLANAR_KAPPA`)^2), with x the greatest second difference along rows or columns within one LR
    pixel, as it would be from LR pixel to LR pixel, relative to the depth.

    Args:
        depth: (B, 1, H, W) floating, positive, an upsampled depth in any unit.
        scale: s, HR pixels per LR pixel.

    Returns:
        gv (B, 1, H - 1, W) and gh (B, 1, H, W - 1), in (0, 1].
    """
    rows, columns = (torch.diff(depth, n=2, dim=axis).abs() for axis in (-2, -1))
    curvature = torch.maximum(F.pad(rows, (0, 0, 1, 1)), F.pad(columns, (1, 1, 0, 0)))
    curvature = F.max_pool2d(curvature, 2 * scale + 1, stride=1, padding=scale)
    g = _falloff(scale**2 * curvature / depth.abs().clamp_min(torch.finfo(depth.dtype).tiny), PLANAR_KAPPA)
    return torch.minimum(g[..., 1:, :], g[..., :-1, :]), torch.minimum(g[..., :, 1:], g[..., :, :-1])


def differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Across every vertical and horizontal edge, (B, 1, H - 1, W) and (B, 1, H, W - 1)."""
    return torch.diff(image, dim=-2), torch.diff(image, dim=-1)


def _relative_difference(depth: Tensor, dim: int) -> Tensor:
    size = depth.shape[dim] - 1
    first, second = depth.narrow(dim, 0, size).abs(), depth.narrow(dim, 1, size).abs()
    return torch.diff(depth, dim=dim).abs() / (0.5 * (first + second)).clamp_min(torch.finfo(depth.dtype).tiny)


def _falloff(difference: Tensor, kappa: float | Tensor) -> Tensor:
    return 1.0 / (1.0 + (difference / kappa) ** 2)
