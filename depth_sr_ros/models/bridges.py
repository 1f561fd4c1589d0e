"""The two bridges of BridgeNet: high-frequency attention between encoders, content guidance between decoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .attention import Fusion, Pointwise
from .blocks import PReLU

POOL = 4


class Blur(nn.Module):
    """Eq. 3: ``deconv(avgpool(x))``, mean over 4x4 cells and the way back (kernel 8, stride 4, padding 2).

    `factored` splits the deconvolution into a 1x1 convolution and a fixed bilinear enlargement, with a 64th of its
    parameters. Both start as the plain bilinear enlargement, so that x - blur(x) starts as the high frequencies of x.
    """

    def __init__(self, channels: int, factored: bool = False):
        super().__init__()
        self.factored = factored
        self.deconv: Pointwise | nn.ConvTranspose2d
        if factored:
            self.deconv = Pointwise(channels, channels)
        else:
            self.deconv = nn.ConvTranspose2d(channels, channels, 2 * POOL, stride=POOL, padding=POOL // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        whole = x
        if height % POOL or width % POOL:  # cells that hang over the border repeat it, so that no size is refused
            whole = F.pad(x, (0, -width % POOL, 0, -height % POOL), mode="replicate")
        low = self.deconv(F.avg_pool2d(whole, POOL))
        if self.factored:
            low = F.interpolate(low, scale_factor=POOL, mode="bilinear")
        return low[..., :height, :width]

    def start(self) -> None:
        """Start as the bilinear enlargement."""
        with torch.no_grad():
            self.deconv.get_parameter("bias").zero_()
            if self.factored:
                self.deconv.weight.copy_(torch.eye(len(self.deconv.weight))[:, :, None, None])
                return
            taps = 1 - (torch.arange(2 * POOL) + 0.5 - POOL).abs() / POOL
            self.deconv.weight.zero_()
            for channel, kernel in enumerate(self.deconv.weight):
                kernel[channel] = taps[:, None] * taps


class HighFrequencyAttentionBridge(nn.Module):
    """HABdg, eqs. 3 to 7: high frequencies of the colour encoder's features join the depth encoder's.

    Args:
        depth: channels of the depth encoder's features, and of the result.
        colour: channels of the colour encoder's.
        attention: False passes the colour features on as they are, side by side with the depth features
            (the paper's Table 4, "w/o HABdg").
        light: local gates and a factored blur (see `Fusion` and `Blur`).
    """

    def __init__(self, depth: int, colour: int, attention: bool = True, light: bool = False):
        super().__init__()
        self.attention = attention
        if attention:
            self.blur = Blur(colour, light)
            self.prelu = PReLU(colour)
            self.fusion = Fusion(depth, colour, light)
        else:
            self.mix = Pointwise(depth + colour, depth)

    def forward(self, depth: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
        """(B, depth, H, W) and (B, colour, H, W) -> (B, depth, H, W)."""
        if not self.attention:
            return self.mix(torch.cat([depth, colour], dim=1))
        attention = self.prelu(colour - self.blur(colour))
        return self.fusion(depth, torch.addcmul(colour, attention, colour))

    def start(self) -> None:
        """Start as `Blur` and `Fusion` do; to be called after `blocks.initialise`."""
        if self.attention:
            self.blur.start()
            self.fusion.start()


class ContentGuidanceBridge(nn.Module):
    """CGBdg, eqs. 8 to 11: where both decoders' depth maps differ, the depth decoder's features guide the other's.

    The softmax of eq. 10 runs over channels: the weights of a pixel are one per channel of the depth features.

    Args:
        estimate: channels of the estimating decoder's features, and of the result.
        depth: channels of the super-resolving decoder's.
        light: as in `HighFrequencyAttentionBridge`.
    """

    def __init__(self, estimate: int, depth: int, light: bool = False):
        super().__init__()
        self.map_dsr = Pointwise(depth, 1)
        self.map_mde = Pointwise(estimate, 1)
        self.difference = Pointwise(1, depth)
        self.fusion = Fusion(estimate, depth, light)

    def forward(self, estimate: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """(B, estimate, H, W) and (B, depth, H, W) -> (B, estimate, H, W)."""
        weight = self.difference(self.map_dsr(depth) - self.map_mde(estimate)).softmax(dim=1)
        return self.fusion(estimate, torch.addcmul(depth, weight, depth))

    def start(self) -> None:
        """Start as `Fusion` does; to be called after `blocks.initialise`."""
        self.fusion.start()
