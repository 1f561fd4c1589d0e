"""Weights of a DSRNet with biases as the start of an equivariant one."""

from __future__ import annotations

from pathlib import Path

import torch

from depth_sr_ros.models import DepthSRModel
from depth_sr_ros.models.blocks import ResidualBlock
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.models.equivariant import NEIGHBOURS
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.weight_files import read_tensors

FILTERS, SLOPES = "shallow.0.filters.weight", "shallow.0.activation.weight"


def load_without_biases(network: DepthSRModel, path: str | Path) -> None:
    """Start an equivariant `network` from weights of a DSRNet of the same widths that has biases, in place.

    Biases are dropped and the first filters lose their mean, so the result is another function: at x4 about as good as
    bicubic before the first step, and after 60 steps better than random weights after 120. Residual blocks that the
    file does not have start as the identity. The weights of sigma stay random.

    Args:
        network: freshly made, equivariant.
        path: a .safetensors file of a DSRNet for the same scale that is not equivariant.

    Raises:
        WeightsError: as `read_tensors`, when `network` is no DSRNet, and when widths or units differ.
    """
    if not isinstance(network, DSRNet):
        raise WeightsError(f"{Path(path).name} cannot start {network.name}: only a dsrnet starts without its biases")
    given, own = read_tensors(path), network.state_dict()
    identity = {
        f"{name}.body.1.weight"
        for name, part in network.named_modules()
        if isinstance(part, ResidualBlock) and f"{name}.body.1.weight" not in given
    }
    try:
        first = given["shallow.0.0.weight"].float()
        first = first - first.mean(dim=(1, 2, 3), keepdim=True)
        own[FILTERS][:, :-1, 0, 0] = torch.stack([first[:, 0, row, column] for row, column in NEIGHBOURS], dim=1)
        given[SLOPES] = given["shallow.0.1.weight"]
        for key, tensor in own.items():
            if key in identity:
                tensor.zero_()
            elif key in given:
                tensor.copy_(given[key])
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{Path(path).name} cannot start this equivariant {network.name} x{network.scale}: {error}. Give the "
            "widths and units of the file's card as options"
        ) from None
    network.load_state_dict(own)
