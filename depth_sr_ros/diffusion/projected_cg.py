"""The additive equilibrium and its adjoint: conjugate gradients in the null space of the constraint."""

from __future__ import annotations

import torch
from torch import Tensor

from .budget import Budget, Clock, EquilibriumInfo, check_interval, dot
from .constraint import BlockMean, SeparableKernel
from .operator import DiffusionOperator
from .preconditioner import MultilevelJacobi

# A restart that leaves more than this share of the residual has met float precision.
STALLED = 0.7
# Steps longer than 1 / (FLAT eps), in units of the preconditioned gradient, mean that the operator is singular there:
# without coefficients, or without any constraint, there is nothing to solve.
FLAT = 64.0


class ProjectedCG:
    """Minimises 1/2 x^T L x - b^T x subject to D x = values; keeps its work images between solves.

    The KKT system is L x = b + D^T nu, D x = values; the residual is P (b - L x), P projecting on the null space of D.
    """

    def __init__(
        self, operator: DiffusionOperator, constraint: BlockMean | SeparableKernel, precondition: MultilevelJacobi
    ):
        self.operator = operator
        self.constraint = constraint
        self.precondition = precondition
        self._residual, self._direction, self._image, self._z = (torch.empty_like(operator.degree) for _ in range(4))

    def norm(self, image: Tensor) -> Tensor:
        """sqrt(r . M^-1 r) of each sample, (B,), for r = P image: near the energy norm of the error it stands for."""
        residual = self.constraint.project_(image.clone())
        return dot(residual, self.precondition(residual, self._z)).clamp_min_(0.0).sqrt_()

    def norm_at(self, x: Tensor, values: Tensor, b: Tensor | None = None) -> Tensor:
        """The residual norm of the start x, (B,); x is adjusted to `values` in place, as `solve` does first."""
        self.constraint.add_lifted_(x, values - self.constraint.down(x))
        force = self.operator.apply_to_image(x, self._image)
        return self.norm(force if b is None else force.sub_(b))

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
            values: (B, 1, h, w), zero in unconstrained cells.
            reference: (B,), what residual norms are measured against.
            solvable: (B,) bool, False for samples to be left alone.
            budget: when to stop.
            clock: the budget's, running.
        """
        target = torch.where(solvable, budget.tolerance * reference, torch.inf)
        previous = torch.full_like(reference, torch.inf)
        iterations = restarts = 0
        while True:
            self.constraint.add_lifted_(x, values - self.constraint.down(x))
            self.operator.apply_to_image(x, self._residual).neg_()
            if b is not None:
                self._residual.add_(b)
            self.constraint.project_(self._residual)
            norm = self.norm(self._residual)
            unfinished = (norm > target) & (norm < STALLED * previous)
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
        longest = 1.0 / (FLAT * torch.finfo(x.dtype).eps)
        goal = goal.square()
        self.precondition(residual, z)
        direction.copy_(z)
        rz = dot(residual, z)
        active = rz > goal
        for iteration in range(limit):
            if iteration % interval == 0 and (clock.over() or not bool(active.any())):
                return iteration
            self.operator.apply(direction, image)
            curvature = dot(direction, image)
            active &= curvature * longest > rz
            step = torch.where(active, rz / curvature, 0.0).view(-1, 1, 1, 1)
            x.addcmul_(direction, step)
            residual.addcmul_(image, step, value=-1)
            # rounding feeds the residual's multiplier part, which no step removes: left in, it drowns the rest
            self.constraint.project_(residual)
            self.precondition(residual, z)
            previous, rz = rz, dot(residual, z)
            turn = torch.where(active, rz / previous, 0.0).view(-1, 1, 1, 1)
            direction.mul_(turn).add_(z)
            active &= rz > goal
        return limit
