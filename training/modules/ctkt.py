"""CTKT: DSRNet taught by a network that sees colour, "Learning Scene Structure Guidance via Cross-Task Knowledge
Transfer for Single Depth Super-Resolution", CVPR 2021, Algorithm 1."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, Literal

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from depth_sr_ros.models.denet import DENet
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.models.spnet import SideOutputs, SPNet

from ..losses import (
    affinity_distillation,
    depth_estimation_loss,
    l1_loss,
    output_distillation,
    structure_loss,
)
from .estimate import Estimate, estimate_from_colour, estimate_from_depth, with_colour
from .input_range import InputRange
from .module import Batch, DepthSRModule
from .optimisation import Optimisation
from .rounds import Rounds

Role = Literal["dsr", "de"]


class CTKT(DepthSRModule):
    """Step 1 trains DSRNet and DENet separately; step 2 lets the better one teach the other, round by round.

    Everything is in units of the map's range. DSRNet learns from every sample; what needs colour (DENet, both errors,
    distillation, structure) uses the samples that have it.

    Where the paper is silent: side outputs learn in step 1 to read D_hr from the features without changing them, so
    that step 1 is exactly separate training; norms in losses are means; each network's gradient is clipped alone.

    Args:
        scale: upsampling factor.
        size: "paper" or "lite", of DSRNet and DENet.
        options: further keyword arguments of DSRNet.
        optimisation: optimiser and schedule; the paper's by default.
        step1_epochs: epochs of separate training.
        gamma: weight of L_A in L_distill (eq. 6).
        lambda_ssim: lambda, the weight of SSIM in L_DE (eq. 11).
        rho1: weight of L_struc (eq. 13); 0 leaves SPNet out.
        rho2: weight of L_distill (eq. 13); 0 leaves it out.
        affinity_pool: side of the grid to which features are averaged before eq. 4.
        exchange: who learns in a round of step 2. "error": the network that was worse in the previous round (the
            paper); "mutual": both, each taught by the other as it is, for a DENet that never gets better than DSRNet,
            which under "error" would end DSRNet's training; "dsr": always DSRNet.
        round_steps: batches of a round; None: an epoch.
        sees_depth: whether DENet sees the upsampled LR depth too (False: the paper).
        input_range: as in `Supervised`.

    Raises:
        ValueError: a negative weight or number of epochs, lambda_ssim above 1, or a pooling grid without cells.
    """

    network: DSRNet

    def __init__(
        self,
        scale: int = 4,
        size: str = "paper",
        *,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
        step1_epochs: int = 100,
        gamma: float = 0.5,
        lambda_ssim: float = 0.2,
        rho1: float = 0.1,
        rho2: float = 0.1,
        affinity_pool: int = 16,
        exchange: Literal["error", "mutual", "dsr"] = "error",
        round_steps: int | None = None,
        sees_depth: bool = False,
        input_range: InputRange = "patch",
    ):
        weights = {"gamma": gamma, "lambda_ssim": lambda_ssim, "rho1": rho1, "rho2": rho2}
        _check_at_least({"step1_epochs": step1_epochs, **weights}, 0)
        _check_at_least({"affinity_pool": affinity_pool}, 1)
        if lambda_ssim > 1:
            raise ValueError(f"lambda_ssim shares L_DE between SSIM and L1 and is at most 1, got {lambda_ssim}")
        super().__init__("dsrnet", scale, size, options, optimisation)
        width, units = self.network.width, self.network.units
        self.denet = DENet(size, width, units, sees_depth)
        self.side_sr, self.side_de = SideOutputs(width, units), SideOutputs(width, units)
        self.spnet = SPNet(width)
        for part in (self.denet, self.side_sr, self.side_de, self.spnet):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.step1_epochs, self.gamma, self.lambda_ssim = step1_epochs, gamma, lambda_ssim
        self.rho1, self.rho2, self.affinity_pool = rho1, rho2, affinity_pool
        self.exchange, self.input_range = exchange, input_range
        self.rounds = Rounds(round_steps)
        self.automatic_optimization = False

    def setup(self, stage: str) -> None:
        if isinstance(self.trainer.strategy, DDPStrategy):
            # the teacher takes no part in the backward pass; plain DDP would wait for its gradients
            self.trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
        if self.trainer.precision == "16-mixed" and self.optimisation.gradient_clip is not None:
            raise ValueError(
                "CTKT clips gradients before float16's loss scale is taken out of them: use trainer.precision="
                "bf16-mixed, or set model.init_args.optimisation.gradient_clip to null"
            )

    def on_fit_start(self) -> None:
        steps, step1 = self.total_steps(), self.step1_epochs * self.steps_per_epoch()
        if steps <= step1:
            rank_zero_warn(
                f"this run of {steps:g} steps ends within step 1 ({self.step1_epochs} epochs, {step1:g} steps): "
                "nothing is transferred between the tasks. Set model.init_args.step1_epochs lower or trainer.max_steps "
                "higher."
            )

    # Algorithm 1

    def training_step(self, batch: Batch, batch_index: int) -> None:
        self.check_batch(batch)
        if self.rounds.over(batch_index):
            self.rounds.next()  # line 8: e_dsr and e_de of the round that ended
        if self.current_epoch < self.step1_epochs:
            losses = self.separate_losses(batch)
        else:
            losses = self.transfer_losses(batch, self.students())
        self.update(_total(losses), batch)
        self._log_round(losses)

    def check_batch(self, batch: Batch) -> None:
        super().check_batch(batch)
        self.check_normalised(batch)  # SSIM's constants and the weights of eq. 13 are for this range

    def separate_losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Step 1 (line 4): both networks on the ground truth, each by its own loss."""
        paired = with_colour(batch)
        sr = self.super_resolve(batch, into_features=False)
        de = self.estimate(paired, into_features=False)
        self.measure(sr.take(paired["rows"]), de, paired)
        return {
            "dsr": l1_loss(sr.depth, batch["depth_hr"], batch["valid"]),
            "de": self.loss_de(de, paired),
            "side_sr": output_distillation(sr.sides, [batch["depth_hr"]] * len(sr.sides), batch["valid"]),
            "side_de": output_distillation(de.sides, [paired["depth_hr"]] * len(de.sides), paired["valid"]),
        }

    def students(self) -> set[Role]:
        """Who learns in this round (lines 9 to 13): under "error", the one that was worse in the last round."""
        if self.exchange == "mutual":
            return {"dsr", "de"}
        if self.exchange == "dsr":
            return {"dsr"}
        return {"de"} if self.rounds.error_dsr <= self.rounds.error_de else {"dsr"}

    def transfer_losses(self, batch: Batch, students: set[Role]) -> dict[str, torch.Tensor]:
        """Step 2 (lines 11 and 13): L = L_student + rho1 L_struc + rho2 L_distill, the teacher fixed."""
        paired = with_colour(batch)
        with torch.set_grad_enabled("dsr" in students):
            sr = self.super_resolve(batch)
        with torch.set_grad_enabled("de" in students):
            de = self.estimate(paired)
        sr_paired = sr.take(paired["rows"])
        self.measure(sr_paired, de, paired)
        losses = {}
        if "dsr" in students:
            losses["dsr"] = l1_loss(sr.depth, batch["depth_hr"], batch["valid"])
            losses["distill_dsr"] = self.rho2 * self.loss_distill(sr_paired, de.detach(), paired)
        if "de" in students:
            losses["de"] = self.loss_de(de, paired)
            losses["distill_de"] = self.rho2 * self.loss_distill(de, sr_paired.detach(), paired)
        losses["struc"] = self.rho1 * self.loss_struc(sr_paired, de, paired)
        return losses

    # The losses, by their equations

    def loss_de(self, de: Estimate, paired: Batch) -> torch.Tensor:
        """L_DE, eq. 11."""
        return depth_estimation_loss(de.depth, paired["depth_hr"], paired["valid"], self.lambda_ssim)

    def loss_distill(self, student: Estimate, teacher: Estimate, paired: Batch) -> torch.Tensor:
        """L_distill = L_O + gamma L_A, eqs. 3, 5 and 6."""
        if self.rho2 == 0:
            return student.depth.new_zeros(())
        output = output_distillation(student.sides, teacher.sides, paired["valid"])
        alike = affinity_distillation(student.features, teacher.features, paired["has_guide"], self.affinity_pool)
        return output + self.gamma * alike

    def loss_struc(self, sr: Estimate, de: Estimate, paired: Batch) -> torch.Tensor:
        """L_struc, eq. 12, with gradients into SPNet and the student through eqs. 7 to 9."""
        if self.rho1 == 0:
            return sr.depth.new_zeros(())
        truth = paired["depth_hr"]
        predicted = self.spnet(sr.features[-1], de.features[-1], sr.depth - truth, de.depth - truth)
        return structure_loss(predicted, truth, paired["valid"])

    # The networks

    def super_resolve(self, batch: Batch, into_features: bool = True) -> Estimate:
        """D_sr, F_sr^n and D_sr^n; `into_features`: side outputs pass their gradient on to the features."""
        return estimate_from_depth(self.network, self.side_sr, batch, self.input_range, into_features)

    def estimate(self, paired: Batch, into_features: bool = True) -> Estimate:
        """D_de, F_de^n and D_de^n of the samples with colour."""
        return estimate_from_colour(
            self.denet, self.side_de, paired, self.network.scale, self.input_range, into_features
        )

    def measure(self, sr: Estimate, de: Estimate, paired: Batch) -> None:
        """Add this batch to e_dsr and e_de (eqs. 1 and 2), over the samples with colour and over all devices."""
        with torch.no_grad():
            valid, truth = paired["valid"], paired["depth_hr"]
            sums = [((each.depth - truth).abs() * valid).sum() for each in (sr, de)]
            counted = torch.stack([*sums, valid.sum().to(sums[0].dtype)]).double()
            self.rounds.add(*self.trainer.strategy.reduce(counted, reduce_op="sum").tolist())

    # One step of the optimiser

    def parts(self) -> dict[str, nn.Module]:
        """What is updated together, each a group of the optimiser."""
        names = ("network", "denet", "side_sr", "side_de", "spnet")
        return {name: getattr(self, name) for name in names}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        groups = [{"params": list(part.parameters()), "name": name} for name, part in self.parts().items()]
        optimiser = self.optimisation.optimiser(groups)
        scheduler = self.optimisation.scheduler(optimiser, self.total_steps(), self.steps_per_epoch())
        return {"optimizer": optimiser, "lr_scheduler": scheduler}

    def update(self, loss: torch.Tensor, batch: Batch) -> None:
        """Back-propagate and step. A teacher has no gradient at all, so the optimiser leaves it bit-identical."""
        self.check_finite(loss, batch)
        optimiser, scheduler = self.optimizers(), self.lr_schedulers()
        assert isinstance(optimiser, LightningOptimizer) and isinstance(scheduler, LRScheduler)  # one of each
        optimiser.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        if self.optimisation.gradient_clip is not None:
            for part in self.parts().values():
                nn.utils.clip_grad_norm_(part.parameters(), self.optimisation.gradient_clip)
        optimiser.step()
        scheduler.step()

    def _log_round(self, losses: dict[str, torch.Tensor]) -> None:
        step2 = self.current_epoch >= self.step1_epochs
        self.log_dict({f"train_{name}": value.detach() for name, value in losses.items()})
        self.log("train_loss", _total(losses).detach(), prog_bar=True)
        self.log_dict({"e_dsr": self.rounds.error_dsr, "e_de": self.rounds.error_de})
        self.log("dsr_is_student", float(step2 and "dsr" in self.students()), prog_bar=True)
        self.log("de_is_student", float(step2 and "de" in self.students()))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["rounds"] = self.rounds.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "rounds" not in checkpoint:
            raise ValueError("the checkpoint is not of CTKT but of training the same network alone")
        self.rounds.load_state_dict(checkpoint["rounds"])


def _total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return reduce(add, losses.values())


def _check_at_least(values: dict[str, float], least: int) -> None:
    for name, value in values.items():
        if not value >= least:  # NaN too
            raise ValueError(f"{name} must be at least {least}, got {value}")
