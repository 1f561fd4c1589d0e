"""When a solve stops, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Budget:
    """Relative residual to reach, number of Krylov iterations in all, wall time in seconds (None: no limit)."""

    tolerance: float
    max_iterations: int
    time_budget_s: float | None = None

    def start(self) -> Clock:
        """A clock that begins to run now."""
        return Clock(self.time_budget_s)


class Clock:
    """Seconds since the start of a solve, and whether its time is over."""

    def __init__(self, limit_s: float | None):
        self._began = time.monotonic()
        self._limit = limit_s

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def over(self) -> bool:
        return self._limit is not None and self.seconds() >= self._limit


@dataclass(frozen=True)
class EquilibriumInfo:
    """How a solve ended.

    Attributes:
        iterations: Krylov iterations (one application of L and one of the preconditioner each), of the whole batch.
        restarts: how often the residual was computed anew from the solution; with the multiplicative adjustment, Newton
            steps.
        relative_residual: (B,), defined in `solve_equilibrium`.
        converged: every sample is at or below the tolerance.
        budget_ended: iterations or time ran out before that; False where float precision ended it.
        seconds: wall time of the solve.
        warm: (B,) bool, the samples that began at `warm_start`; None when none was given.
    """

    iterations: int
    restarts: int
    relative_residual: Tensor
    converged: bool
    budget_ended: bool
    seconds: float
    warm: Tensor | None = None


def check_interval(tensor: Tensor) -> int:
    """Iterations between two looks at the residual: each look stalls a GPU's queue, and is free on a CPU."""
    return 1 if tensor.device.type == "cpu" else 8


def dot(a: Tensor, b: Tensor) -> Tensor:
    """One scalar product per sample, (B,)."""
    return (a.flatten(1).unsqueeze(1) @ b.flatten(1).unsqueeze(2)).view(-1)
