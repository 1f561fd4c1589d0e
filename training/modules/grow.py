"""Weights of a small DSRNet as the start of a wider or deeper one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from depth_sr_ros.models import DepthSRModel
from depth_sr_ros.models.blocks import ResidualBlock
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.weight_files import read_tensors


def load_into_larger(network: DepthSRModel, path: str | Path) -> None:
    """Start `network`, a DSRNet, as the same function as a smaller one, in place and all or nothing.

    What the small network has comes first among the channels of the large one. Channels that it does not have are
    initialised at random and start without effect: what they lead to has zero weights where it is one of the small
    network's channels (so gradients reach those weights at once). Residual blocks that it does not have start as the
    identity. Training then goes on where the small network's ended. (Networks that join feature maps, as CSAN's
    cross-scale blocks do, have their channels in another order, and are refused.)

    Args:
        network: freshly made.
        path: a .safetensors file of a DSRNet for the same scale.

    Raises:
        WeightsError: as `read_tensors`, when `network` is no DSRNet, and when the file's network is not contained in
            it: more channels than it has, other kernels, or something else than residual blocks missing, such as a
            projection unit.
    """
    if not isinstance(network, DSRNet):
        raise WeightsError(
            f"{Path(path).name} is of other options than this {network.name}, and only a dsrnet grows from a smaller "
            "one: give the options of the file's card"
        )
    given, grown = read_tensors(path), {}
    new_blocks = [
        part
        for name, part in network.named_modules()
        if isinstance(part, ResidualBlock) and not any(key.startswith(f"{name}.") for key in given)
    ]
    expected = {id(tensor) for block in new_blocks for tensor in block.state_dict(keep_vars=True).values()}
    own = network.state_dict(keep_vars=True)
    misfits = sorted(given.keys() - own.keys())
    for key, tensor in own.items():
        if key in given and _fits(given[key], tensor):
            grown[key] = _grown(given[key], tensor.detach(), _input_axis(network, key))
        elif key in given or id(tensor) not in expected:
            misfits.append(key)
    if misfits:
        raise WeightsError(
            f"{Path(path).name} cannot start a larger {network.name} x{network.scale} {network.size}: {len(misfits)} "
            f"parameters do not fit into this network's, {misfits[:3]}. Its card names the options that it was made "
            "with: give these, or larger widths and more lr_blocks"
        )
    network.load_state_dict(grown, strict=False)
    for block in new_blocks:
        nn.init.zeros_(block.body[-1].get_parameter("weight"))
        nn.init.zeros_(block.body[-1].get_parameter("bias"))


def _fits(small: torch.Tensor, large: torch.Tensor) -> bool:
    return (
        small.ndim == large.ndim
        and small.shape[2:] == large.shape[2:]
        and all(have <= room for have, room in zip(small.shape, large.shape))
    )


def _input_axis(network: nn.Module, key: str) -> int | None:
    """The axis of a parameter along which the channels of its layer's input lie; None where it has none."""
    part = network.get_submodule(key.rpartition(".")[0])
    if not isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)) or not key.endswith("weight"):
        return None
    return 0 if isinstance(part, nn.ConvTranspose2d) else 1


def _grown(small: torch.Tensor, large: torch.Tensor, input_axis: int | None) -> torch.Tensor:
    result = large.clone()
    if input_axis is not None:  # nothing flows from a new channel to one that the small network has
        result.narrow(1 - input_axis, 0, small.shape[1 - input_axis]).zero_()
    result[tuple(slice(have) for have in small.shape)] = small.to(result.dtype)
    return result
