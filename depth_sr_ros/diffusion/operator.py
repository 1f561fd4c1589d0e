"""The diffusion operator L: one weighted difference across every edge of the pixel grid."""

from __future__ import annotations

import copy

import torch
from torch import Tensor


class DiffusionOperator:
    """The graph Laplacian of the pixel grid: (L y)_p = sum over the four neighbours n of c_pn (y_p - y_n).

    One diffusion step of the paper (eq. 1) is y - step * L y. L is symmetric positive semi-definite; constants are
    its null space.

    Args:
        cv: (B, 1, H - 1, W), coefficients >= 0 of vertical neighbours.
        ch: (B, 1, H, W - 1), the same of horizontal ones.
    """

    def __init__(self, cv: Tensor, ch: Tensor):
        self.cv, self.ch = cv, ch
        self.degree = _edge_sums(cv, ch)
        self._diagonal = self.degree

    def minus(self, shift: Tensor) -> DiffusionOperator:
        """L - diag(shift), shift (B, 1, H, W): `apply` takes it into account, nothing else does."""
        shifted = copy.copy(self)
        shifted._diagonal = self.degree - shift
        return shifted

    def apply(self, x: Tensor, out: Tensor) -> Tensor:
        """out = L x in five passes: for search directions, whose values are of the size of their differences."""
        torch.mul(self._diagonal, x, out=out)
        out[..., :-1, :].addcmul_(self.cv, x[..., 1:, :], value=-1)
        out[..., 1:, :].addcmul_(self.cv, x[..., :-1, :], value=-1)
        out[..., :, :-1].addcmul_(self.ch, x[..., :, 1:], value=-1)
        out[..., :, 1:].addcmul_(self.ch, x[..., :, :-1], value=-1)
        return out

    def apply_to_image(self, image: Tensor, out: Tensor) -> Tensor:
        """out = L image from differences: in float32 the offset of a depth map would else drown its detail."""
        out.zero_()
        flux = torch.sub(image[..., 1:, :], image[..., :-1, :]).mul_(self.cv)
        out[..., 1:, :] += flux
        out[..., :-1, :] -= flux
        flux = torch.sub(image[..., :, 1:], image[..., :, :-1]).mul_(self.ch)
        out[..., :, 1:] += flux
        out[..., :, :-1] -= flux
        return out

    def divergence(self, slopes: tuple[Tensor, Tensor]) -> Tensor:
        """D^T (c * slopes), (B, 1, H, W): the right-hand side b of L y = b whose y has these differences, if any has.

        Args:
            slopes: (B, 1, H - 1, W) and (B, 1, H, W - 1), differences across the vertical and horizontal edges.
        """
        out = torch.zeros_like(self.degree)
        flux = self.cv * slopes[0]
        out[..., 1:, :] += flux
        out[..., :-1, :] -= flux
        flux = self.ch * slopes[1]
        out[..., :, 1:] += flux
        out[..., :, :-1] -= flux
        return out


def _edge_sums(cv: Tensor, ch: Tensor) -> Tensor:
    """The sum of the coefficients of each pixel's edges, (B, 1, H, W): the diagonal of L."""
    batch, _, height, columns = ch.shape
    total = cv.new_zeros(batch, 1, height, columns + 1)
    total[..., 1:, :] += cv
    total[..., :-1, :] += cv
    total[..., :, 1:] += ch
    total[..., :, :-1] += ch
    return total
