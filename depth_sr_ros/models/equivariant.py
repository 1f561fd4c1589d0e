"""Parts of networks that follow every shift and positive scale of depth by construction: f(a d + b) = a f(d) + b.

Depth enters as differences between neighbours (no constant passes), no convolution has a bias, and PReLU is
homogeneous. So a constant comes out constant, and a pixel that is far away changes nothing outside the receptive field.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

NEIGHBOURS = tuple((row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1))
START = 3.0  # how much larger the filters of depth start than other layers' do


class DifferenceConv(nn.Conv2d):
    """A 3x3 convolution of depth by filters whose weights sum to 0, plus a 1x1 convolution of sigma; no bias.

    Such a filter is a weighted sum of the differences between the eight neighbours and the centre, which is how it is
    computed: a constant gives exactly 0 at any offset, which weights that sum to 0 only to rounding do not. Borders are
    replicated. It runs in the precision of its weights, whatever autocast says, for the reason in `DepthConv`.

    Args:
        channels_out: number of filters.
    """

    def __init__(self, channels_out: int) -> None:
        super().__init__(len(NEIGHBOURS) + 1, channels_out, 1, bias=False)

    def forward(self, depth: torch.Tensor, sigma: torch.Tensor | None = None) -> torch.Tensor:
        """(B, channels_out, h, w) of depth (B, 1, h, w) and sigma of the same shape and unit; None: 0."""
        with torch.autocast(depth.device.type, enabled=False):
            depth = depth.to(self.weight.dtype)
            sigma = torch.zeros_like(depth) if sigma is None else sigma.to(self.weight.dtype)
            height, width = depth.shape[2:]
            padded = F.pad(depth, (1, 1, 1, 1), mode="replicate")
            around = [padded[..., row : row + height, column : column + width] - depth for row, column in NEIGHBOURS]
            return super().forward(torch.cat([*around, sigma], dim=1))

    def start_larger(self) -> None:
        """Start as 3x3 filters minus their mean, `START` times as large as `initialise` left them: quicker training."""
        with torch.no_grad():
            # a filter without mean has this covariance over its eight outer weights
            outer = self.weight[:, :-1]
            centre = torch.randn_like(outer[:, :1]) * outer.std()
            outer.sub_((outer.sum(dim=1, keepdim=True) + centre) / (len(NEIGHBOURS) + 1))
            self.weight.mul_(START)


def power_of_two_extent(depth: torch.Tensor) -> torch.Tensor:
    """(B, 1, 1, 1): the least power of two above each sample's max - min; 1 for a constant.

    Dividing by it keeps half types in their range in any unit, and is exact.
    """
    extent = depth.amax(dim=(1, 2, 3), keepdim=True) - depth.amin(dim=(1, 2, 3), keepdim=True)
    extent = torch.where(extent > 0, extent, torch.ones_like(extent))
    return extent / torch.frexp(extent).mantissa
