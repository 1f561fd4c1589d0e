"""BridgeNet: super-resolution and depth estimation from colour learned together, each by an optimiser of its own
("BridgeNet: A Joint Learning Network of Depth Map Super-Resolution and Monocular Depth Estimation", ACM MM 2021)."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler, OptimizerLRSchedulerConfig
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from depth_sr_ros.models.bridgenet import TASKS
from depth_sr_ros.models.bridgenet import BridgeNet as Network

from ..losses import l1_loss
from .input_range import InputRange, range_of
from .module import Batch, DepthSRModule
from .optimisation import Optimisation


class BridgeNet(DepthSRModule):
    """L_DSR (eq. 1) and L_MDE (eq. 2), both the L1 distance to the ground truth over valid pixels, in units of the
    map's range; no weight between them, because each has its own optimiser.

    Where the paper is silent: the colour encoder, which both losses reach, is moved by both optimisers; both gradients
    are taken at the same weights before either moves; the gradient of each task is clipped alone; the depth decoder's
    features reach CGBdg without a gradient back, because L_MDE is not DSRNet's to lower.

    Args:
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network, such as ``habdg: false``.
        optimisation: of L_DSR; None: the paper's (Adam 1e-4, a tenth every 100 epochs).
        optimisation_mde: of L_MDE; None: as `optimisation`.
        input_range: as in `Supervised`.
    """

    network: Network

    def __init__(
        self,
        scale: int = 8,
        size: str = "paper",
        *,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        optimisation_mde: Optimisation | None = None,
        input_range: InputRange = "patch",
    ):
        super().__init__("bridgenet", scale, size, options, optimisation or paper_optimisation())
        self.optimisation_mde = optimisation_mde or self.optimisation
        self.input_range = input_range
        self.automatic_optimization = False

    def setup(self, stage: str) -> None:
        if isinstance(self.trainer.strategy, DDPStrategy):
            # each task's backward pass leaves out the other's parameters
            self.trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
        if self.trainer.precision == "16-mixed":
            raise ValueError(
                "BridgeNet takes two gradients before a step, and float16's loss scale is one for both: use "
                "trainer.precision=bf16-mixed"
            )

    def check_batch(self, batch: Batch) -> None:
        super().check_batch(batch)
        self.check_normalised(batch)  # the estimate lies in [0, 1]

    def training_step(self, batch: Batch, batch_index: int) -> None:
        self.check_batch(batch)
        losses = self.losses(batch)
        for loss in losses.values():
            self.check_finite(loss, batch)
        self.update(losses)
        self.log_dict({f"train_{task}": loss.detach() for task, loss in losses.items()})
        self.log("train_loss", losses["dsr"].detach(), prog_bar=True)

    def compiled_parts(self) -> list[nn.Module]:
        network = self.network
        return [network.colour, network.encoder, network.top, network.decoder, network.head, network.estimation]

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """L_DSR and L_MDE."""
        low, extent = range_of(batch, self.input_range)
        guide = self.guide_of(batch)
        assert guide is not None  # the network requires one
        both = self.network.estimate_both((batch["depth_lr"] - low) / extent, guide)
        return {
            task: l1_loss(low + extent * depth, batch["depth_hr"], batch["valid"]) for task, depth in zip(TASKS, both)
        }

    def parameters_by_task(self) -> dict[str, list[nn.Parameter]]:
        """What each optimiser moves."""
        return {task: list(self.network.parameters_of(task)) for task in TASKS}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        configured: list[OptimizerLRSchedulerConfig] = []
        for optimisation, parameters in zip(
            (self.optimisation, self.optimisation_mde), self.parameters_by_task().values()
        ):
            optimiser = optimisation.optimiser(parameters)
            scheduler = optimisation.scheduler(optimiser, self.total_steps(), self.steps_per_epoch())
            configured.append({"optimizer": optimiser, "lr_scheduler": scheduler})
        return configured

    def update(self, losses: dict[str, torch.Tensor]) -> None:
        """Both gradients at the same weights, then both steps."""
        by_task = self.parameters_by_task()
        gradients = {}
        for task, loss in losses.items():
            for parameter in self.parameters():
                parameter.grad = None
            self.manual_backward(loss)
            gradients[task] = [parameter.grad for parameter in by_task[task]]
        optimisers, schedulers = self.optimizers(), self.lr_schedulers()
        assert isinstance(optimisers, list) and isinstance(schedulers, list)  # one for each task
        first, second = optimisers
        # the trainer counts steps of its own wrapper; a batch is one step, not two
        steppers: dict[str, LightningOptimizer | torch.optim.Optimizer] = {"dsr": first, "mde": second.optimizer}
        for task, optimisation in zip(TASKS, (self.optimisation, self.optimisation_mde)):
            for parameter, gradient in zip(by_task[task], gradients[task]):
                parameter.grad = gradient
            if optimisation.gradient_clip is not None:
                nn.utils.clip_grad_norm_(by_task[task], optimisation.gradient_clip)
            steppers[task].step()
        for scheduler in schedulers:
            assert isinstance(scheduler, LRScheduler)  # not one that waits for a metric
            scheduler.step()


def paper_optimisation() -> Optimisation:
    """The paper's: Adam(0.9, 0.99), 1e-4, times 0.1 every 100 epochs."""
    return Optimisation(learning_rate=1e-4, betas=(0.9, 0.99), schedule="step", decay=0.1, decay_epochs=100)
