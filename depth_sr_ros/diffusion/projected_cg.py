"""The additive equilibrium and its adjoint: conjugate gradients in the null space of the constraint."""

from __future__ import annotations

from torch import Tensor

from .budget import dot
from .conjugate_gradients import ConjugateGradients
from .constraint import BlockMean, SeparableKernel
from .operator import DiffusionOperator
from .preconditioner import MultilevelJacobi


class ProjectedCG(ConjugateGradients):
    """Minimises 1/2 x^T L x - b^T x subject to D x = values; keeps its work images between solves.

    The KKT system is L x = b + D^T nu, D x = values; the residual is P (b - L x), P projecting on the null space of D.
    """

    def __init__(
        self, operator: DiffusionOperator, constraint: BlockMean | SeparableKernel, precondition: MultilevelJacobi
    ):
        super().__init__(operator)
        self.constraint = constraint
        self._precondition = precondition

    def norm(self, image: Tensor) -> Tensor:
        """sqrt(r . M^-1 r) of each sample, (B,), for r = P image: near the energy norm of the error it stands for."""
        residual = self.constraint.project_(image.clone())
        return dot(residual, self.precondition(residual, self._z)).clamp_min_(0.0).sqrt_()

    def norm_at(self, x: Tensor, values: Tensor, b: Tensor | None = None) -> Tensor:
        """The residual norm of the start x, (B,); x is adjusted to `values` in place, as `solve` does first."""
        self.constraint.add_lifted_(x, values - self.constraint.down(x))
        force = self.operator.apply_to_image(x, self._image)
        return self.norm(force if b is None else force.sub_(b))

    def precondition(self, residual: Tensor, out: Tensor) -> Tensor:
        return self._precondition(residual, out)

    def _residual_at(self, x: Tensor, b: Tensor | None, values: Tensor) -> Tensor:
        self.constraint.add_lifted_(x, values - self.constraint.down(x))
        self.operator.apply_to_image(x, self._residual).neg_()
        if b is not None:
            self._residual.add_(b)
        return self.constraint.project_(self._residual)

    def _apply(self, direction: Tensor, out: Tensor) -> Tensor:
        return self.operator.apply(direction, out)

    def _clean_(self, residual: Tensor) -> Tensor:
        # the multipliers' part, which drowns the rest where it is left in
        return self.constraint.project_(residual)
