"""CSAN: supervised at every stage of its upsampling ("Depth Map Super-Resolution Reconstruction Based on Deeply
Supervised Cross-Scale Attention Network", 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from depth_sr_ros.models.csan import CSAN as Network
from depth_sr_ros.resize import bicubic

from ..losses import l1_loss
from .input_range import InputRange, range_of
from .module import Batch
from .optimisation import Optimisation
from .supervised import Supervised


class CSAN(Supervised):
    """L = L1(D_K, D_hr) + stage_weight * sum over k < K of L1(D_k, D_hr on the grid of stage k), over valid pixels.

    D_k is the output of stage k and D_hr on its grid the ground truth shrunk by MATLAB's bicubic, the kernel of the
    papers' LR depth; a pixel there is valid when all the pixels of its cell are. Without the network's
    ``deep_supervision`` or ``multi_stage`` there is one output and one term.

    The paper names neither norm nor weights: L1 (on D_K with `tolerance`), and all stages count alike by default.

    Args:
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network, such as ``attention: false``.
        optimisation: optimiser and schedule; None: Adam 1e-4, halved every 20 epochs.
        stage_weight: of the terms of all stages but the last one.
        input_range: as in `Supervised`.
        weights: as in `Supervised`.
        tolerance: as in `Supervised`.

    Raises:
        ValueError: for a negative stage_weight.
    """

    network: Network

    def __init__(
        self,
        scale: int = 8,
        size: str = "paper",
        *,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        stage_weight: float = 1.0,
        input_range: InputRange = "patch",
        weights: str | None = None,
        tolerance: float = 0.0,
    ):
        if not stage_weight >= 0:
            raise ValueError(f"stage_weight must be at least 0, got {stage_weight}")
        optimisation = optimisation or default_optimisation()
        super().__init__(
            "csan",
            scale,
            size,
            options=options,
            optimisation=optimisation,
            input_range=input_range,
            weights=weights,
            tolerance=tolerance,
        )
        self.stage_weight = stage_weight

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        self.check_batch(batch)
        losses = self.stage_losses(batch)
        loss = losses[-1] + self.stage_weight * sum(losses[:-1])
        self.check_finite(loss, batch)
        self.log_dict({f"train_stage{k}": value.detach() for k, value in enumerate(losses, start=1)})
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def stage_losses(self, batch: Batch) -> list[torch.Tensor]:
        """On the grid of each output, coarse to fine: L1, on the last one with the tolerance.

        Coarser ground truth is a mean and no whole level, so nothing is to be tolerated there.
        """
        low, extent = range_of(batch, self.input_range)
        *coarse, last = (
            low + extent * output for output in self.network.stage_outputs((batch["depth_lr"] - low) / extent)
        )
        depth_hr, valid = batch["depth_hr"], batch["valid"]
        losses = [l1_loss(output, *on_grid(depth_hr, valid, output.shape[-2:])) for output in coarse]
        return [*losses, self.distance(last, *on_grid(depth_hr, valid, last.shape[-2:]), batch)]

    def compiled_parts(self) -> list[nn.Module]:
        return [self.network.shallow, *self.network.stages]


def on_grid(depth_hr: torch.Tensor, valid: torch.Tensor, size: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The ground truth (B, 1, H, W) and where it is valid, on a coarser grid (B, 1, *size) or its own."""
    ratio = depth_hr.shape[-1] // size[1]
    if ratio == 1:
        return depth_hr, valid
    return bicubic(depth_hr, size=(size[0], size[1])), F.avg_pool2d(valid.to(depth_hr.dtype), ratio) > 0.999


def default_optimisation() -> Optimisation:
    """For the 50 to 60 epochs after which the paper's curves are flat."""
    return Optimisation(learning_rate=1e-4, betas=(0.9, 0.999), schedule="step", decay=0.5, decay_epochs=20)
