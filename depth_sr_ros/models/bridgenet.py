"""BridgeNet: depth super-resolution and monocular depth estimation, learned together (ACM MM 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import torch
import torch.nn.functional as F
from torch import nn

from ..resize import bicubic
from .base import ResidualNetwork
from .blocks import conv, initialise, shrink
from .bridgenet_depth import DepthDecoder, DepthEncoder, Layout, TopFeatures
from .bridges import POOL, ContentGuidanceBridge, HighFrequencyAttentionBridge
from .mdenet import EstimationDecoder, FeatureExtractor

TASKS = ("dsr", "mde")
REACH = 256  # image pixels beyond which lite's output feels nothing: measured, at less than 1e-5 of the range
LAYOUTS = {
    "paper": Layout(
        depth=(64, 128, 256, 256),
        colour=(64, 64, 128, 128),
        pyramid=64,
        encoder=(1, 4, 4, 4),
        colour_encoder=(1, 2, 2, 2),
        stacked=4,
    ),
    "lite": Layout(
        depth=(32, 64, 96, 96),
        colour=(16, 32, 48, 48),
        pyramid=16,
        encoder=(1, 1, 2, 2),
        colour_encoder=(1, 1, 1, 1),
        stacked=2,
        decoder=(1, 1, 2),
        low={2: 0, 4: 1, 8: 2, 16: 2},
        fold=2,
        finest=1,
        light=True,
    ),
}


class BridgeNet(ResidualNetwork):
    """Two encoder-decoders and two bridges: colour features guide the depth encoder, the depth decoder guides the
    estimation of depth from colour.

    ``model(depth_lr, guide)`` computes what leads to the super-resolved map: the colour encoder, HABdg, and the depth
    encoder-decoder. The estimation decoder and CGBdg train the colour encoder and nothing else (`estimate_both`);
    they are part of the checkpoint and of the weights file.

    Where the paper is open, in both sizes: the output is added to the bicubic upsampling and depth is normalised to
    its own range per sample; no batch norm, PReLU throughout; the colour encoder is made of residual blocks at the
    depth encoder's four sizes instead of a classifier's, so that every depth feature has a partner; channel attention
    is mean + max, spatial attention a 7x7 convolution, both residual; the softmax of eq. 10 runs over channels; the
    estimation reads CGBdg's features but sends no gradient into the depth decoder; the estimate is in [0, 1] of the LR
    map's range. `paper` takes its widths (64, 128, 256, 256) and block counts from the published running time; a
    convolution after a max-pool changes the width; its channel attention is over the whole image, as in the paper, so
    tiles of a frame do not add up to the whole frame's result.

    `lite` departs further, for two CPU cores: 2x2 pixels are folded into channels, so that the four sizes are 1/2 to
    1/16 of the image; strided and transposed convolutions halve and double; depth at its own low resolution enters at
    the level of its size, in place of the long skip; the encoder's features of every size join the decoder, in place
    of the multi-scale guidance; a pixel shuffle after the last convolution makes the full size; the estimate is made
    at a quarter of the image's size; gates are local, so that neither a frame's size nor its tiling matters (see
    `attention.ChannelAttention`); and the blur of HABdg is factored.

    Args:
        scale: 2, 4, 8 or 16.
        size: "paper" or "lite".
        habdg: False takes the bridge between the encoders out: super-resolution does not see the guide at all.
        cgbdg: False takes the bridge between the decoders out: the estimate is made from colour alone.
        attention: False puts plain concatenation of features in HABdg's place (the paper's Table 4).

    Raises:
        ValueError: for attention=False without habdg.
    """

    name = "bridgenet"
    requires_guide = True

    def __init__(
        self, scale: int, size: str = "lite", *, habdg: bool = True, cgbdg: bool = True, attention: bool = True
    ):
        super().__init__(scale, size)
        if not attention and not habdg:
            raise ValueError("attention=False changes the bridge HABdg: leave habdg=True")
        layout = LAYOUTS[size]
        depth, colour, fold, finest = layout.depth, layout.colour, layout.fold, layout.finest
        self.habdg, self.finest, self.multiple = habdg, finest, fold * 2 ** (len(depth) - 1)
        self.tile_step = max(1, POOL * self.multiple // scale)
        self.tile_overlap = REACH // scale
        bridges = [HighFrequencyAttentionBridge(d, c, attention, layout.light) for d, c in zip(depth, colour) if habdg]
        low = None
        if layout.low is not None:
            low = (scale // fold).bit_length() - 1, layout.low[scale]
        self.encoder = DepthEncoder(layout, low, bridges)
        self.top = TopFeatures(layout)
        self.decoder = DepthDecoder(layout)
        self.head = nn.Sequential(conv(depth[0], fold * fold, 3 if layout.light else 1), nn.PixelShuffle(fold))
        self.colour = FeatureExtractor(colour, layout.colour_encoder, fold, not layout.light)
        content = [ContentGuidanceBridge(layout.pyramid, d, layout.light) for d in reversed(depth[finest:-1]) if cgbdg]
        self.estimation = EstimationDecoder(colour[finest:], layout.pyramid, fold * 2**finest, content)
        initialise(self)
        shrink(self.head[0])
        shrink(self.estimation.head[0])
        for bridge in bridges:
            bridge.start()
        for guidance in content:
            guidance.start()

    def detail(self, depth: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        assert guide is not None  # `check_inputs` has seen to it
        depth, guide, size = self._padded(depth, guide)
        colour = self.colour(guide) if self.habdg else []
        return self._super_resolve(depth, colour)[0][..., : size[0], : size[1]]

    def estimate_both(self, depth: torch.Tensor, guide: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What training compares with the truth: both tasks' maps, of shape (B, 1, h * scale, w * scale).

        Args:
            depth: (B, 1, h, w), normalised to [0, 1].
            guide: (B, 3, h * scale, w * scale) RGB in [0, 1].

        Returns:
            The super-resolved map, equal to `super_resolve_normalised`'s, and the estimated one, both in the
            normalised unit.
        """
        padded, image, (height, width) = self._padded(depth, guide)
        detail, decoded = self._super_resolve(padded, self.colour(image) if self.habdg else [])
        # the colour features are made twice: either loss is then back-propagated alone, without the other's graph
        estimate = self.estimation(self.colour(image)[self.finest :], [f.detach() for f in decoded])
        output = bicubic(depth, scale=self.scale) + detail[..., :height, :width].to(depth.dtype)
        return output, estimate[..., :height, :width].to(depth.dtype)

    def parameters_of(self, task: str) -> Iterator[nn.Parameter]:
        """What a task's loss reaches: "dsr" (what `forward` computes) or "mde"; both own the colour encoder."""
        parts_of: dict[str, list[nn.Module]] = {
            "dsr": [self.encoder, self.top, self.decoder, self.head],
            "mde": [self.estimation],
        }
        parts = parts_of[task]
        if task == "mde" or self.habdg:
            parts = [self.colour, *parts]
        for part in parts:
            yield from part.parameters()

    def _super_resolve(
        self, depth: torch.Tensor, colour: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Detail at the padded size, and the depth decoder's features, the smallest size first."""
        upsampled = bicubic(depth, scale=self.scale)
        shallow, features = self.encoder(upsampled, depth, colour)
        decoded = self.decoder(self.top(shallow, features), features)
        return self.head(decoded[-1]), decoded

    def _padded(self, depth: torch.Tensor, guide: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Both with their last rows and columns repeated until the smallest size is whole; and the guide's size."""
        height, width = guide.shape[-2:]
        step = self.multiple // gcd(self.multiple, self.scale)
        rows, columns = (-n % step for n in depth.shape[-2:])
        guide = F.pad(guide, (0, columns * self.scale, 0, rows * self.scale), mode="replicate")
        return F.pad(depth, (0, columns, 0, rows), mode="replicate"), guide, (height, width)
