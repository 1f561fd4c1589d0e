"""What each of CTKT's two networks makes of a batch: depth, features and side outputs, in the batch's unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from depth_sr_ros.models.denet import DENet
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.models.spnet import SideOutputs
from depth_sr_ros.resize import bicubic

from .input_range import InputRange, range_of
from .module import Batch


@dataclass
class Estimate:
    """One network's result for B samples.

    Attributes:
        depth: D, (B, 1, H, W).
        features: F^1 .. F^N, each (B, C, H, W).
        sides: D^1 .. D^N, each (B, 1, H, W).
    """

    depth: torch.Tensor
    features: list[torch.Tensor]
    sides: list[torch.Tensor]

    def take(self, rows: torch.Tensor) -> Estimate:
        """The estimate of some samples; `rows` holds their indices."""
        if len(rows) == len(self.depth):
            return self
        return Estimate(self.depth[rows], [f[rows] for f in self.features], [s[rows] for s in self.sides])

    def detach(self) -> Estimate:
        """The same numbers as constants."""
        return Estimate(self.depth.detach(), [f.detach() for f in self.features], [s.detach() for s in self.sides])


def with_colour(batch: Batch) -> Batch:
    """The samples that have a guide, with their indices as `rows`.

    A batch without any gives its first sample with nothing valid in it, so that the graph is the same on every
    device and the gradient is zero.

    Raises:
        ValueError: when the data module is set to leave colour out.
    """
    if "guide" not in batch:
        raise ValueError("CTKT learns from colour: set data.with_guide=true")
    rows = batch["has_guide"].nonzero()[:, 0]
    if len(rows) == 0:
        rows = torch.zeros(1, dtype=torch.long, device=batch["has_guide"].device)
    chosen = {key: value[rows] for key, value in batch.items() if torch.is_tensor(value)}
    chosen["valid"] = chosen["valid"] & chosen["has_guide"][:, None, None, None]
    return {**chosen, "rows": rows}


def estimate_from_depth(
    network: DSRNet, side: SideOutputs, batch: Batch, input_range: InputRange, into_features: bool
) -> Estimate:
    """DSRNet's estimate; its depth is what `network(depth_lr)` returns (for "patch")."""
    low, extent = range_of(batch, input_range)
    depth = (batch["depth_lr"] - low) / extent
    upsampled = bicubic(depth, scale=network.scale)
    features = network.features(depth)
    read = features if into_features else [f.detach() for f in features]
    return Estimate(
        low + extent * (upsampled + network.head(features[-1])),
        features,
        [low + extent * (upsampled + layer(f)) for layer, f in zip(side, read)],
    )


def estimate_from_colour(
    denet: DENet, side: SideOutputs, paired: Batch, scale: int, input_range: InputRange, into_features: bool
) -> Estimate:
    """DENet's estimate, from [0, 1] to the batch's unit by the range that DSRNet sees too."""
    low, extent = range_of(paired, input_range)
    hint = denet.hint((paired["depth_lr"] - low) / extent, scale)
    features = denet.features(paired["guide"], hint)
    read = features if into_features else [f.detach() for f in features]
    return Estimate(
        low + extent * denet.depth_from(denet.head, features[-1], hint),
        features,
        [low + extent * denet.depth_from(layer, f, hint) for layer, f in zip(side, read)],
    )
