"""The equilibrium of readings that are noisy: a data term in place of the constraint, by conjugate gradients."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .budget import dot
from .cells import add_to_cells_, mean_cells, sum_cells
from .conjugate_gradients import ConjugateGradients
from .constraint import BlockMean
from .operator import DiffusionOperator
from .preconditioner import COARSE_WEIGHT, SMALLEST_DEGREE, MultilevelJacobi, block_degree

# Blocks of so many cells a side carry smooth corrections over the distances that weak data terms leave free.
_CELL_BLOCKS = (2, 4, 8, 16)


class PenalisedCG(ConjugateGradients):
    """Minimises 1/2 x^T L x - b^T x + 1/2 sum over cells of w (mean(x) - values)^2.

    The limit w -> infinity is `ProjectedCG`'s problem with the block mean, w = 0 an unconstrained cell. The
    preconditioner is that of the constraint for what varies inside a cell, and Jacobi on blocks of 1, 2, 4, ... cells
    for what moves cells as a whole: so the number of iterations depends little on w.

    Args:
        operator: L.
        weight: (B, 1, h, w) w >= 0, finite.
        scale: HR pixels per LR pixel and axis.
    """

    def __init__(self, operator: DiffusionOperator, weight: Tensor, scale: int):
        super().__init__(operator)
        self.weight, self.scale = weight, scale
        self._inside = MultilevelJacobi(operator, BlockMean(scale, None), scale)
        degree = block_degree(operator, scale) + weight
        self._cells = COARSE_WEIGHT / degree.clamp_min(SMALLEST_DEGREE)
        self._blocks = [
            (side, COARSE_WEIGHT / self._degree_of(side).clamp_min(SMALLEST_DEGREE)) for side in self._sides()
        ]

    def _sides(self) -> list[int]:
        return [side for side in _CELL_BLOCKS if 2 * side <= min(self.weight.shape[-2:])]

    def _degree_of(self, side: int) -> Tensor:
        """Of each block of side x side cells: coefficients of the edges that leave it, and weights inside."""
        scale = self.scale
        total = _pooled(self.weight, (side, side))
        rows = sum_edges(self.operator.cv[..., scale - 1 :: scale, :], scale, -1)[..., side - 1 :: side, :]
        if rows.shape[-2]:
            rows = _pooled(rows, (1, side))
            total[..., : rows.shape[-2], :] += rows
            total[..., 1 : rows.shape[-2] + 1, :] += rows
        columns = sum_edges(self.operator.ch[..., :, scale - 1 :: scale], scale, -2)[..., :, side - 1 :: side]
        if columns.shape[-1]:
            columns = _pooled(columns, (side, 1))
            total[..., :, : columns.shape[-1]] += columns
            total[..., :, 1 : columns.shape[-1] + 1] += columns
        return total

    def precondition(self, residual: Tensor, out: Tensor) -> Tensor:
        """out = z, near A^-1 residual."""
        self._inside(residual, out)
        cells = sum_cells(residual, self.scale)
        step = cells * self._cells
        height, width = cells.shape[-2:]
        for side, inverse in self._blocks:
            block = _pooled(cells, (side, side)) * inverse
            step += block.repeat_interleave(side, -2).repeat_interleave(side, -1)[..., :height, :width]
        return add_to_cells_(out, step, self.scale)

    def norm(self, image: Tensor) -> Tensor:
        """sqrt(r . M^-1 r) of each sample, (B,): near the energy norm of the error that the residual r stands for."""
        return dot(image, self.precondition(image, self._z)).clamp_min_(0.0).sqrt_()

    def norm_at(self, x: Tensor, values: Tensor, b: Tensor | None = None) -> Tensor:
        """The residual norm of the start x, (B,)."""
        return self.norm(self._residual_at(x, b, values))

    def _residual_at(self, x: Tensor, b: Tensor | None, values: Tensor) -> Tensor:
        self.operator.apply_to_image(x, self._residual).neg_()
        if b is not None:
            self._residual.add_(b)
        pull = self.weight * (values - mean_cells(x, self.scale)) / self.scale**2
        return add_to_cells_(self._residual, pull, self.scale)

    def _apply(self, direction: Tensor, out: Tensor) -> Tensor:
        self.operator.apply(direction, out)
        return add_to_cells_(out, self.weight * mean_cells(direction, self.scale) / self.scale**2, self.scale)


def sum_edges(edges: Tensor, side: int, axis: int) -> Tensor:
    """Coefficients of the edges between neighbouring cells: sums of `side` along `axis` (-1 or -2)."""
    kernel = (1, side) if axis == -1 else (side, 1)
    return (
        F.avg_pool2d(edges, kernel, divisor_override=1)
        if min(edges.shape[-2:])
        else edges.new_zeros(*edges.shape[:-2], *(n // k for n, k in zip(edges.shape[-2:], kernel)))
    )


def _pooled(image: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Sums over blocks, of which the last in a row or column may be smaller."""
    return F.avg_pool2d(image, kernel, ceil_mode=True, divisor_override=1)
