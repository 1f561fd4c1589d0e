"""Weights of one scale as the start of a network for another."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from depth_sr_ros.models import DepthSRModel
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.weight_files import read_tensors


def load_from_scale(network: DepthSRModel, path: str | Path, scale: int) -> None:
    """Start `network` from weights of the same network made for another scale, in place and all or nothing.

    What does not depend on the scale is taken over. The kernels of projections (`Up`, `Down`: stride = scale) are
    resampled by area: the same weight at the same place of an LR cell, measured in cells, and zero beyond the old
    kernel; to a larger scale every weight is repeated. (Linear interpolation smooths kernels that are mostly noise: it
    left a twentieth of the trained detail.) `Down` sums over (new / old)^2 times as many pixels: it is divided by that.

    Args:
        network: of the registry.
        path: a .safetensors file.
        scale: what the file was made for.

    Raises:
        WeightsError: as `read_tensors`, and when more than the projections differs, as it does between lite sizes of
            different widths.
    """
    given, own = read_tensors(path), network.state_dict()
    strides = {f"{name}.weight": part for name, part in network.named_modules() if _is_projection(part, network.scale)}
    misfits = list(given.keys() ^ own.keys())
    for key in given.keys() & own.keys():
        differ = given[key].shape != own[key].shape  # a layer may have this stride whatever the network's scale
        if differ and key in strides and given[key].shape[:2] == own[key].shape[:2]:
            given[key] = _resampled(given[key], strides[key], scale)
        if given[key].shape != own[key].shape:
            misfits.append(key)
    if misfits:
        raise WeightsError(
            f"{Path(path).name} (x{scale}) cannot start {network.name} x{network.scale} {network.size}: {len(misfits)} "
            f"parameters differ in more than the scale, {sorted(misfits)[:3]}. Take weights of a scale with the same "
            "widths"
        )
    network.load_state_dict(given)


def _is_projection(part: nn.Module, scale: int) -> bool:
    return isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)) and part.stride == (scale, scale)


def _resampled(kernel: torch.Tensor, part: nn.Conv2d | nn.ConvTranspose2d, old_scale: int) -> torch.Tensor:
    new_scale, padding = part.stride[0], int(part.padding[0])  # the same padding at every scale
    # edges of the new taps among the old ones, of which tap j reaches from j to j + 1
    edges = (torch.arange(part.kernel_size[0] + 1) - padding) / new_scale * old_scale + padding
    old = torch.arange(kernel.shape[-1])
    overlap = torch.minimum(edges[1:, None], old + 1) - torch.maximum(edges[:-1, None], old)
    weights = overlap.clamp_min(0) * new_scale / old_scale
    resampled = weights @ kernel.float() @ weights.T
    if isinstance(part, nn.Conv2d):
        resampled *= (old_scale / new_scale) ** 2
    return resampled.to(kernel.dtype)
