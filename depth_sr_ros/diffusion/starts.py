"""Where a solver starts, and what its residual is measured by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_ABOVE_ROUNDING = 1e3
WARM_MARGIN = 1.8
"""How much higher than a cold start's the residual of a warm one may be. What it owes to a few edges that moved is
gone in a few iterations; the smooth error that a cold start has everywhere takes many, and weighs little. Measured on
the next frames of videos: 0.7 to 2.2, with up to a third fewer iterations; for another guide before the same depth:
above 1.8 but for blank ones."""


def check_warm_start(warm_start: Tensor, depth: Tensor) -> None:
    if warm_start.shape != depth.shape or warm_start.dtype != depth.dtype or warm_start.device != depth.device:
        raise ValueError(
            f"warm_start is {warm_start.dtype} {tuple(warm_start.shape)} on {warm_start.device}, like depth "
            f"{depth.dtype} {tuple(depth.shape)} on {depth.device} was expected"
        )
    if not bool(torch.isfinite(warm_start).all()):
        raise ValueError("warm_start must be finite, as depth must be")


def take_better_(
    start: Tensor, warm_start: Tensor | None, solvable: Tensor, norm_at: Callable[[Tensor], Tensor]
) -> Tensor | None:
    """Put the samples of `warm_start` into `start` that are worth it (`WARM_MARGIN`); returns which, (B,) bool."""
    if warm_start is None:
        return None
    # a copy each: `norm_at` adjusts what it is given, and a start that is kept must be as it came
    candidate = warm_start.detach().clone(memory_format=torch.contiguous_format)
    warm = solvable & (norm_at(candidate) < WARM_MARGIN * norm_at(start.clone()))
    start.copy_(torch.where(warm.view(-1, 1, 1, 1), warm_start, start))
    return warm


def residual_yardstick(reference: Tensor, flat: Tensor) -> Tensor:
    """The residual norm to measure against, (B,): `reference`, that of the flat image.

    At least `_ABOVE_ROUNDING` times what the rounding of the values leaves, so that a tolerance of 1e-3 can always be
    reached: where every edge of depth lies between cells that the guide separates too, the flat image is the solution.
    """
    if not bool(torch.isfinite(reference).all()):
        raise ValueError("cv, ch and source must be finite (NaN in source aside): the residual is not finite")
    rounding = torch.finfo(flat.dtype).eps * flat.abs().amax(dim=(1, 2, 3)) * flat[0].numel() ** 0.5
    return torch.maximum(reference, _ABOVE_ROUNDING * rounding)
