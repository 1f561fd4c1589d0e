"""SPNet: predicts the depth map's structure from both networks' features (CTKT, CVPR 2021, section 3.3)."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import conv, conv_prelu, initialise, shrink


class SPNet(nn.Module):
    """Uncertainty-induced attention fusion (eqs. 7-9), then five Conv + ReLU and a last Conv.

    Args:
        width: channels of F_sr^N and F_de^N.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        self.uncertainty_sr = nn.Conv2d(1, width, 1)
        self.uncertainty_de = nn.Conv2d(1, width, 1)
        layers: list[nn.Module] = []
        for number in range(5):
            layers += [conv(width * (2 if number == 0 else 1), width), nn.ReLU()]
        self.structure = nn.Sequential(*layers, conv(width, 1))
        initialise(self)
        # L_struc's gradient reaches DSRNet through this layer: from a random SPNet at full strength it is as large as
        # that of L_DSR, and step 2 would start with noise
        shrink(self.structure[-1])

    def forward(
        self,
        features_sr: torch.Tensor,
        features_de: torch.Tensor,
        error_sr: torch.Tensor,
        error_de: torch.Tensor,
    ) -> torch.Tensor:
        """Predict the structure map.

        Args:
            features_sr: F_sr^N, (B, width, H, W).
            features_de: F_de^N, likewise.
            error_sr: D_sr - D_hr, (B, 1, H, W).
            error_de: D_de - D_hr, likewise.

        Returns:
            (B, 1, H, W): the magnitude of the depth map's gradient.
        """
        return self.structure(self.fuse(features_sr, features_de, error_sr, error_de))

    def fuse(
        self,
        features_sr: torch.Tensor,
        features_de: torch.Tensor,
        error_sr: torch.Tensor,
        error_de: torch.Tensor,
    ) -> torch.Tensor:
        """F_struc (eq. 9), (B, 2 width, H, W); arguments as in `forward`."""
        u_sr = torch.sigmoid(self.uncertainty_sr(error_sr))
        u_de = torch.sigmoid(self.uncertainty_de(error_de))
        return torch.cat([features_sr * (1 + u_sr), features_de * (1 + u_de)], dim=1)


class SideOutputs(nn.ModuleList):
    """The side-output layers of one network: two convolutions for each of its N feature maps (section 3.2).

    Args:
        width: channels of F^n.
        units: N.
    """

    def __init__(self, width: int, units: int):
        sides = [nn.Sequential(conv_prelu(width, width), conv(width, 1)) for _ in range(units)]
        super().__init__(sides)
        initialise(self)
        for side in sides:
            shrink(side[-1])
