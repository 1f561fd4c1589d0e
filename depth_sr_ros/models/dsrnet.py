"""DSRNet: single depth super-resolution by iterative back-projection (CTKT, CVPR 2021, section 3.1)."""

from __future__ import annotations

import torch
from torch import nn

from .base import ResidualNetwork
from .blocks import (
    DownProjection,
    PReLU,
    ResidualBlock,
    UpProjection,
    conv,
    conv_prelu,
    depth_conv_prelu,
    initialise,
    shrink,
)
from .equivariant import DifferenceConv, power_of_two_extent

LITE_WIDTH_LR = {2: 16, 4: 24, 8: 32, 16: 32}


def default_sizes(scale: int, size: str) -> dict[str, int]:
    """The keyword arguments of `DSRNet` that a size stands for, at a scale."""
    if size == "paper":
        return {"width": 64, "width_lr": 64, "units": 5, "lr_blocks": 0}
    return {"width": 16, "width_lr": LITE_WIDTH_LR[scale], "units": 3, "lr_blocks": 1}


class DSRNet(ResidualNetwork):
    """A shallow block of three convolutions, N back-projection units (DBPN), and a head of two convolutions.

    The N up-projection units give the high-resolution features F^1 .. F^N; N - 1 down-projection units lead from
    each to the next. The depth map is made from F^N.

    Where the paper is silent: units alternate without DBPN's dense connections; the output is added to the bicubic
    upsampling; depth is normalised to its own range per sample. `lite` keeps the low-resolution side wider than
    the high-resolution side where that costs little (x4 and up), and adds residual blocks there.

    Args:
        scale: 2, 4, 8 or 16.
        size: "paper" (width 64, N = 5) or "lite".
        width: channels of the high-resolution features; None takes the size's.
        width_lr: channels of the low-resolution features; None takes the size's.
        units: N; None takes the size's.
        lr_blocks: residual blocks (two 3x3 convolutions) on each low-resolution feature map; None takes the size's.
        equivariant: follow every shift and positive scale of depth by construction instead of by the frame's range, and
            take sigma, the noise of depth, as a second input (`models.equivariant`): f(a d + b, a sigma) =
            a f(d, sigma) + b for a > 0. False is the network of weights trained before there was a choice; it goes
            when the last of these is replaced.
    """

    name = "dsrnet"

    def __init__(
        self,
        scale: int,
        size: str = "lite",
        width: int | None = None,
        width_lr: int | None = None,
        units: int | None = None,
        lr_blocks: int | None = None,
        equivariant: bool = False,
    ):
        super().__init__(scale, size)
        given = {"width": width, "width_lr": width_lr, "units": units, "lr_blocks": lr_blocks}
        chosen = default_sizes(scale, size) | {key: value for key, value in given.items() if value is not None}
        if min(chosen["width"], chosen["width_lr"], chosen["units"]) < 1 or chosen["lr_blocks"] < 0:
            raise ValueError(f"dsrnet needs positive widths and units and lr_blocks >= 0, got {chosen}")
        self.width, self.units = chosen["width"], chosen["units"]
        self.accepts_sigma, bias = equivariant, not equivariant
        lr, hr = chosen["width_lr"], self.width

        def blocks() -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(lr, bias) for _ in range(chosen["lr_blocks"])))

        first: Entry | nn.Sequential = Entry(lr) if equivariant else depth_conv_prelu(1, lr)
        self.shallow = nn.Sequential(first, conv_prelu(lr, lr, bias=bias), conv_prelu(lr, lr, 1, bias), blocks())
        self.up = nn.ModuleList(UpProjection(lr, hr, scale, bias) for _ in range(self.units))
        self.down = nn.ModuleList(
            nn.Sequential(DownProjection(hr, lr, scale, bias), blocks()) for _ in range(self.units - 1)
        )
        self.head = nn.Sequential(conv_prelu(hr, hr, bias=bias), conv(hr, 1, bias=bias))
        initialise(self)
        shrink(self.head[-1])
        if isinstance(first, Entry):
            first.filters.start_larger()

    def normalise(self, depth_lr: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if not self.accepts_sigma:
            return super().normalise(depth_lr)
        extent = power_of_two_extent(depth_lr)
        return depth_lr / extent, torch.zeros_like(extent), extent

    def features(self, depth: torch.Tensor, sigma: torch.Tensor | None = None) -> list[torch.Tensor]:
        """F^1 .. F^N, each (B, width, h * scale, w * scale), of depth (B, 1, h, w) in [0, 1] and its sigma."""
        low = self.shallow(depth) if sigma is None else self.shallow[1:](self.shallow[0](depth, sigma))
        high = [self.up[0](low)]
        for down, up in zip(self.down, self.up[1:]):
            high.append(up(down(high[-1])))
        return high

    def detail(
        self, depth: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.head(self.features(depth, sigma)[-1])


class Entry(nn.Module):
    """How depth and sigma enter an equivariant DSRNet: `DifferenceConv` and a PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filters, self.activation = DifferenceConv(channels), PReLU(channels)

    def forward(self, depth: torch.Tensor, sigma: torch.Tensor | None = None) -> torch.Tensor:
        return self.activation(self.filters(depth, sigma))
