"""CSAN: the deeply supervised cross-scale attention network, single depth (2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from ..resize import bicubic
from .base import ResidualNetwork
from .blocks import ResidualBlock, Up, conv, conv_prelu, depth_conv_prelu, initialise, shrink
from .cross_scale import HighOrderCrossScaleAttention

# From LR to HR: lite has few channels where there are many pixels.
LITE_WIDTHS = {2: [24, 8], 4: [48, 16, 8], 8: [64, 32, 16, 8], 16: [64, 48, 32, 16, 8]}
LITE_BLOCKS = {2: [4], 4: [4, 2], 8: [4, 3, 2], 16: [4, 3, 2, 1]}
PAPER_WIDTH = 64
EDGE_GAIN = 3.0  # most of a depth map is flat, so a filter's answer is small
PAPER_BLOCKS = 10  # per stage: about the 20.5 MB that the paper states, at x8


class BilayerResidualBlock(nn.Module):
    """A basic residual block (outer) with a wide-activated residual between its two 3x3 convolutions (inner).

    ``y = x + conv(z + inner(z)), z = prelu(conv(x))`` with ``inner(z) = conv3x3(conv1x1(relu(conv1x1(z))))``, whose
    1x1 convolutions widen the channels before the activation and narrow them to 0.8 of the width after it (WDSR-B).

    Args:
        channels: of input and output.
        expansion: channels under the inner activation, per channel.
    """

    def __init__(self, channels: int, expansion: int):
        super().__init__()
        narrow = max(1, round(0.8 * channels))
        self.first = conv_prelu(channels, channels)
        self.inner = nn.Sequential(
            conv(channels, expansion * channels, kernel=1),
            nn.ReLU(),
            conv(expansion * channels, narrow, kernel=1),
            conv(narrow, channels),
        )
        self.last = conv(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        return x + self.last(z + self.inner(z))


class Stage(nn.Module):
    """Features on one grid -> features on a grid `ratio` times as fine, and the detail read from them.

    Blocks on the coarse grid, a transposed convolution, attention to both scales, and their sum on the fine grid.

    Args:
        coarse: channels on the coarse grid.
        fine: channels on the fine grid.
        ratio: of the grids.
        blocks: what runs on the coarse grid.
        attention: the block over both scales; None for none.
        head: whether the stage has an output.
    """

    def __init__(
        self,
        coarse: int,
        fine: int,
        ratio: int,
        blocks: Sequence[nn.Module],
        attention: HighOrderCrossScaleAttention | None,
        head: bool,
    ):
        super().__init__()
        self.ratio = ratio
        self.blocks = nn.Sequential(*blocks)
        self.up = Up(coarse, fine, ratio)
        self.attention = attention
        self.merge = conv(coarse, fine, kernel=1)
        self.head = nn.Sequential(conv_prelu(fine, fine), conv(fine, 1)) if head else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        coarse = self.blocks(features)
        fine = self.up(coarse)
        if self.attention is not None:
            coarse, fine = self.attention(coarse, fine)
        return fine + enlarge(self.merge(coarse), self.ratio)


class CSAN(ResidualNetwork):
    """log2(scale) stages, each of which doubles the resolution and has an output of its own, all of them supervised.

    Stage k turns features on the grid of 2^(k-1) pixels per LR pixel into features on the grid of 2^k: bilayer
    residual blocks, upsampling, and a high-order cross-scale attention block over the features before and after it.
    Its output is ``bicubic(d, 2^k) + detail_k`` with ``detail_k = enlarge(detail_{k-1}) + head_k(features_k)``.

    The paper's method section is not open to us and no code is published. What its abstract, tables and ablations leave
    open is decided here:

    - A stage doubles the resolution, so x2 has one stage and x16 four; without `multi_stage` there is one by `scale`.
    - Upsampling is a transposed convolution of kernel 6, stride 2 (equal to a 3x3 convolution and a pixel shuffle).
    - "High-order" is read as second-order: correlations of channels, within a scale and across two, from which gates
      for the channels of both scales are made. See `HighOrderCrossScaleAttention`, also for its windows.
    - The two scales of a stage are its input's and its output's; gated, the coarse ones are added to the fine ones by
      a 1x1 convolution and bilinear interpolation.
    - Bilayer block: see `BilayerResidualBlock`; no batch or weight norm, PReLU outside and ReLU under the wide layer.
    - `paper`: width 64, ten blocks per stage, widening by 6: 5.1 M parameters (20.5 MB, the paper's size) at x8.
    - Outputs are added to the bicubic upsampling, and a stage's detail to the enlarged detail of the one before; depth
      is normalised to its own range per sample.
    - The first layer's filters start with mean 0 and at `EDGE_GAIN` times their size: they see edges, not the level of
      depth, and training leaves bicubic's loss sooner.

    Args:
        scale: 2, 4, 8 or 16.
        size: "paper" or "lite" (wide at LR, 8 channels at full resolution).
        widths: channels on the grids from LR to HR, one more than there are stages; None takes the size's.
        blocks: residual blocks of each stage; None takes the size's.
        expansion: of the bilayer blocks' wide layer; None takes the size's (6, lite 3).
        window: edge of the attention's windows in pixels of the stage's coarse grid.
        attention: False leaves the attention blocks out.
        bilayer: False puts basic residual blocks in place of the bilayer ones.
        multi_stage: False upsamples at once, with all blocks at LR; nothing changes at x2, which has one stage.
        deep_supervision: False leaves all heads but the last one out, and so their outputs; nothing changes where
            there is one stage.

    Raises:
        ValueError: widths or blocks that do not fit the number of stages, or numbers below 1.
    """

    name = "csan"

    def __init__(
        self,
        scale: int,
        size: str = "lite",
        *,
        widths: Sequence[int] | None = None,
        blocks: Sequence[int] | None = None,
        expansion: int | None = None,
        window: int = 16,
        attention: bool = True,
        bilayer: bool = True,
        multi_stage: bool = True,
        deep_supervision: bool = True,
    ):
        super().__init__(scale, size)
        ratios = [2] * (scale.bit_length() - 1) if multi_stage else [scale]
        default_widths, default_blocks, default_expansion = default_sizes(scale, size, multi_stage)
        widths = list(default_widths if widths is None else widths)
        blocks = list(default_blocks if blocks is None else blocks)
        expansion = default_expansion if expansion is None else expansion
        if len(blocks) != len(ratios) or len(widths) != len(ratios) + 1:
            raise ValueError(
                f"csan x{scale} with {len(ratios)} stage(s) takes {len(ratios) + 1} widths and {len(ratios)} numbers "
                f"of blocks, got {widths} and {blocks}"
            )
        if min(*widths, *blocks, expansion, window) < 1:
            raise ValueError(
                f"csan needs widths, blocks, expansion and window of at least 1, got {widths}, {blocks}, {expansion}, "
                f"{window}"
            )

        def block(channels: int) -> nn.Module:
            return BilayerResidualBlock(channels, expansion) if bilayer else ResidualBlock(channels)

        self.shallow = depth_conv_prelu(1, widths[0])
        self.stages = nn.ModuleList(
            Stage(
                coarse,
                fine,
                ratio,
                [block(coarse) for _ in range(count)],
                HighOrderCrossScaleAttention(coarse, fine, ratio, window) if attention else None,
                head=deep_supervision or i == len(ratios) - 1,
            )
            for i, (coarse, fine, ratio, count) in enumerate(zip(widths, widths[1:], ratios, blocks))
        )
        self.tile_overlap = self._reach()
        self.tile_step = self._largest_window()
        self._initialise()

    def _initialise(self) -> None:
        initialise(self)
        for part in self.modules():
            if isinstance(part, BilayerResidualBlock):
                shrink(part.inner[-1], 0.5)
                shrink(part.last, 0.1)
            elif isinstance(part, HighOrderCrossScaleAttention):
                part.shrink()
            elif isinstance(part, Stage):
                shrink(part.merge, 0.1)
                if part.head is not None:
                    shrink(part.head[-1])
        with torch.no_grad():
            first = self.shallow[0].get_parameter("weight")
            first.sub_(first.mean(dim=(2, 3), keepdim=True)).mul_(EDGE_GAIN)

    def details(self, depth: torch.Tensor) -> list[torch.Tensor]:
        """detail_k of every stage that has an output, coarse to fine, of depth (B, 1, h, w) in [0, 1].

        The last one is (B, 1, h * scale, w * scale); with deep supervision, (B, 1, 2 h, 2 w) and so on come before it.
        """
        features = self.shallow(depth)
        details: list[torch.Tensor] = []
        for stage in self._stages():
            features = stage(features)
            if stage.head is not None:
                detail = stage.head(features)
                details.append(detail + enlarge(details[-1], stage.ratio) if details else detail)
        return details

    def detail(self, depth: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        return self.details(depth)[-1]

    def stage_outputs(self, depth: torch.Tensor) -> list[torch.Tensor]:
        """bicubic(d) + detail_k on every grid that has an output, coarse to fine, of d (B, 1, h, w) in [0, 1].

        The last one is `super_resolve_normalised`. Deep supervision compares each with the ground truth on its grid.
        """
        details = self.details(depth)
        return [bicubic(depth, scale=d.shape[-1] // depth.shape[-1]) + d.to(depth.dtype) for d in details]

    def _stages(self) -> list[Stage]:
        return cast("list[Stage]", list(self.stages))

    def _reach(self) -> int:
        """LR pixels on each side that an output pixel can depend on: the convolutions' reach, and the windows'."""
        reach, pixel = 1.0, 1.0  # the first layer; LR pixels per pixel of the stage's coarse grid
        for stage in self._stages():
            convolutions = sum(m.kernel_size[0] // 2 for m in stage.blocks.modules() if isinstance(m, nn.Conv2d))
            # interpolated between centres, a gate sees the neighbouring window to its far edge
            window = 0 if stage.attention is None else 1.5 * stage.attention.window
            reach += pixel * (convolutions + window + 1)
            pixel /= stage.ratio
            reach += pixel * 2  # the head; the next stage's features see less
        return max(3, math.ceil(reach))

    def _largest_window(self) -> int:
        """LR pixels in whose multiples a part of an image must begin to be cut into the whole image's windows."""
        windows = [stage.attention.window for stage in self._stages() if stage.attention is not None]
        return max(windows, default=1)


def default_sizes(scale: int, size: str, multi_stage: bool = True) -> tuple[list[int], list[int], int]:
    """Widths, blocks per stage and expansion that a size stands for, at a scale."""
    if size == "paper":
        stages = scale.bit_length() - 1
        widths, blocks, expansion = [PAPER_WIDTH] * (stages + 1), [PAPER_BLOCKS] * stages, 6
    else:
        widths, blocks, expansion = LITE_WIDTHS[scale], LITE_BLOCKS[scale], 3
    return (widths, blocks, expansion) if multi_stage else ([widths[0], widths[-1]], [sum(blocks)], expansion)


def enlarge(x: torch.Tensor, ratio: int) -> torch.Tensor:
    """Bilinear interpolation by `ratio`."""
    return F.interpolate(x, scale_factor=float(ratio), mode="bilinear", align_corners=False)
