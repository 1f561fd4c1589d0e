"""How far a reading of the depth camera is believed, where a network has an estimate of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import conv, conv_prelu, shrink

WIDTH = 16
START = 2.0  # sigmoid(2) = 0.88: training begins near the constraint of the paper
GAIN = 100.0  # a distance of a hundredth of the spread is then 1: about what divides noise from edges


class Trust(nn.Module):
    """Pulls each LR reading towards an estimate of it: ``estimate + w (reading - estimate)`` with w in (0, 1).

    w is read off the features of the reading's cell, its distance from the estimate and its neighbours' distances:
    where readings scatter around the estimate they are noise, where they stand off together the estimate is wrong.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Sequential(conv_prelu(channels + 2, WIDTH), conv_prelu(WIDTH, WIDTH), conv(WIDTH, 1))
        shrink(self.weight[-1])
        nn.init.constant_(self.weight[-1].get_parameter("bias"), START)

    def forward(
        self, reading: torch.Tensor, estimate: torch.Tensor, features: torch.Tensor, spread: torch.Tensor | float
    ) -> torch.Tensor:
        """The corrected readings.

        Args:
            reading: (B, 1, h, w), NaN invalid: to its neighbours, a reading that agrees with the estimate.
            estimate: (B, 1, h, w), what the readings would be of the network's own depth.
            features: (B, channels, h * s, w * s).
            spread: (B, 1, 1, 1) or a number, in the unit of depth: what distances are measured by.

        Returns:
            (B, 1, h, w), NaN where the reading is.
        """
        distance = reading - estimate
        distance = torch.where(torch.isnan(distance), 0.0, distance)
        seen = torch.asinh(GAIN * distance / spread)
        around = F.avg_pool2d(seen.abs(), 3, stride=1, padding=1, count_include_pad=False)
        height, width = reading.shape[-2:]
        cells = F.adaptive_avg_pool2d(features, (height, width))
        weight = torch.sigmoid(self.weight(torch.cat([cells, seen.to(cells.dtype), around.to(cells.dtype)], dim=1)))
        target = estimate + weight.to(estimate.dtype) * distance
        return torch.where(torch.isnan(reading), torch.nan, target)
