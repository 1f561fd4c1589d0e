"""How weights are updated: the optimiser and its learning rate over time, one description for every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch.optim.lr_scheduler import LambdaLR


@dataclass
class Optimisation:
    """Optimiser and schedule; the defaults are CTKT's: Adam(0.9, 0.99), 1e-3, a tenth every 50 epochs.

    Attributes:
        kind: "adam" or "adamw" (decoupled weight decay).
        learning_rate: at the start, after the warm-up.
        betas: of Adam.
        weight_decay: 0 for none.
        schedule: "step" (times `decay` every `decay_epochs`), "cosine" (to 0 at the last step of the run, which
            needs max_steps or max_epochs) or "constant".
        decay: factor of the "step" schedule.
        decay_epochs: its period.
        warmup_steps: steps over which the rate rises linearly from 0.
        gradient_clip: largest gradient norm; None for no clipping.
    """

    kind: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: Literal["step", "cosine", "constant"] = "step"
    decay: float = 0.1
    decay_epochs: int = 50
    warmup_steps: int = 0
    gradient_clip: float | None = None

    def optimiser(self, parameters: Iterable) -> torch.optim.Optimizer:
        """A fresh optimiser over parameters or parameter groups."""
        cls = torch.optim.AdamW if self.kind == "adamw" else torch.optim.Adam
        return cls(parameters, lr=self.learning_rate, betas=self.betas, eps=1e-8, weight_decay=self.weight_decay)

    def scheduler(self, optimiser: torch.optim.Optimizer, total_steps: float, steps_per_epoch: float) -> LambdaLR:
        """The learning-rate schedule, to be stepped after every optimiser step.

        Raises:
            ValueError: for "cosine" in a run without an end.
        """
        if self.schedule == "cosine" and not 0 < total_steps < math.inf:
            raise ValueError("the cosine schedule needs the length of the run: set trainer.max_steps or max_epochs")
        return LambdaLR(optimiser, self._factor(total_steps, steps_per_epoch))

    def _factor(self, total_steps: float, steps_per_epoch: float) -> Callable[[int], float]:
        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
            if self.schedule == "step":
                # an epoch that ends between two steps counts from the step after it
                return warm * self.decay ** int((step + 1e-6) / steps_per_epoch / self.decay_epochs)
            if self.schedule == "cosine":
                return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total_steps)))
            return warm

        return factor
