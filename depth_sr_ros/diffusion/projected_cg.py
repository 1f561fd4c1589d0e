"""Projected preconditioned conjugate gradients with outer corrections: the engine of `solve_equilibrium`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .constraint import BlockMean, SeparableKernel
from .operator import DiffusionOperator
from .preconditioner import MultilevelJacobi

# One inner solve lowers the residual by this much before the right-hand side is corrected: deeper solves would polish
# a system that the next correction replaces.
_FORCING = 0.1
# A correction that leaves more than this share of the residual has met float precision.
_STALLED = 0.7
# A step longer than 1 / _FLAT(eps) times the preconditioned gradient means that the operator is singular along it.
_FLAT = 64.0
# Asking a GPU whether it is done stalls its queue.
_CHECK_EVERY = {"cpu": 1, "cuda": 8}


class Problem(Protocol):
    """A linear system whose right-hand side may depend, weakly, on its own solution."""

    def refresh(self, x: Tensor, residual: Tensor) -> None:
        """Put x on the constraint, in place, and write right-hand side - L x into `residual`, unprojected."""
        ...


@dataclass(frozen=True)
class EquilibriumInfo:
    """How a solve ended.

    Attributes:
        iterations: conjugate-gradient iterations, of the slowest sample of the batch.
        corrections: how often the right-hand side was renewed (multiplicative adjustment: at least twice).
        relative_residual: (B,), see `solve_equilibrium`.
        converged: every sample is at or below the tolerance.
        seconds: wall time of the solve.
    """

    iterations: int
    corrections: int
    relative_residual: Tensor
    converged: bool
    seconds: float


@dataclass(frozen=True)
class Budget:
    """When to stop: relative residual, number of iterations in all, and wall time in seconds (None: no limit)."""

    tolerance: float
    max_iterations: int
    time_budget_s: float | None = None


class ProjectedCG:
    """Solves problems with one operator, constraint and preconditioner; keeps its work images between solves."""

    def __init__(
        self, operator: DiffusionOperator, constraint: BlockMean | SeparableKernel, precondition: MultilevelJacobi
    ):
        self.operator = operator
        self.constraint = constraint
        self.precondition = precondition
        self.residual, self.direction, self.image, self.z = (
            torch.empty_like(operator.degree) for _ in range(4)
        )

    def norm(self, residual: Tensor) -> Tensor:
        """sqrt(r . M^-1 r) of each sample, (B,): close to the energy norm of the error that r stands for."""
        return _dot(residual, self.precondition(residual, self.z)).clamp_min(0.0).sqrt()

    def solve(self, problem: Problem, x: Tensor, reference: Tensor, solvable: Tensor, budget: Budget) -> EquilibriumInfo:
        """Improve x in place until the projected residual of `problem` is below tolerance * reference.

        Args:
            problem: see `Problem`.
            x: (B, 1, H, W).
            reference: (B,), what residual norms are measured against.
            solvable: (B,) bool, False for samples to be left alone.
            budget: when to stop.
        """
        began = time.monotonic()
        deadline = began + budget.time_budget_s if budget.time_budget_s is not None else None
        target = torch.where(solvable, budget.tolerance * reference, torch.inf)
        iterations = corrections = 0
        previous = torch.full_like(reference, torch.inf)
        while True:
            problem.refresh(x, self.residual)
            self.constraint.project_(self.residual)
            norm = self.norm(self.residual)
            corrections += 1
            open_samples = (norm > target) & (norm < _STALLED * previous)
            out_of_time = deadline is not None and time.monotonic() >= deadline
            if out_of_time or iterations >= budget.max_iterations or not bool(open_samples.any()):
                break
            goal = torch.maximum(0.5 * target, _FORCING * norm)
            goal = torch.where(open_samples, goal, torch.inf)
            iterations += self._inner(x, goal, budget.max_iterations - iterations, deadline)
            previous = torch.where(open_samples, norm, previous)
        relative = torch.where(solvable, norm / reference.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
        return EquilibriumInfo(
            iterations, corrections, relative, bool((norm <= target).all()), time.monotonic() - began
        )

    def _inner(self, x: Tensor, goal: Tensor, limit: int, deadline: float | None) -> int:
        """Conjugate gradients on the fixed system whose residual is in `self.residual`; returns iterations done.

        Samples below their goal are frozen by a zero step, so that each ends as it would alone.
        """
        residual, direction, image, z = self.residual, self.direction, self.image, self.z
        check_every = _CHECK_EVERY.get(x.device.type, 8)
        longest = 1.0 / (_FLAT * torch.finfo(x.dtype).eps)
        goal = goal.square()
        self.precondition(residual, z)
        direction.copy_(z)
        rz = _dot(residual, z)
        active = rz > goal
        for iteration in range(limit):
            if iteration % check_every == 0 and (
                not bool(active.any()) or (deadline is not None and time.monotonic() >= deadline)
            ):
                return iteration
            self.operator.apply(direction, image)
            curvature = _dot(direction, image)
            active &= curvature * longest > rz
            step = _per_sample(torch.where(active, rz / curvature, 0.0))
            x.addcmul_(direction, step)
            residual.addcmul_(image, step, value=-1)
            self.constraint.project_(residual)
            self.precondition(residual, z)
            rz_new = _dot(residual, z)
            turn = torch.where(active, rz_new / rz, 0.0)
            direction.mul_(_per_sample(turn)).add_(z)
            rz = rz_new
            active &= rz > goal
        return limit


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _per_sample(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
