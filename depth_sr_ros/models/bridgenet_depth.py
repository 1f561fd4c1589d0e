"""BridgeNet's depth half: encoder, top features and decoder of the super-resolving network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .attention import Pointwise
from .blocks import PReLU, ResidualBlock, conv, conv_prelu, depth_conv_prelu
from .mdenet import halve


@dataclass(frozen=True)
class Layout:
    """What a size stands for.

    Attributes:
        depth: channels of the depth encoder at its four sizes.
        colour: channels of the colour encoder.
        pyramid: channels of the colour decoder.
        encoder: residual blocks of the depth encoder at each size.
        colour_encoder: residual blocks of the colour encoder at each size.
        stacked: further residual blocks at the smallest size.
        decoder: residual blocks after each of the three decoder modules.
        low: residual blocks on LR depth at its own size, for each scale; None: it enters upsampled alone.
        fold: 2 folds 2x2 pixels into channels before the first convolutions.
        finest: the largest of the four sizes that depth is estimated at.
        light: the departures that `BridgeNet` lists for `lite`.
    """

    depth: tuple[int, ...]
    colour: tuple[int, ...]
    pyramid: int
    encoder: tuple[int, ...]
    colour_encoder: tuple[int, ...]
    stacked: int
    decoder: tuple[int, ...] = (0, 0, 0)
    low: dict[int, int] | None = None
    fold: int = 1
    finest: int = 0
    light: bool = False


def blocks(channels: int, count: int) -> nn.Sequential:
    """`count` residual blocks in a row."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


class DepthEncoder(nn.Module):
    """DSRNet's encoder: convolution, residual block, three transformation modules; bridged at each of four sizes.

    Args:
        layout: widths and counts.
        low: where LR depth itself enters: the number of the size and the residual blocks it passes; None: nowhere.
        bridges: a `HighFrequencyAttentionBridge` for each size, or none.
    """

    def __init__(self, layout: Layout, low: tuple[int, int] | None, bridges: Sequence[nn.Module]):
        super().__init__()
        self.bridges = nn.ModuleList(bridges)
        widths = layout.depth
        self.stem = nn.Sequential(nn.PixelUnshuffle(layout.fold), depth_conv_prelu(layout.fold**2, widths[0]))
        self.halve = nn.ModuleList(halve(a, b, not layout.light) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(blocks(w, n) for w, n in zip(widths, layout.encoder))
        self.low_level = None
        if low is not None:
            self.low_level, count = low
            width = widths[self.low_level]
            self.low = nn.Sequential(depth_conv_prelu(1, width), blocks(width, count))

    def forward(
        self, depth_up: torch.Tensor, depth: torch.Tensor, colour: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The shallow features, and those of the four sizes, the largest first.

        Args:
            depth_up: (B, 1, H, W), depth upsampled.
            depth: (B, 1, h, w), as it came.
            colour: the colour encoder's features; unused without bridges.
        """
        x = shallow = self.stem(depth_up - 0.5)
        features = []
        for level, stack in enumerate(self.blocks):
            x = stack(x if level == 0 else self.halve[level - 1](x))
            if level == self.low_level:
                x = x + self.low(depth - 0.5)
            if len(self.bridges):
                x = self.bridges[level](x, colour[level])
            features.append(x)
        return shallow, features


class TopFeatures(nn.Module):
    """Between encoder and decoder: stacked residual blocks, multi-scale guidance and the long skip, at 1/8 size."""

    def __init__(self, layout: Layout):
        super().__init__()
        top = layout.depth[-1]
        self.stacked = blocks(top, layout.stacked)
        self.guided = not layout.light
        if self.guided:
            self.multi_scale = Pointwise(sum(layout.depth[1:]), top)
            self.long_skip = nn.Sequential(
                *(nn.Sequential(conv_prelu(a, b), nn.MaxPool2d(2)) for a, b in pairwise(layout.depth))
            )

    def forward(self, shallow: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        """Shallow features and those of the four sizes -> (B, C, H / 8, W / 8)."""
        x = self.stacked(features[-1])
        if not self.guided:
            return x
        middle = [F.adaptive_max_pool2d(f, x.shape[-2:]) for f in features[1:-1]]
        return self.multi_scale(torch.cat([*middle, x], dim=1)) + self.long_skip(shallow)


class DepthDecoder(nn.Module):
    """DSRNet's decoder: three modules of convolution and pixel shuffle, each to twice the size."""

    def __init__(self, layout: Layout):
        super().__init__()
        pairs = list(pairwise(reversed(layout.depth)))
        self.skips = layout.light
        if layout.light:
            up = [nn.Sequential(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), PReLU(b)) for a, b in pairs]
        else:
            up = [nn.Sequential(conv(a, 4 * b), nn.PixelShuffle(2), PReLU(b)) for a, b in pairs]
        self.up = nn.ModuleList(up)
        self.blocks = nn.ModuleList(blocks(b, n) for (_, b), n in zip(pairs, layout.decoder))

    def forward(self, x: torch.Tensor, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """The features of the three larger sizes, the smallest first."""
        decoded = []
        for i, (up, stack) in enumerate(zip(self.up, self.blocks)):
            x = up(x)
            x = stack(x + features[-2 - i] if self.skips else x)
            decoded.append(x)
        return decoded
