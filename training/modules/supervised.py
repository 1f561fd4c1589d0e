"""Plain supervised training of any network in the registry: L1 to the ground truth."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from depth_sr_ros.models import ResidualNetwork
from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo.card import read_card
from depth_sr_ros.zoo.weight_files import load_weights, read_tensors

from ..losses import l1_loss, relative_l1_loss, tolerant_l1_loss
from .equivariant_start import load_without_biases
from .grow import load_into_larger
from .input_range import InputRange, NormalisedEntry, check_input_range, range_of
from .module import Batch, DepthSRModule
from .optimisation import Optimisation
from .rescale import load_from_scale


class Supervised(DepthSRModule):
    """Minimise the L1 distance to the ground truth over valid pixels, in units of the whole map's range.

    With a `tolerance` it is `tolerant_l1_loss`.

    Args:
        method: name of the network in the registry.
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network; None: those on the card of `weights`, if they are this
            network's, else none.
        optimisation: optimiser and schedule.
        input_range: what a patch is normalised by inside the network: "patch" (its own range, so that any contrast is
            seen at any size) or "frame" (the whole map's range, as a whole image is at inference).
        weights: a .safetensors file of the same network to start from, to fine-tune on own data; of another scale, as
            its card says, it is carried over by `load_from_scale`, with other options, those of a smaller network, by
            `load_into_larger`, and those of a network with biases into an equivariant one by `load_without_biases`.
            None: random.
        relative: weigh each sample by 1 / (bicubic's error on it + 0.3 % of the map's range), so that clean samples
            count about as much as noisy ones, whose errors are many times as large. The loss is then about a share of
            bicubic's error.
        tolerance: levels of an 8-bit image, at least 0 and below 0.5; the part of an error within it counts a fifth. 0:
            plain L1; above, for ground truth in whole levels and results that are rounded before they are scored.

    Raises:
        ValueError: an unknown `input_range`, or "frame" for a network that does not normalise its input; a tolerance
            that is not in [0, 0.5).
        WeightsError: weights that are missing, damaged, or cannot start this network.
    """

    def __init__(
        self,
        method: str = "dsrnet",
        scale: int = 4,
        size: str = "lite",
        *,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        input_range: InputRange = "patch",
        weights: str | None = None,
        tolerance: float = 0.0,
        relative: bool = False,
    ):
        if not 0 <= tolerance < 0.5:
            raise ValueError(f"tolerance must be in [0, 0.5) levels of an 8-bit image, got {tolerance}")
        if weights is not None and options is None and (card := read_card(weights)).method == method:
            options = card.options
        super().__init__(method, scale, size, options, optimisation)
        if weights is not None:
            self._start_from(weights)
        check_input_range(input_range)
        self.input_range, self.tolerance, self.relative = input_range, tolerance, relative
        # in a tuple, so that the network's parameters are registered once
        self._entry: tuple[nn.Module] = (self.network,)
        if input_range == "frame":
            if not isinstance(self.network, ResidualNetwork):
                raise ValueError(f"{method} does not normalise its input: use input_range='patch'")
            self._entry = (NormalisedEntry(self.network),)

    def _start_from(self, weights: str) -> None:
        made_for = read_card(weights)
        if made_for.scale != self.network.scale:
            load_from_scale(self.network, weights, made_for.scale)
            return
        if self.network.accepts_sigma and not made_for.options.get("equivariant"):
            load_without_biases(self.network, weights)
            return
        same_size = _shapes(read_tensors(weights)) == _shapes(self.network.state_dict())
        if made_for.method == self.network.name and not same_size:
            load_into_larger(self.network, weights)
        else:
            load_weights(self.network, weights)

    def compiled_parts(self) -> list[nn.Module]:
        return [self._entry[0]]

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        self.check_batch(batch)
        low, extent = range_of(batch, "frame") if self.input_range == "frame" else (0.0, 1.0)
        told = {"sigma": batch["sigma"] / extent} if self.network.accepts_sigma and "sigma" in batch else {}
        output = low + extent * self._entry[0]((batch["depth_lr"] - low) / extent, self.guide_of(batch), **told)
        loss = self.distance(output, batch["depth_hr"], batch["valid"], batch)
        self.check_finite(loss, batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def distance(self, output: torch.Tensor, target: torch.Tensor, valid: torch.Tensor, batch: Batch) -> torch.Tensor:
        """L1 over valid pixels, with the tolerance; `output` and `target` (B, 1, H, W) on any grid.

        Raises:
            ValueError: a tolerance, and a batch without `level` (B,), one level of an 8-bit image in the tensors' unit.
        """
        if self.relative:
            with torch.no_grad():
                enlarged = bicubic(batch["depth_lr"], scale=self.network.scale)
            return relative_l1_loss(output, target, enlarged, valid)
        if self.tolerance == 0:
            return l1_loss(output, target, valid)
        if "level" not in batch:
            raise ValueError("a tolerance needs the batch's key 'level', one level of an 8-bit image in its unit")
        return tolerant_l1_loss(output, target, valid, self.tolerance * batch["level"].view(-1, 1, 1, 1))


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
