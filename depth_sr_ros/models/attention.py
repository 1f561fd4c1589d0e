"""Gates on features: which channels count, and where."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import PReLU, conv, shrink

REDUCTION = 4


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as a matrix product: in channels-last memory on one CPU core several times as fast."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """``x + x * sigmoid(mlp(mean) + mlp(max))``: a gate per channel, from its mean and maximum over the image.

    `local` replaces both by the pixel's own features, so that the gate is one per channel and pixel. Means and maxima
    over a training patch are not those of a whole frame, nor those of a tile of it: a local gate does not depend on
    how much of the scene it is shown.

    Args:
        channels: of x, (B, channels, H, W).
        local: see above.
    """

    def __init__(self, channels: int, local: bool = False):
        super().__init__()
        self.local = local
        narrow = max(channels // REDUCTION, 1)
        self.mlp = nn.Sequential(Pointwise(channels, narrow), PReLU(narrow), Pointwise(narrow, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.local:
            gate = self.mlp(x)
        else:
            gate = self.mlp(x.mean((2, 3), keepdim=True)) + self.mlp(x.amax((2, 3), keepdim=True))
        return torch.addcmul(x, x, torch.sigmoid(gate))


class SpatialAttention(nn.Module):
    """``x + x * sigmoid(conv7x7([mean, max]))``, mean and maximum over the channels of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(2, 1, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return torch.addcmul(x, x, torch.sigmoid(self.conv(seen)))


class Fusion(nn.Module):
    """The attention block of BridgeNet, eqs. 6 and 7: ``SA(conv1x1(CA([own, other])))``.

    Both gates open halfway at the start; the 1x1 convolution starts as the one that undoes this for `own` and adds a
    little of `other`, so that a deep network with bridges starts as well as one without.

    Args:
        own: channels of the features that are enhanced, and of the result.
        other: channels of those that join them.
        local: as in `ChannelAttention`.
    """

    def __init__(self, own: int, other: int, local: bool = False):
        super().__init__()
        self.channel = ChannelAttention(own + other, local)
        self.mix = Pointwise(own + other, own)
        self.spatial = SpatialAttention()

    def forward(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return self.spatial(self.mix(self.channel(torch.cat([own, other], dim=1))))

    def start(self) -> None:
        """Set the start weights described above; to be called after `blocks.initialise`."""
        with torch.no_grad():
            for gate in (self.channel.mlp[-1], self.spatial.conv):
                shrink(gate, 0.1)
            own = self.mix.weight.shape[0]
            self.mix.weight.mul_(0.5 / 1.5**2)
            self.mix.weight[:, :own, 0, 0] = torch.eye(own) / 1.5**2
