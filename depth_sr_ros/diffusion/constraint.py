"""What the LR depth demands of the HR depth: a linear constraint D y = source, and the projection on it.

A constraint offers `down` (D), `lift` (the smallest image with given LR values, D^T (D D^T)^-1), `project_` (on the
null space of D: x - lift(down(x))) and `multiplier` (the LR weights whose D^T comes nearest to an image,
(D D^T)^-1 D). `MultilevelJacobi` builds its preconditioner on them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .cells import add_to_cells_, mean_cells, spread_cells, sum_cells


class BlockMean:
    """The depth camera's kernel: each LR pixel is the mean of its s x s cell.

    Args:
        scale: s.
        valid: (B, 1, h, w) bool, False where a cell is not constrained; None when all are.
    """

    def __init__(self, scale: int, valid: Tensor | None = None):
        self.scale = scale
        self.valid = valid

    def down(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, h, w); zero in unconstrained cells."""
        mean = mean_cells(image, self.scale)
        return mean if self.valid is None else mean.mul_(self.valid)

    def lift(self, values: Tensor) -> Tensor:
        """(B, 1, h, w) -> (B, 1, H, W): nearest-neighbour upsampling; unconstrained cells get zero."""
        if self.valid is not None:
            values = values * self.valid
        return spread_cells(values, self.scale)

    def add_lifted_(self, image: Tensor, values: Tensor) -> Tensor:
        """image += lift(values), in place, for values that are zero in unconstrained cells."""
        return add_to_cells_(image, values, self.scale)

    def project_(self, image: Tensor) -> Tensor:
        """Subtract the mean of every constrained cell, in place."""
        return add_to_cells_(image, self.down(image), self.scale, sign=-1)

    def multiplier(self, image: Tensor) -> Tensor:
        """The sum over every constrained cell, zero elsewhere."""
        total = sum_cells(image, self.scale)
        return total if self.valid is None else total * self.valid


class SeparableKernel:
    """A general LR kernel, source = Ay y Ax^T: for instance MATLAB's antialiased bicubic.

    Only the small Ay Ay^T and Ax Ax^T are ever factorised: with Q = chol(A A^T)^-1 A, whose rows are orthonormal, the
    projection is x - Qy^T (Qy x Qx^T) Qx. The kernels of neighbouring LR pixels overlap, so a missing LR pixel would
    break the product form: a source with NaN is refused by `solve_equilibrium`. Fill it first, or use the block mean,
    which is what a depth camera with holes does anyway.

    >>> from depth_sr_ros.lr_kernels import row_matrix
    >>> ay, ax = row_matrix(480, 60, "bicubic"), row_matrix(640, 80, "bicubic")
    >>> SeparableKernel(torch.tensor(ay), torch.tensor(ax))

    Args:
        ay: (h, H) row matrix, of full rank.
        ax: (w, W) column matrix, of full rank.

    Raises:
        ValueError: when a matrix has no full rank, or more rows than columns.
    """

    valid = None

    def __init__(self, ay: Tensor, ax: Tensor):
        self.ay, self.ax = ay, ax
        self._chol_y, self._qy = _orthonormal_rows(ay, "ay")
        self._chol_x, self._qx = _orthonormal_rows(ax, "ax")

    def to(self, like: Tensor) -> SeparableKernel:
        """This kernel in the dtype and on the device of `like`."""
        if all(m.dtype == like.dtype and m.device == like.device for m in (self.ay, self.ax)):
            return self
        moved = object.__new__(SeparableKernel)
        for name in ("ay", "ax", "_chol_y", "_chol_x", "_qy", "_qx"):
            setattr(moved, name, getattr(self, name).to(like))
        return moved

    def down(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, h, w)."""
        return self.ay @ image @ self.ax.T

    def lift(self, values: Tensor) -> Tensor:
        """(B, 1, h, w) -> (B, 1, H, W), the image of least norm with these LR values."""
        half = torch.linalg.solve_triangular(self._chol_y, values, upper=False)
        half = torch.linalg.solve_triangular(self._chol_x, half.mT, upper=False).mT
        return self._qy.T @ half @ self._qx

    def add_lifted_(self, image: Tensor, values: Tensor) -> Tensor:
        """image += lift(values), in place."""
        return image.add_(self.lift(values))

    def project_(self, image: Tensor) -> Tensor:
        """Subtract the part of the image that the LR pixels see, in place."""
        return image.sub_(self._qy.T @ (self._qy @ image @ self._qx.T) @ self._qx)

    def multiplier(self, image: Tensor) -> Tensor:
        """(D D^T)^-1 D image, (B, 1, h, w)."""
        half = self._qy @ image @ self._qx.T
        half = torch.linalg.solve_triangular(self._chol_y.mT, half, upper=True)
        return torch.linalg.solve_triangular(self._chol_x.mT, half.mT, upper=True).mT


def _orthonormal_rows(matrix: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """The lower Cholesky factor C of A A^T and Q = C^-1 A, computed in float64."""
    if matrix.dim() != 2 or matrix.shape[0] > matrix.shape[1]:
        raise ValueError(f"{name} must be (LR, HR) with LR <= HR, got {tuple(matrix.shape)}")
    exact = matrix.to(torch.float64)
    factor, failed = torch.linalg.cholesky_ex(exact @ exact.T)
    pivots = factor.diagonal()
    if int(failed) or not bool(pivots.amin() > 1e-6 * pivots.amax()):
        raise ValueError(f"{name} {tuple(matrix.shape)} must have full rank, but some rows depend on others")
    rows = torch.linalg.solve_triangular(factor, exact, upper=False)
    return factor.to(matrix), rows.to(matrix)
