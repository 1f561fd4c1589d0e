"""What every training method shares: optimiser, validation in the data's unit, pictures, and the stop on NaN."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from depth_sr_ros.atomic import write_file
from depth_sr_ros.models import DepthSRModel, create_model
from depth_sr_ros.resize import bicubic

from .optimisation import Optimisation
from .pictures import comparison

PICTURES = 2  # validation scenes shown in TensorBoard

Batch = dict[str, Any]


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the message names the file that the batch was saved to."""


class DepthSRModule(L.LightningModule):
    """Trains one network of the registry, `network`. A subclass implements `training_step`.

    Args:
        method: name of the network in the registry.
        scale: upsampling factor.
        size: "paper" or "lite".
        options: further keyword arguments of the network.
        optimisation: optimiser and schedule.
    """

    def __init__(
        self,
        method: str,
        scale: int,
        size: str,
        options: dict[str, Any] | None = None,
        optimisation: Optimisation | None = None,
    ):
        super().__init__()
        self.network: DepthSRModel = create_model(method, scale, size, **(options or {}))
        # NHWC kernels are 1.1 to 4 times faster here, on CPU and GPU alike
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.optimisation = optimisation or Optimisation()
        self.description = {"method": method, "scale": scale, "size": size, "options": options or {}}
        self.validated: dict[str, float] = {}

    def on_validation_epoch_end(self) -> None:
        """Remember at which step the validation's score was made."""
        enlarged = getattr(self._datamodule(), "validation_zoom", 1.0) != 1.0  # not what cards' scores are of
        if not self.trainer.sanity_checking and not enlarged:
            self.validated = {"step": self.global_step, "mad": float(self.trainer.callback_metrics["val_mad"])}

    def _datamodule(self) -> Any | None:
        return getattr(self.trainer, "datamodule", None)  # an attribute that Lightning's Trainer does not declare

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what `export` needs: how to build the network again, and the last validation's step and score."""
        checkpoint["network"] = self.description
        checkpoint["validated"] = self.validated

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raise ValueError when the checkpoint is of another network."""
        if checkpoint.get("network") != self.description:
            raise ValueError(f"the checkpoint is of {checkpoint.get('network')}, this run's network {self.description}")

    def forward(self, depth_lr: torch.Tensor, guide: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 1, h, w) and an optional guide (B, 3, H, W) -> (B, 1, H, W), by the network alone."""
        return self.network(depth_lr, guide)

    def compiled_parts(self) -> list[nn.Module]:
        """What `CompileNetwork` compiles: the modules that a training step calls."""
        return [self.network]

    def guide_of(self, batch: Batch) -> torch.Tensor | None:
        """The batch's guide where the network takes one.

        Raises:
            ValueError: when the network needs colour and the data module is set to leave it out.
        """
        if not self.network.requires_guide:
            return None
        if "guide" not in batch:
            raise ValueError(f"{self.network.name} needs colour: set data.with_guide=true and require_guide=true")
        return batch["guide"]

    def output_of(self, batch: Batch) -> torch.Tensor:
        """The network's (B, 1, H, W) for a batch, as validation scores it."""
        return self(batch["depth_lr"], self.guide_of(batch))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimiser = self.optimisation.optimiser(self.parameters())
        scheduler = self.optimisation.scheduler(optimiser, self.total_steps(), self.steps_per_epoch())
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def total_steps(self) -> float:
        """Optimiser steps of the whole run; infinite for a run without an end."""
        trainer, batches = self.trainer, self._batches_per_epoch()
        if batches is None or trainer.max_epochs is None or trainer.max_epochs == -1:
            return trainer.estimated_stepping_batches
        steps = max(trainer.max_epochs, 1) * math.ceil(batches / trainer.accumulate_grad_batches)
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)

    def steps_per_epoch(self) -> float:
        """Optimiser steps of one epoch; infinite for loaders of no data module in a run bounded by max_steps alone."""
        known = self._batches_per_epoch()
        batches = self.trainer.num_training_batches if known is None else known
        return max(1.0, batches / self.trainer.accumulate_grad_batches)

    def _batches_per_epoch(self) -> int | None:
        """Batches that this device takes of an epoch of the data module; None where only its loader knows.

        The trainer counts by setting the loader up, and would do so before a resumed run has restored how much of its
        epoch is done: the epoch would begin anew.
        """
        trainer, data = self.trainer, self._datamodule()
        if data is None:
            return None
        batches = data.patches_per_epoch // (data.batch_size * trainer.world_size)
        limit = trainer.limit_train_batches
        return min(batches, limit) if isinstance(limit, int) else int(batches * limit)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        limit = self.optimisation.gradient_clip if gradient_clip_val is None else gradient_clip_val
        self.clip_gradients(optimizer, limit, gradient_clip_algorithm or "norm")

    def check_batch(self, batch: Batch) -> None:
        """Raise ValueError when the data's scale is not the network's."""
        scale = batch["depth_hr"].shape[-1] / batch["depth_lr"].shape[-1]
        if scale != self.network.scale:
            raise ValueError(f"the data is made for x{scale:g}, the network for x{self.network.scale}")

    def check_normalised(self, batch: Batch) -> None:
        """Raise ValueError unless each map's own range is [0, 1] in the batch."""
        if set(batch["normalise"]) != {"range"}:
            raise ValueError(
                f"{type(self).__name__} with input_range={self.input_range} needs maps whose range is [0, 1], this "
                f"data has normalise={batch['normalise'][0]}: set data.normalise=range"
            )

    def check_finite(self, loss: torch.Tensor, batch: Batch) -> None:
        """Save the batch and raise `NonFiniteLoss` when the loss is NaN or infinite."""
        if torch.isfinite(loss):
            return
        folder = Path(self.trainer.log_dir or self.trainer.default_root_dir)
        path = folder / f"non_finite_batch_step{self.global_step}_rank{self.global_rank}.pt"
        content = io.BytesIO()
        torch.save({key: v.cpu() if torch.is_tensor(v) else v for key, v in batch.items()}, content)
        write_file(path, content.getvalue())
        raise NonFiniteLoss(
            f"the loss is {loss.item()} at step {self.global_step}; the batch ({', '.join(batch['name'])}) is saved "
            f"in {path}. Lower the learning rate, set gradient_clip, or look for broken data there."
        )

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._score(batch, "val")
        writer = self._tensorboard()
        if batch_index < PICTURES and self.global_rank == 0 and writer is not None:
            self._show(batch, writer)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self._score(batch, "test")

    def _score(self, batch: Batch, stage: str) -> None:
        """Log the MAD of the output and of bicubic upsampling in the data's unit: the mean over whole scenes.

        And that of the output as an 8-bit image, `mad_8bit`, the way the benchmark scores, where the batch has `level`.
        """
        self.check_batch(batch)
        # in full precision, whatever the training's: the score is of the weights
        with torch.autocast(self.device.type, enabled=False):
            enlarged = bicubic(batch["depth_lr"], scale=self.network.scale)
            output = self.output_of(batch)
        scores = {
            "mad": self.mad_in_unit(output, batch),
            "mad_bicubic": self.mad_in_unit(enlarged, batch),
        }
        if "level" in batch:
            scores["mad_8bit"] = self.mad_in_unit(eight_bit(output, batch), batch)
        for name, error in scores.items():
            shown = name == "mad"
            self.log(f"{stage}_{name}", error.mean(), prog_bar=shown, sync_dist=True, batch_size=len(error))

    @staticmethod
    def mad_in_unit(estimate: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(B,) mean absolute difference over each sample's valid pixels, in the data's unit."""
        valid = batch["valid"]
        error = ((estimate - batch["depth_hr"]).abs() * valid).sum(dim=(1, 2, 3))
        return error / valid.sum(dim=(1, 2, 3)).clamp(min=1) * batch["range"]

    def _tensorboard(self) -> Any | None:
        writer = getattr(self.logger, "experiment", None)
        return writer if hasattr(writer, "add_image") else None

    def _show(self, batch: Batch, writer: Any) -> None:
        output = self.output_of(batch)
        picture = comparison(batch["depth_lr"][0, 0], output[0, 0], batch["depth_hr"][0, 0], batch["valid"][0, 0])
        writer.add_image(f"val/{batch['name'][0]}", picture, self.global_step, dataformats="HWC")


def eight_bit(estimate: torch.Tensor, batch: Batch) -> torch.Tensor:
    """(B, 1, H, W) in the batch's unit, rounded to whole levels of an 8-bit image that holds each map."""
    level = batch["level"].view(-1, 1, 1, 1)
    first = (batch["offset"] / batch["range"]).view(-1, 1, 1, 1)  # levels count from 0 in the data's unit
    levels = ((estimate + first) / level + 0.5).floor().clamp(0, 255)  # as `lr_kernels.round_uint8`
    return levels * level - first
