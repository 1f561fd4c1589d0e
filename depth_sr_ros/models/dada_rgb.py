"""DADA without learning: anisotropic diffusion whose coefficients come from the RGB image itself."""

from __future__ import annotations

import torch

from ..diffusion import edge_coefficients, solve_equilibrium
from ..resize import bicubic, repeat
from .base import DepthSRModel

IMAGENET_STD = (0.229, 0.224, 0.225)


class DadaRGB(DepthSRModel):
    """The learning-free variant of DADA (CVPR 2023, Table 2): RGB differences as features, kappa = 0.03.

    Features are the colour channels divided by the ImageNet standard deviations (the scale in which the paper's
    kappa is given). The diffusion's equilibrium is found by `depth_sr_ros.diffusion.solve_equilibrium` instead of 8000
    loop iterations. NaN cells of depth_lr put no constraint on the output.

    Args:
        scale: any integer from 1 to 32.
        kappa: edge sensitivity of eq. 2; smaller stops diffusion at weaker colour edges.
        tolerance: relative residual at which the solver stops.
        max_iterations: its budget of conjugate-gradient iterations.
        adjustment: "multiplicative" (the paper's eq. 3) or "additive".
    """

    name = "dada_rgb"
    scales = tuple(range(1, 33))
    sizes = ("paper",)
    requires_guide = True
    accepts_holes = True

    def __init__(
        self,
        scale: int,
        size: str = "paper",
        kappa: float = 0.03,
        tolerance: float = 1e-3,
        max_iterations: int = 200,
        adjustment: str = "multiplicative",
    ):
        super().__init__(scale, size)
        if kappa <= 0:
            raise ValueError(f"kappa must be positive, got {kappa}")
        self.kappa = kappa
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.adjustment = adjustment

    def super_resolve(self, depth_lr: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
        std = torch.tensor(IMAGENET_STD, dtype=guide.dtype, device=guide.device)[:, None, None]
        cv, ch = edge_coefficients(guide / std, self.kappa)
        return solve_equilibrium(
            start_from(depth_lr, self.scale),
            depth_lr,
            cv,
            ch,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            adjustment=self.adjustment,
        )


def start_from(depth_lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Where diffusion starts: bicubic upsampling, with the mean of the valid cells in place of invalid ones.

    The start does not move the equilibrium where there are constraints; where there is none it fades along the
    diffusion from the valid surroundings.
    """
    invalid = torch.isnan(depth_lr)
    if not bool(invalid.any()):
        return bicubic(depth_lr, scale=scale)
    mean = torch.nanmean(depth_lr, dim=(1, 2, 3), keepdim=True)
    filled = torch.where(invalid, mean, depth_lr)
    start = bicubic(filled, scale=scale)
    touches_hole = torch.nn.functional.max_pool2d(invalid.to(depth_lr.dtype), 5, stride=1, padding=2) > 0
    return torch.where(repeat(touches_hole, scale), repeat(filled, scale), start)
