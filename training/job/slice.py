"""A training of fixed duration: the clock stops it, lowers its learning rate, and goes on where it was when resumed."""

from __future__ import annotations

import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer

from ..modules import CTKT

STEP1 = 0.5  # share of the time for CTKT's step 1, as in ctkt_lite.yaml


class Slice(Timer):
    """Train for `seconds` in all, over however many runs, and keep `checkpoint` up to date.

    The learning rate falls along half a cosine of the time used, on top of the method's own schedule (which should be
    "constant"), so that it is near 0 at the end on any device. CTKT's step 1 gets half of the time. The time counts
    from the first training step and includes validations; it is part of the checkpoint, so that a resumed run has what
    was left at its last checkpoint.

    Args:
        seconds: of training, wall time.
        checkpoint: written at the end and every `save_every` seconds, in one move: a run that is killed while writing
            leaves the last one whole.
        save_every: seconds.
    """

    def __init__(self, seconds: float, checkpoint: str, save_every: float = 60.0) -> None:
        super().__init__(timedelta(seconds=seconds), interval="step")
        self.seconds, self.checkpoint, self.save_every = seconds, Path(checkpoint), save_every
        self._saved_at = 0.0

    @property
    def share(self) -> float:
        """Of the time used, 0 to 1."""
        return min(1.0, self.time_elapsed() / self.seconds)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._saved_at = self.time_elapsed()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *given: Any) -> None:
        factor = 0.5 * (1 + math.cos(math.pi * self.share))
        for config in trainer.lr_scheduler_configs:
            for group, rate in zip(config.scheduler.optimizer.param_groups, config.scheduler.get_last_lr()):
                group["lr"] = rate * factor
        if isinstance(pl_module, CTKT):
            pl_module.step1_epochs = trainer.current_epoch + (self.share < STEP1)

    def on_train_batch_end(self, trainer: L.Trainer, *given: Any) -> None:
        super().on_train_batch_end(trainer, *given)
        if self.time_elapsed() - self._saved_at >= self.save_every:
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        partial = self.checkpoint.with_suffix(".partial")
        trainer.save_checkpoint(partial, weights_only=False)
        os.replace(partial, self.checkpoint)
        self._saved_at = self.time_elapsed()
