"""BridgeNet's monocular half: a colour encoder that guides, and a decoder that exists to train it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .attention import Pointwise
from .blocks import PReLU, ResidualBlock, conv, conv_prelu


def halve(channels_in: int, channels_out: int, pool: bool) -> nn.Module:
    """To half the size: a max-pool and the convolution that changes the width, or a strided convolution."""
    if not pool:
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1), PReLU(channels_out))
    widen = nn.Identity() if channels_in == channels_out else conv_prelu(channels_in, channels_out)
    return nn.Sequential(nn.MaxPool2d(2), widen)


class FeatureExtractor(nn.Module):
    """Colour features at four sizes, each half of the one before; the first at 1 / `fold` of the image's size.

    Args:
        widths: channels at each size.
        blocks: residual blocks at each size.
        fold: 1, or 2 to start from 2x2 pixels folded into channels.
        pool: halve by max-pooling instead of strided convolutions.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], fold: int, pool: bool):
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(fold), conv_prelu(3 * fold * fold, widths[0]))
        self.halve = nn.ModuleList(halve(a, b, pool) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n))) for w, n in zip(widths, blocks)
        )

    def forward(self, guide: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) in [0, 1], H and W multiples of 8 * fold -> (B, widths[i], H / fold / 2^i, ...) each."""
        features = [self.blocks[0](self.stem(guide - 0.5))]
        for step, blocks in zip(self.halve, self.blocks[1:]):
            features.append(blocks(step(features[-1])))
        return features


class CLIFF(nn.Module):
    """Cross-level identity feature fusion: low-level features that the high-level ones confirm, and both.

    ``conv3x3([up(high), conv3x3([low, low * up(high)])]) + up(high)``
    """

    def __init__(self, channels: int):
        super().__init__()
        self.refine = conv_prelu(2 * channels, channels)
        self.select = conv_prelu(2 * channels, channels)

    def forward(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) and (B, C, H / 2, W / 2) -> (B, C, H, W)."""
        high = F.interpolate(high, scale_factor=2, mode="bilinear")
        refined = self.refine(torch.cat([low, low * high], dim=1))
        return self.select(torch.cat([high, refined], dim=1)) + high


class EstimationDecoder(nn.Module):
    """MDENet after its feature extractor: feature pyramid, CLIFF from coarse to fine, depth prediction.

    Args:
        widths: of the extractor's features.
        channels: of the pyramid.
        fold: how many times larger the image is than the first of the features.
        bridges: a `ContentGuidanceBridge` for each fusion, or none.
    """

    def __init__(self, widths: tuple[int, ...], channels: int, fold: int, bridges: Sequence[nn.Module]):
        super().__init__()
        self.bridges = nn.ModuleList(bridges)
        self.lateral = nn.ModuleList(Pointwise(w, channels) for w in widths)
        self.fuse = nn.ModuleList(CLIFF(channels) for _ in widths[1:])
        self.head = nn.Sequential(conv(channels, fold * fold, 1 if fold == 1 else 3), nn.PixelShuffle(fold))

    def pyramid(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Every size's features with those of all smaller sizes added, `channels` each; the largest first."""
        levels = [lateral(f) for lateral, f in zip(self.lateral, features)]
        for i in range(len(levels) - 2, -1, -1):
            levels[i] = levels[i] + F.interpolate(levels[i + 1], scale_factor=2, mode="nearest")
        return levels

    def forward(self, features: list[torch.Tensor], guidance: list[torch.Tensor]) -> torch.Tensor:
        """Estimate depth.

        Args:
            features: of the extractor, the largest first.
            guidance: the super-resolving decoder's features, in the order and the sizes of the fusions; unused
                without bridges.

        Returns:
            (B, 1, H, W) in [0, 1].
        """
        levels = self.pyramid(features)
        x = levels[-1]
        for i, fuse in enumerate(self.fuse):
            x = fuse(levels[-2 - i], x)
            if len(self.bridges):
                x = self.bridges[i](x, guidance[i])
        return torch.sigmoid(self.head(x))
