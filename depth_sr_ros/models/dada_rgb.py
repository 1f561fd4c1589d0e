"""DADA without learning: anisotropic diffusion whose coefficients come from the RGB image itself."""

from __future__ import annotations

from typing import Any

import torch

from ..diffusion import differences, planarity
from .equilibrium import DiffusionProblem, EquilibriumModel, fill_invalid, upsampled

IMAGENET_STD = (0.229, 0.224, 0.225)


class DadaRGB(EquilibriumModel):
    """The learning-free variant of DADA (CVPR 2023, Table 2): RGB differences as features, kappa = 0.03.

    Features are the colour channels divided by the ImageNet standard deviations (the scale in which the paper's
    kappa is given). NaN in depth_lr and guide, and non-positive cells: see `EquilibriumModel`.

    Args:
        scale: any integer from 1 to 32.
        kappa: edge sensitivity of eq. 2; smaller stops diffusion at weaker colour edges.
        solver: options of `EquilibriumModel`.
    """

    name = "dada_rgb"
    sizes = ("paper",)

    def __init__(self, scale: int, size: str = "paper", kappa: float = 0.03, **solver: Any):
        super().__init__(scale, size, **solver)
        if kappa <= 0:
            raise ValueError(f"kappa must be positive, got {kappa}")
        self.kappa = kappa

    def prepare(self, depth_lr: torch.Tensor, guide: torch.Tensor) -> DiffusionProblem:
        std = guide.new_tensor(IMAGENET_STD)[:, None, None]
        features = (fill_invalid(guide) / std).to(depth_lr.dtype)
        depth = upsampled(fill_invalid(depth_lr), self.scale)
        cv, ch = self.coefficients(features, self.kappa, depth, guide)
        slopes = None
        if self.corrects:
            (gv, gh), (dv, dh) = planarity(depth, self.scale), differences(depth)
            slopes = gv * dv, gh * dh
        return DiffusionProblem(depth_lr, depth, cv, ch, slopes)
