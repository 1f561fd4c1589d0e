"""How far a reading of the depth camera is believed, and how far the guide, where a network has depth of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import conv, conv_prelu, shrink

WIDTH = 16
START = 2.0  # sigmoid(2) = 0.88: training begins near the paper, which trusts both
GAIN = 100.0  # a distance of a hundredth of the spread is then 1: about what divides noise from edges


class Trust(nn.Module):
    """Two weights between 0 and 1 per pixel: for LR readings, and for what diffusion makes of them and the guide.

    A reading is pulled towards what the network's own depth, the prior, would read: ``read + w (reading - read)``. w is
    seen in the features of the reading's cell, its distance and its neighbours': where readings scatter around the
    prior they are noise, where they stand off together the prior is wrong. The output lies between the prior and the
    equilibrium in the same way, ``prior + w (equilibrium - prior)``: a guide without the depth's edges is left out.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.readings = _weight(channels + 2, WIDTH)
        self.guide = _weight(channels + 1, WIDTH // 2)

    def correct(
        self, reading: torch.Tensor, read: torch.Tensor, features: torch.Tensor, spread: torch.Tensor | float
    ) -> torch.Tensor:
        """The corrected readings (B, 1, h, w), NaN where the reading is.

        Args:
            reading: (B, 1, h, w), NaN invalid.
            read: (B, 1, h, w), what the sensor would read of the prior.
            features: (B, channels, h * s, w * s).
            spread: (B, 1, 1, 1) or a number, in the unit of depth: what distances are measured by.
        """
        distance = reading - read
        distance = torch.where(torch.isnan(distance), 0.0, distance)
        seen = torch.asinh(GAIN * distance / spread)
        around = F.avg_pool2d(seen.abs(), 3, stride=1, padding=1, count_include_pad=False)
        cells = F.adaptive_avg_pool2d(features, reading.shape[-2:])
        weight = torch.sigmoid(self.readings(torch.cat([cells, *(x.to(cells.dtype) for x in (seen, around))], dim=1)))
        target = read + weight.to(read.dtype) * distance
        return torch.where(torch.isnan(reading), torch.nan, target)

    def blend(
        self, equilibrium: torch.Tensor, prior: torch.Tensor, features: torch.Tensor, spread: torch.Tensor | float
    ) -> torch.Tensor:
        """The output (B, 1, H, W) between prior and equilibrium, both (B, 1, H, W); the rest as in `correct`."""
        distance = equilibrium - prior
        seen = torch.asinh(GAIN * distance / spread).to(features.dtype)
        weight = torch.sigmoid(self.guide(torch.cat([features, seen], dim=1)))
        return prior + weight.to(prior.dtype) * distance


def _weight(channels: int, width: int) -> nn.Sequential:
    """Three convolutions to the logit of a weight that starts at `START`."""
    layers = nn.Sequential(conv_prelu(channels, width), conv_prelu(width, width), conv(width, 1))
    shrink(layers[-1])
    nn.init.constant_(layers[-1].bias, START)
    return layers
