"""Plain supervised training of any network in the registry: L1 to the ground truth."""

from __future__ import annotations

from typing import Any, Literal

import torch

from depth_sr_ros.weights import load_weights, read_card

from ..losses import l1_loss
from .base import Batch, DepthSRMethod
from .optimisation import Optimisation
from .rescale import load_from_scale


class Supervised(DepthSRMethod):
    """Minimise the L1 distance to the ground truth over valid pixels, in units of the whole map's range.

    Args:
        method: name of the network in the registry.
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network.
        optimisation: optimiser and schedule.
        normalise: what a patch is normalised by inside the network: "patch" (its own range, so that any contrast is
            seen at any size) or "frame" (the whole map's range, as a whole image is at inference).
        weights: a .safetensors file of the same network to start from, to fine-tune on own data; of another scale
            (as its card says) it is carried over by `load_from_scale`. None: random.
    """

    def __init__(
        self,
        method: str = "dsrnet",
        scale: int = 4,
        size: str = "lite",
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        normalise: Literal["patch", "frame"] = "patch",
        weights: str | None = None,
    ):
        super().__init__(method, scale, size, options, optimisation)
        if weights is not None:
            made_for = read_card(weights).scale
            if made_for == scale:
                load_weights(self.network, weights)
            else:
                load_from_scale(self.network, weights, made_for)
        self.normalise = normalise
        if normalise == "frame" and not hasattr(self.network, "super_resolve_normalised"):
            raise ValueError(f"{method} does not normalise its input: use normalise='patch'")

    def check_batch(self, batch: Batch) -> None:
        super().check_batch(batch)
        if self.normalise == "frame":
            self.check_normalised(batch)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        self.check_batch(batch)
        guide = self.guide_of(batch)
        if self.normalise == "frame":
            output = self.network.super_resolve_normalised(batch["depth_lr"], guide)
        else:
            output = self.network(batch["depth_lr"], guide)
        loss = l1_loss(output, batch["depth_hr"], batch["valid"])
        self.check_finite(loss, batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss
