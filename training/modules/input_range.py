"""What a patch's depth is normalised by before a network sees it."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

from depth_sr_ros.models.base import ResidualNetwork

from .module import Batch

InputRange = Literal["patch", "frame"]


def check_input_range(input_range: str) -> None:
    """Raise ValueError unless it is one of `InputRange`."""
    if input_range not in get_args(InputRange):
        raise ValueError(f"input_range must be one of {get_args(InputRange)}, got {input_range!r}")


def range_of(batch: Batch, input_range: InputRange) -> tuple[torch.Tensor, torch.Tensor]:
    """(low, extent), each (B, 1, 1, 1) in the unit of depth_lr: a network sees (depth_lr - low) / extent.

    "patch": of each patch's own depth_lr, as the networks do it themselves; "frame": of the whole map that it was cut
    from, so that a patch looks as it does in a whole image. 1 where there is no extent.

    Raises:
        ValueError: "frame" with a batch that does not know its frames, which is not one of `PatchDataset`.
    """
    if input_range == "frame":
        if "frame" not in batch:
            raise ValueError("input_range='frame' needs the batch's key 'frame', the statistics of whole maps")
        low, high = (batch["frame"][:, k].view(-1, 1, 1, 1) for k in (0, 1))
    else:
        low = batch["depth_lr"].amin(dim=(1, 2, 3), keepdim=True)
        high = batch["depth_lr"].amax(dim=(1, 2, 3), keepdim=True)
    extent = high - low
    return low, torch.where(extent > 0, extent, torch.ones_like(extent))


class NormalisedEntry(nn.Module):
    """A network as a module that takes depth normalised already, because `torch.compile` compiles what is called.

    Depth (B, 1, h, w), about [0, 1], and a guide (B, 3, H, W) or None -> (B, 1, H, W) in that unit.
    """

    def __init__(self, network: ResidualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, depth: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.network.super_resolve_normalised(depth, guide, sigma)
