"""The multiplicative equilibrium and its adjoint: Newton steps, each by constraint-preconditioned GMRES.

The fixed point of the paper's loop is L y = up(mu) * y with down(y) = source, mu being down(L y) / source. Its
linearisation is [[L - up(mu), -y up], [down, 0]]: the multipliers' forces are proportional to y, the constraint is
not, so the system is not symmetric. Correcting the symmetric (additive) system from outside converges only where depth
varies little inside a cell; at a step from 1 m to 10 m it diverges. This form converged on every scene measured.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .budget import Budget, Clock, EquilibriumInfo, check_interval, dot
from .cells import add_to_cells_, mean_cells, spread_cells
from .constraint import BlockMean
from .operator import DiffusionOperator
from .preconditioner import SMALLEST_DEGREE, MultilevelJacobi

# Images that GMRES keeps; its memory, whatever the number of iterations.
_BASIS = 30
# One linear solve lowers the residual by this much: the next linearisation is a better use of iterations.
_FORCING = 0.1
# A Newton step must keep depth positive: no pixel falls below this share of its value in one step.
_SMALLEST_SHARE = 0.1
# So many Newton steps in a row that leave more than this share of the best residual: float precision is reached.
_STALLED, _PATIENCE = 0.95, 5


class NewtonKrylov:
    """Solves the multiplicative equilibrium and the transposed linear system of its gradient.

    Residuals are measured in the space of corrections: ||sqrt(d) z|| with z the preconditioned residual and d the
    diagonal of L.
    """

    def __init__(
        self, operator: DiffusionOperator, constraint: BlockMean, precondition: MultilevelJacobi, source: Tensor
    ):
        self.operator = operator
        self.constraint = constraint
        self.precondition = precondition
        self.scale = constraint.scale
        self.source = source
        self._per_source = torch.where(source > 0, 1.0 / source, 0.0)
        self._residual, self._z, self._image = (torch.empty_like(operator.degree) for _ in range(3))
        self._root = operator.degree.clamp_min(SMALLEST_DEGREE).sqrt()
        self._inverse_root = self._root.reciprocal()
        self._basis: Tensor | None = None

    def solve(self, y: Tensor, reference: Tensor, solvable: Tensor, budget: Budget, clock: Clock) -> EquilibriumInfo:
        """Improve y (B, 1, H, W) in place until its residual norm is below tolerance * reference (B,).

        `clock` is the budget's, running.
        """
        self._make_positive_(y, solvable)

        def linearise() -> DiffusionOperator:
            return self._linearise(y)

        def update(step: Tensor) -> None:
            torch.maximum(step.add_(y), torch.minimum(y, _SMALLEST_SHARE * y), out=y)
            self._rescale_(y, solvable)

        return self._outer(linearise, update, reference, solvable, budget, clock)

    def norm_at(self, y: Tensor, solvable: Tensor) -> Tensor:
        """The residual norm of the start y, (B,); y is adjusted to the source in place, as `solve` does first."""
        self._make_positive_(y, solvable)
        self._linearise(y)
        return self._norm(self.precondition(self._residual, self._z))

    def norm_of_flat(self, flat: Tensor) -> Tensor:
        """The residual norm of an image that is constant in every cell, (B,)."""
        self.precondition.set_weights(force=flat)
        return self._norm(self.precondition(self.operator.apply_to_image(flat, self._residual), self._z))

    def solve_adjoint(self, gradient: Tensor, y: Tensor, solvable: Tensor, budget: Budget) -> tuple[Tensor, Tensor]:
        """Solve L a + D^T nu = gradient + up(mu) * a, down(y * a) = 0, at the solution y.

        Returns:
            a (B, 1, H, W) and the remainder gradient + up(mu) * a - L a, whose cell sums are nu.
        """
        mu = self.constraint.down(self.operator.apply_to_image(y, self._image)) * self._per_source
        shift = spread_cells(mu, self.scale)
        shifted = self.operator.minus(shift)
        self.precondition.set_weights(seen=y)
        adjoint = torch.zeros_like(y)
        reference = self._norm(self.precondition(gradient, self._z))

        def linearise() -> DiffusionOperator:
            self.operator.apply_to_image(adjoint, self._residual).neg_().addcmul_(shift, adjoint).add_(gradient)
            return shifted

        self._outer(linearise, adjoint.add_, reference, solvable, budget, budget.start())
        linearise()
        return adjoint, self._residual

    def _linearise(self, y: Tensor) -> DiffusionOperator:
        """L - up(mu) at y; `_residual` and the preconditioner's weights are then those of y."""
        force = self.operator.apply_to_image(y, self._residual)
        mu = self.constraint.down(force) * self._per_source
        add_to_cells_(force, mu, self.scale, factor=y, sign=-1).neg_()
        self.precondition.set_weights(force=y)
        return self.operator.minus(spread_cells(mu, self.scale))

    def _outer(
        self,
        linearise: Callable[[], DiffusionOperator],
        update: Callable[[Tensor], object],
        reference: Tensor,
        solvable: Tensor,
        budget: Budget,
        clock: Clock,
    ) -> EquilibriumInfo:
        """Alternate `linearise` (fills `_residual`, returns the operator) and `update` (takes GMRES' step)."""
        target = torch.where(solvable, budget.tolerance * reference, torch.inf)
        best = torch.full_like(reference, torch.inf)
        failures = torch.zeros_like(reference)
        iterations = restarts = 0
        while True:
            operator = linearise()
            z = self.precondition(self._residual, self._z)
            norm = self._norm(z)
            failures = torch.where(norm < _STALLED * best, 0.0, failures + 1)
            best = torch.minimum(best, norm)
            unfinished = (norm > target) & (failures < _PATIENCE)
            pending = bool(unfinished.any())
            if clock.over() or iterations >= budget.max_iterations or not pending:
                break
            restarts += 1
            goal = torch.where(unfinished, torch.maximum(0.7 * target, _FORCING * norm), torch.inf)
            step, done = self._gmres(operator, z, norm, goal, min(_BASIS, budget.max_iterations - iterations), clock)
            iterations += done
            update(torch.where(unfinished.view(-1, 1, 1, 1), step, 0.0))
        relative = torch.where(solvable, norm / reference.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
        converged = bool((norm <= target).all())
        return EquilibriumInfo(iterations, restarts, relative, converged, pending, clock.seconds())

    def _gmres(
        self, operator: DiffusionOperator, z: Tensor, norm: Tensor, goal: Tensor, limit: int, clock: Clock
    ) -> tuple[Tensor, int]:
        """The correction x that minimises ||sqrt(d) (z - M^-1 A x)|| over the Krylov space, and its dimension.

        The residual's norm is known without x: with H the Hessenberg matrix and gamma its left null vector
        (gamma_0 = 1), it is norm / ||gamma||, and gamma grows by one element per iteration.
        """
        batch, height, width = z.shape[0], z.shape[-2], z.shape[-1]
        basis = self._work(batch, height * width)
        hessenberg = z.new_zeros(batch, limit + 1, limit)
        gamma = z.new_zeros(batch, limit + 1)
        gamma[:, 0] = 1.0
        root = self._root
        tiny = torch.finfo(z.dtype).tiny
        torch.mul((z * root).flatten(1), (1.0 / norm.clamp_min(tiny)).unsqueeze(1), out=basis[:, 0])
        interval = check_interval(z)
        done = 0
        for j in range(limit):
            direction = torch.mul(basis[:, j].view_as(z), self._inverse_root, out=self._image)
            operator.apply(direction, self._residual)
            w = self.precondition(self._residual, self._image).mul_(root).view(batch, -1, 1)
            seen = basis[:, : j + 1]
            overlap = seen @ w
            w.baddbmm_(seen.mT, overlap, alpha=-1)
            length = dot(w, w).sqrt_()
            torch.mul(w.view(batch, -1), length.clamp_min(tiny).reciprocal().unsqueeze(1), out=basis[:, j + 1])
            hessenberg[:, : j + 1, j] = overlap.squeeze(2)
            hessenberg[:, j + 1, j] = length
            gamma[:, j + 1] = -dot(gamma[:, : j + 1], overlap.squeeze(2)) / length.clamp_min(tiny)
            done = j + 1
            if done % interval == 0 and (clock.over() or bool((norm <= goal * gamma[:, : done + 1].norm(dim=1)).all())):
                break
        weights = _least_squares(hessenberg[:, : done + 1, :done], norm)
        step = (basis[:, :done].mT @ weights.unsqueeze(2)).view_as(z).mul_(self._inverse_root)
        return step, done

    def _norm(self, z: Tensor) -> Tensor:
        return dot(z * self.operator.degree, z).sqrt_()

    def _work(self, batch: int, pixels: int) -> Tensor:
        if self._basis is None:
            self._basis = self.operator.degree.new_empty(batch, _BASIS + 1, pixels)
        return self._basis

    def _make_positive_(self, y: Tensor, solvable: Tensor) -> None:
        lowest = torch.where(self.source > 0, self.source, torch.inf).amin(dim=(2, 3), keepdim=True)
        floor = torch.where(self.source > 0, self.source, lowest).mul_(_SMALLEST_SHARE)
        floor = torch.where(solvable.view(-1, 1, 1, 1), floor, -torch.inf)
        torch.maximum(y, spread_cells(floor, self.scale), out=y)
        self._rescale_(y, solvable)

    def _rescale_(self, y: Tensor, solvable: Tensor) -> None:
        """The paper's adjustment, eq. 3."""
        constrained = self.source > 0
        ratio = torch.where(constrained, self.source / mean_cells(y, self.scale), 1.0)
        y.mul_(spread_cells(ratio, self.scale))


def _least_squares(matrix: Tensor, first: Tensor) -> Tensor:
    """argmin ||matrix x - first e_1|| per sample; a vanishing ridge keeps exhausted Krylov spaces solvable."""
    matrix = matrix.to(torch.float64)
    gram = matrix.mT @ matrix
    ridge = 1e-14 * gram.diagonal(dim1=1, dim2=2).amax(dim=1).clamp_min(1e-30)
    gram.diagonal(dim1=1, dim2=2).add_(ridge.unsqueeze(1))
    right = matrix[:, 0, :] * first.to(torch.float64).unsqueeze(1)
    return torch.linalg.solve(gram, right).to(first.dtype)
