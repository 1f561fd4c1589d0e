"""DENet: depth from one RGB image, the auxiliary network that teaches DSRNet (CTKT, CVPR 2021, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..resize import bicubic
from .blocks import PReLU, ResidualBlock, Up, conv, conv_prelu, initialise, shrink

STRIDE = 4
SIZES = {"paper": {"trunk": 64, "blocks": 4}, "lite": {"trunk": 32, "blocks": 2}}


class DENet(nn.Module):
    """DSRNet's frame with deeper residual blocks instead of back-projection units: (guide) -> depth in [0, 1].

    A stem takes the image to a quarter of its size, where N stages of residual blocks work; a transposed convolution
    per stage gives the high-resolution features F^1 .. F^N, of the shapes of DSRNet's, and the depth map is made from
    F^N. So its cost does not depend on the scale, and is about a sixteenth of the same blocks at full size.

    Args:
        size: "paper" or "lite": the trunk's channels and the residual blocks per stage.
        width: channels of F^n, those of the DSRNet that it is trained with.
        units: N, likewise.
        sees_depth: False is the paper: colour alone. True gives it the upsampled low-resolution depth map as a fourth
            channel, to which it then adds detail: a teacher that knows what the student knows, and the colours.

    Raises:
        ValueError: for an unknown size.
    """

    def __init__(self, size: str = "lite", width: int = 16, units: int = 3, sees_depth: bool = False):
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"denet has sizes {tuple(SIZES)}, got {size!r}")
        trunk, blocks = SIZES[size]["trunk"], SIZES[size]["blocks"]
        self.sees_depth = sees_depth
        channels = 4 if sees_depth else 3
        self.shallow = nn.Sequential(
            nn.Conv2d(channels, trunk, STRIDE + 4, stride=STRIDE, padding=2),
            PReLU(trunk),
            conv_prelu(trunk, trunk),
            conv_prelu(trunk, trunk, kernel=1),
        )
        self.stages = nn.ModuleList(nn.Sequential(*(ResidualBlock(trunk) for _ in range(blocks))) for _ in range(units))
        self.up = nn.ModuleList(Up(trunk, width, STRIDE) for _ in range(units))
        self.head = nn.Sequential(conv_prelu(width, width), conv(width, 1))
        initialise(self)
        shrink(self.head[-1])

    def forward(self, guide: torch.Tensor, depth_up: torch.Tensor | None = None) -> torch.Tensor:
        """Estimate depth.

        Args:
            guide: (B, 3, H, W) RGB in [0, 1].
            depth_up: (B, 1, H, W) depth in [0, 1], bicubically upsampled; required when `sees_depth`, else refused.

        Returns:
            (B, 1, H, W); in [0, 1] when it sees colour alone.

        Raises:
            ValueError: for a wrong shape, or depth missing or unwanted.
        """
        return self.depth_from(self.head, self.features(guide, depth_up)[-1], depth_up)

    def features(self, guide: torch.Tensor, depth_up: torch.Tensor | None = None) -> list[torch.Tensor]:
        """F^1 .. F^N, each (B, width, H, W); arguments as in `forward`."""
        self._check(guide, depth_up)
        height, width = guide.shape[-2:]
        seen = guide if depth_up is None else torch.cat([guide, depth_up], dim=1)
        pad = (0, -width % STRIDE, 0, -height % STRIDE)
        low = self.shallow(F.pad(seen - 0.5, pad, mode="replicate"))
        high = []
        for stage, up in zip(self.stages, self.up):
            low = stage(low)
            high.append(up(low)[..., :height, :width])
        return high

    def depth_from(self, head: nn.Module, features: torch.Tensor, depth_up: torch.Tensor | None) -> torch.Tensor:
        """The depth map that a head (its own, or a side output's) reads from a feature map."""
        read = head(features)
        return torch.sigmoid(read) if depth_up is None else depth_up + read

    def hint(self, depth_lr: torch.Tensor, scale: int) -> torch.Tensor | None:
        """What `forward` takes as `depth_up`: the upsampled depth map, or None for a network that sees no depth."""
        return bicubic(depth_lr, scale=scale) if self.sees_depth else None

    def _check(self, guide: torch.Tensor, depth_up: torch.Tensor | None) -> None:
        if guide.ndim != 4 or guide.shape[1] != 3:
            raise ValueError(f"denet expects guide of shape (B, 3, H, W), got {tuple(guide.shape)}")
        if (depth_up is not None) != self.sees_depth:
            raise ValueError(f"denet with sees_depth={self.sees_depth} got depth_up={depth_up is not None}")
        if depth_up is not None and depth_up.shape != (guide.shape[0], 1, *guide.shape[2:]):
            raise ValueError(f"depth_up {tuple(depth_up.shape)} does not match guide {tuple(guide.shape)}")
