"""Attention to the channels of features at two scales, by how they correlate within and across the scales (CSAN)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import shrink

LEAST_DEVIATION = 1e-2  # features that vary less in a window count as flat: they correlate with nothing


class HighOrderCrossScaleAttention(nn.Module):
    """Gates for the channels of a coarse and a fine feature map, from second-order statistics of both.

    In each window of the coarse grid, the channels of one scale form the rows of two correlation matrices: with the
    channels of the same scale, and with those of the other one (the fine map is averaged to the coarse grid first).
    Both are read out through learned mixtures of their columns: with m = W y a mixture of the partner's channels,
    ``r_ij = cov(x_i, m_j) / (std(x_i) std(m_j))``, which needs no matrix over all channel pairs, nor one over pixel
    pairs. From the r_ij of a window, one hidden layer makes gates in (0, 2), 1 at the start, which are interpolated
    linearly between the windows' centres.

    So the cost is linear in the number of pixels, a gate's reach ends with the neighbouring windows, and images larger
    than the training's patches are seen through windows of the same size. `test_cross_scale` compares with the
    correlation matrices themselves.

    Args:
        coarse: channels of the coarse map.
        fine: channels of the fine map.
        ratio: fine pixels per coarse pixel and axis.
        window: edge of a window in coarse pixels; windows start at the upper left corner.
        mixtures: rows of W, for each scale.
    """

    def __init__(self, coarse: int, fine: int, ratio: int, window: int, mixtures: int = 4):
        super().__init__()
        self.ratio, self.window, self.mixtures = ratio, window, mixtures
        self.mix_coarse = nn.Conv2d(coarse, mixtures, 1, bias=False)
        self.mix_fine = nn.Conv2d(fine, mixtures, 1, bias=False)
        self.gate_coarse = _gate(coarse, mixtures)
        self.gate_fine = _gate(fine, mixtures)

    def shrink(self) -> None:
        """Start with gates near 1, after the weights were initialised."""
        for gate in (self.gate_coarse, self.gate_fine):
            shrink(gate[-1])

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, h, w) and (B, C', h * ratio, w * ratio), each times its gates."""
        height, width = coarse.shape[-2:]
        gates = self.gates(coarse, fine)
        for_coarse, for_fine = (
            F.interpolate(gate, scale_factor=float(factor), mode="bilinear", align_corners=False)
            for gate, factor in zip(gates, (self.window, self.window * self.ratio))
        )
        for_fine = for_fine[..., : height * self.ratio, : width * self.ratio]
        return coarse * for_coarse[..., :height, :width], fine * for_fine

    def gates(self, coarse: torch.Tensor, fine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gates (B, C, ceil(h / window), ceil(w / window)) of the coarse map, and likewise (B, C', ...) of the fine."""
        with torch.autocast(coarse.device.type, enabled=False):  # differences of squares need their bits
            precision = self.mix_coarse.weight.dtype
            pooled, coarse = F.avg_pool2d(fine.to(precision), self.ratio), coarse.to(precision)
            mixed = torch.cat([self.mix_coarse(coarse), self.mix_fine(pooled)], dim=1)
            for_coarse = self.gate_coarse(self.correlations(coarse, mixed))
            for_fine = self.gate_fine(self.correlations(pooled, mixed))
            return 2 * torch.sigmoid(for_coarse), 2 * torch.sigmoid(for_fine)

    def correlations(self, features: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """r of every channel with every mixture in every window: (B, mixtures of both * C, windows, windows)."""
        mean, deviation = self._moments(features)
        mean_mixed, deviation_mixed = self._moments(mixed)
        rows = [
            (self._average(features * mixed[:, j : j + 1]) - mean * mean_mixed[:, j : j + 1])
            / (deviation * deviation_mixed[:, j : j + 1])
            for j in range(mixed.shape[1])
        ]
        return torch.cat(rows, dim=1)

    def _moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self._average(x)
        variance = (self._average(x * x) - mean * mean).clamp(min=0)
        return mean, (variance + LEAST_DEVIATION**2).sqrt()

    def _average(self, x: torch.Tensor) -> torch.Tensor:
        """Mean over each window; those at the right and bottom edge may be cut."""
        return F.avg_pool2d(x, self.window, ceil_mode=True, count_include_pad=False)


def _gate(channels: int, mixtures: int) -> nn.Sequential:
    hidden = max(8, channels // 2)
    return nn.Sequential(nn.Conv2d(2 * mixtures * channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
