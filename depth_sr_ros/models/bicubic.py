"""Bicubic upsampling: the baseline, and the last resort where nothing else is at hand."""

from __future__ import annotations

import torch

from ..resize import bicubic
from .base import DepthSRModel


class Bicubic(DepthSRModel):
    """MATLAB-exact bicubic upsampling by any integer scale from 1 to 32. It has no parameters."""

    name = "bicubic"
    scales = tuple(range(1, 33))
    sizes = ("paper",)

    def __init__(self, scale: int, size: str = "paper"):
        super().__init__(scale, size)

    def super_resolve(self, depth_lr: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        return bicubic(depth_lr, scale=self.scale)
