"""Preconditioned conjugate gradients, restarted from the true residual: what both additive systems are solved by."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from .budget import Budget, Clock, EquilibriumInfo, check_interval, dot
from .operator import DiffusionOperator

# A restart that leaves more than this share of the residual has met float precision.
_STALLED = 0.7
# Steps longer than 1 / (_FLAT eps), in units of the preconditioned gradient, mean that the operator is singular there:
# without coefficients, or without any constraint, there is nothing to solve.
_FLAT = 64.0


class ConjugateGradients(ABC):
    """A subclass says what the system is; work images are kept between solves."""

    def __init__(self, operator: DiffusionOperator):
        self.operator = operator
        self._residual, self._direction, self._image, self._z = (torch.empty_like(operator.degree) for _ in range(4))

    @abstractmethod
    def precondition(self, residual: Tensor, out: Tensor) -> Tensor:
        """out = z, near A^-1 residual."""

    @abstractmethod
    def _residual_at(self, x: Tensor, b: Tensor | None, values: Tensor) -> Tensor:
        """Fill and return `_residual` at x; a constrained x is put on its constraint in place."""

    @abstractmethod
    def _apply(self, direction: Tensor, out: Tensor) -> Tensor:
        """out = A direction."""

    @abstractmethod
    def norm(self, image: Tensor) -> Tensor:
        """Of a residual, (B,): near the energy norm of the error that it stands for."""

    def _clean_(self, residual: Tensor) -> Tensor:
        """The residual without what rounding puts there and no step removes; as it is by default."""
        return residual

    def solve(
        self,
        x: Tensor,
        b: Tensor | None,
        values: Tensor,
        reference: Tensor,
        solvable: Tensor,
        budget: Budget,
        clock: Clock,
    ) -> EquilibriumInfo:
        """Improve x (B, 1, H, W) in place until its residual norm is below tolerance * reference (B,).

        Args:
            x: the start.
            b: (B, 1, H, W); None is zero.
            values: (B, 1, h, w), the LR depth, zero in cells without any.
            reference: (B,), what residual norms are measured against.
            solvable: (B,) bool, False for samples to be left alone.
            budget: when to stop.
            clock: the budget's, running.
        """
        target = torch.where(solvable, budget.tolerance * reference, torch.inf)
        previous = torch.full_like(reference, torch.inf)
        iterations = restarts = 0
        while True:
            norm = self.norm(self._residual_at(x, b, values))
            unfinished = (norm > target) & (norm < _STALLED * previous)
            pending = bool(unfinished.any())
            if clock.over() or iterations >= budget.max_iterations or not pending:
                break
            restarts += 1
            goal = torch.where(unfinished, 0.9 * target, torch.inf)
            iterations += self._iterate(x, goal, budget.max_iterations - iterations, clock)
            previous = norm
        relative = torch.where(solvable, norm / reference.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
        converged = bool((norm <= target).all())
        return EquilibriumInfo(iterations, restarts, relative, converged, pending, clock.seconds())

    def _iterate(self, x: Tensor, goal: Tensor, limit: int, clock: Clock) -> int:
        """Conjugate gradients on the system whose residual is in `_residual`; returns the number of iterations.

        Samples below their goal are frozen by a zero step, so that each ends as it would alone.
        """
        residual, direction, image, z = self._residual, self._direction, self._image, self._z
        interval = check_interval(x)
        longest = 1.0 / (_FLAT * torch.finfo(x.dtype).eps)
        goal = goal.square()
        self.precondition(residual, z)
        direction.copy_(z)
        rz = dot(residual, z)
        active = rz > goal
        for iteration in range(limit):
            if iteration % interval == 0 and (clock.over() or not bool(active.any())):
                return iteration
            self._apply(direction, image)
            curvature = dot(direction, image)
            active &= curvature * longest > rz
            step = torch.where(active, rz / curvature, 0.0).view(-1, 1, 1, 1)
            x.addcmul_(direction, step)
            residual.addcmul_(image, step, value=-1)
            self._clean_(residual)
            self.precondition(residual, z)
            previous, rz = rz, dot(residual, z)
            turn = torch.where(active, rz / previous, 0.0).view(-1, 1, 1, 1)
            direction.mul_(turn).add_(z)
            active &= rz > goal
        return limit
