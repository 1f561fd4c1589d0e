"""What every model that ends in a diffusion equilibrium shares: its start, its solver options, its units."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..choices import ADJUSTMENTS, CONSTRAINT_KERNELS
from ..diffusion import (
    EquilibriumInfo,
    SeparableKernel,
    depth_coefficients,
    edge_coefficients,
    solve_equilibrium,
    solve_penalised,
)
from ..diffusion.consistency import bound_to_neighbours, clip_to_neighbours
from ..lr_kernels import row_matrix
from ..resize import bicubic, block_mean, repeat
from .base import DepthSRModel

_AS_GOOD_AS_HELD = 1e4
"""Weight of a reading from which the solution differs from the constraint's by less than the solver's tolerance."""


class DiffusionProblem(NamedTuple):
    """What a model leaves to the solver.

    Attributes:
        target: (B, 1, h, w), the LR depth that the output is held to; NaN: no constraint, or what the start would
            read there (another `lr_kernel` than block_mean). depth_lr itself, unless the model corrects its readings.
        start: (B, 1, H, W), finite, where diffusion starts.
        cv: (B, 1, H - 1, W), coefficients of vertical edges' flow.
        ch: (B, 1, H, W - 1), of horizontal ones.
        slopes: differences like cv and ch, that the solution is to have; None: 0, as in the paper.
        weight: (B, 1, h, w) of each reading's data term, see `EquilibriumModel.weighed`; None: the target is held to.
    """

    target: torch.Tensor
    start: torch.Tensor
    cv: torch.Tensor
    ch: torch.Tensor
    slopes: tuple[torch.Tensor, torch.Tensor] | None = None
    weight: torch.Tensor | None = None


class EquilibriumModel(DepthSRModel):
    """Guided anisotropic diffusion held to the LR depth (DADA, CVPR 2023): a subclass says where it starts and flows.

    The equilibrium is found by `depth_sr_ros.diffusion.solve_equilibrium` instead of 8000 loop iterations, in the
    precision of depth_lr whatever autocast says. NaN cells of depth_lr put no constraint on the output
    (with the bicubic kernel, see there). A guide pixel
    of NaN has no colour (hidden from the RGB camera, or outside its image): a coefficient of an edge at such a pixel
    comes from the upsampled depth alone (`depth_coefficients`), never from a colour made up for it. The result
    follows any positive scale of the unit.

    The additive adjustment is the default: its equilibrium is a convex problem, which conjugate gradients always solve.
    The multiplicative one (the paper's eq. 3) is not where readings lie between two surfaces. On 48 problems of real
    cameras (`dada` and `dada_rgb`, x4 and x8) the two have the same error to the truth within 0.3 %, the former takes
    2 to 8 times less CPU time, and the latter did not reach its tolerance on 5.
    The latter also needs positive depth: a sample with a valid cell <= 0, such as a disparity of 0, is adjusted
    additively instead.

    Beyond the paper, `correction` diffuses not depth but what it differs by from an estimate P without the guide:
    minimised is the sum of c (difference of y - g difference of P)^2, with g in [0, 1] by the subclass (0 is the
    paper's). On a slanted surface, diffusion of depth itself puts the whole slope where the guide has an edge: painted
    tiles come out as steps of depth. And readings need not be held to: given their standard deviation sigma, each pulls
    at the mean of its cell with the weight (`accuracy` * reading / sigma)^2, whose limit for sigma -> 0 is the
    constraint.

    Args:
        scale: any integer from 1 to 32.
        size: one of `sizes`.
        tolerance: relative residual at which the solver stops.
        max_iterations: its budget of conjugate-gradient iterations.
        adjustment: "additive" or "multiplicative" (the paper's).
        lr_kernel: what the LR depth is of the HR depth: its "block_mean" (a depth camera's pixel, the paper's choice),
            or its MATLAB "bicubic". The latter is adjusted additively, and NaN cells hold the output to what its
            start would read there, because neighbouring kernels overlap.
        bounded: in eval mode, keep every pixel within the 3 x 3 LR depths around its cell without moving the cell's
            mean (`bound_to_neighbours`); False gives the bare equilibrium, as the paper has it. Only for block_mean.

        correction: diffuse the correction of P; False is the paper's. Only for block_mean, adjusted additively.

    Raises:
        ValueError: for an option outside its range.
    """

    accuracy: float = 0.01
    """Relative error of P's slopes per HR pixel, against which sigma is weighed; chosen on the validation scenes and
    real frames with noise of 0, 0.3 and 1 % (0.001 to 0.01 were tried)."""
    scales = tuple(range(1, 33))
    requires_guide = True
    accepts_holes = True
    accepts_guide_holes = True

    def __init__(
        self,
        scale: int,
        size: str,
        tolerance: float = 1e-3,
        max_iterations: int = 200,
        adjustment: str = "additive",
        lr_kernel: str = "block_mean",
        bounded: bool = True,
        correction: bool = True,
    ):
        super().__init__(scale, size)
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance is a relative residual in (0, 1), got {tolerance}")
        if max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
        if adjustment not in ADJUSTMENTS:
            raise ValueError(f"adjustment must be one of {ADJUSTMENTS}, got {adjustment!r}")
        if lr_kernel not in CONSTRAINT_KERNELS:
            raise ValueError(f"lr_kernel must be one of {CONSTRAINT_KERNELS}, got {lr_kernel!r}")
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.adjustment = adjustment
        self.bounded = bounded
        self.correction = correction
        self.hold_to(lr_kernel)

    def hold_to(self, lr_kernel: str) -> None:
        """Take the LR depth for what `lr_kernel` makes of the HR depth."""
        self.lr_kernel = lr_kernel
        self.accepts_sigma = lr_kernel == "block_mean" and self.adjustment == "additive"

    @property
    def corrects(self) -> bool:
        """Whether it is the correction of an estimate that diffuses."""
        return self.correction and self.lr_kernel == "block_mean" and self.adjustment == "additive"

    def super_resolve(
        self, depth_lr: torch.Tensor, guide: torch.Tensor | None, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        assert guide is not None  # `check_inputs` has seen to it
        problem = self.weighed(self.prepare(depth_lr, guide), sigma)
        return self.finish(self.solve(problem)[0], problem)

    def finish(self, solution: torch.Tensor, problem: DiffusionProblem) -> torch.Tensor:
        """The model's output from the equilibrium: within its bounds, where it is `bounded`."""
        # not in training: where a bound acts, the equilibrium's gradient would be lost
        if not self.bounded or self.training or self.lr_kernel != "block_mean":
            return solution
        bound = bound_to_neighbours if problem.weight is None else clip_to_neighbours
        return bound(solution, problem.target)

    def weighed(self, problem: DiffusionProblem, sigma: torch.Tensor | None) -> DiffusionProblem:
        """The problem with a data term for readings of standard deviation `sigma`, in place of the constraint.

        Args:
            problem: from `prepare`.
            sigma: (B, 1, h, w), in the unit of depth, at least 0; None: 0. Where it is so small that the readings are
                as good as held to, they are held to.
        """
        if sigma is None or not self.accepts_sigma:
            return problem
        weight = (self.accuracy * problem.target / sigma.clamp_min(torch.finfo(sigma.dtype).tiny)).square()
        weight = weight.nan_to_num(nan=0.0).clamp_max(_AS_GOOD_AS_HELD)  # NaN: no reading
        held = (weight >= _AS_GOOD_AS_HELD) | torch.isnan(problem.target)
        return problem if bool(held.all()) else problem._replace(weight=weight)

    @abstractmethod
    def prepare(self, depth_lr: torch.Tensor, guide: torch.Tensor) -> DiffusionProblem:
        """The diffusion problem of a batch; shapes of the arguments as in `forward`, and the guide may hold NaN."""

    def isolate_holes(self, problem: DiffusionProblem) -> DiffusionProblem:
        """The problem without what flows through cells that have no reading, for a caller who discards their pixels.

        The coefficients of all edges at pixels of such a cell become 0, and the cell keeps the mean of its start. What
        flows through a hole reaches the cells around it slowly: without it the solver takes half to a fifth of the
        iterations, and the error beside holes is not larger. With the bicubic kernel, whose cells overlap, the problem
        is returned as it is.
        """
        target, start, cv, ch = problem[:4]
        if self.lr_kernel != "block_mean":
            return problem
        holes = torch.isnan(target)
        if not bool(holes.any()) or bool(holes.flatten(1).all(dim=1).any()):
            return problem
        pixels = repeat(holes, self.scale)
        cv = cv.masked_fill(pixels[..., 1:, :] | pixels[..., :-1, :], 0.0)
        ch = ch.masked_fill(pixels[..., :, 1:] | pixels[..., :, :-1], 0.0)
        filled = torch.where(holes, block_mean(start, self.scale), target)
        weight = None if problem.weight is None else torch.where(holes, 1.0, problem.weight)
        return problem._replace(target=filled, cv=cv, ch=ch, weight=weight)

    def coefficients(
        self, features: torch.Tensor, kappa: float | torch.Tensor, depth: torch.Tensor, guide: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`edge_coefficients` of the features, and `depth_coefficients` at pixels whose guide is NaN.

        Args:
            features: (B, C, H, W), made of a guide without NaN.
            kappa: of the features.
            depth: (B, 1, H, W), the depth as upsampled without the guide.
            guide: (B, 3, H, W), as it came.
        """
        cv, ch = edge_coefficients(features, kappa)
        unseen = torch.isnan(guide).any(dim=1, keepdim=True)
        if not bool(unseen.any()):
            return cv, ch
        by_depth = depth_coefficients(depth, self.scale)
        touched = unseen[..., 1:, :] | unseen[..., :-1, :], unseen[..., :, 1:] | unseen[..., :, :-1]
        return torch.where(touched[0], by_depth[0], cv), torch.where(touched[1], by_depth[1], ch)

    def solve(
        self,
        problem: DiffusionProblem,
        max_iterations: int | None = None,
        time_budget_s: float | None = None,
        warm_start: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, EquilibriumInfo]:
        """The equilibrium that the problem's start flows to under the constraint of its target.

        Args:
            problem: from `prepare`.
            max_iterations: budget in place of the model's own.
            time_budget_s: wall time after which the solution so far is returned; None: no limit.
            warm_start: like the start, taken in its place where it is better (see `solve_equilibrium`).

        Returns:
            (B, 1, H, W) and how the solver ended (the worse half, where a batch needed both adjustments).
        """
        target, start = problem.target, problem.start
        if problem.weight is not None:
            with torch.autocast(target.device.type, enabled=False):
                return solve_penalised(
                    start,
                    target,
                    problem.weight,
                    problem.cv,
                    problem.ch,
                    slopes=problem.slopes,
                    tolerance=self.tolerance,
                    max_iterations=max_iterations or self.max_iterations,
                    time_budget_s=time_budget_s,
                    warm_start=warm_start,
                )
        solve = partial(self._solve, max_iterations=max_iterations or self.max_iterations, time_budget_s=time_budget_s)
        with torch.autocast(target.device.type, enabled=False):
            if self.lr_kernel != "block_mean":
                # kernels overlap, so no reading can be left out: where there is none, the start gives it
                read = torch.where(torch.isnan(target), self.seen_by_sensor(start), target)
                return solve(problem._replace(target=read), warm_start, "additive")
            positive = ~(target <= 0).flatten(1).any(dim=1)  # NaN is not <= 0
            if self.adjustment == "additive" or not bool(positive.any()):
                return solve(problem, warm_start, "additive")
            if bool(positive.all()):
                return solve(problem, warm_start, "multiplicative")
            result, infos = torch.empty_like(start), []
            for group, adjustment in ((positive, "multiplicative"), (~positive, "additive")):
                part = DiffusionProblem(target[group], start[group], problem.cv[group], problem.ch[group])
                warm = None if warm_start is None else warm_start[group]
                result[group], info = solve(part, warm, adjustment)
                infos.append(info)
            return result, max(infos, key=lambda info: float(info.relative_residual.max()))

    def _solve(
        self,
        problem: DiffusionProblem,
        warm_start: torch.Tensor | None,
        adjustment: str,
        *,
        max_iterations: int,
        time_budget_s: float | None,
    ) -> tuple[torch.Tensor, EquilibriumInfo]:
        target, start, cv, ch = problem[:4]
        kernel = None
        if self.lr_kernel != "block_mean":
            kernel = SeparableKernel(*self._row_matrices(start))
        return solve_equilibrium(
            start,
            target,
            cv,
            ch,
            tolerance=self.tolerance,
            adjustment=adjustment,
            constraint=kernel,
            warm_start=warm_start,
            slopes=problem.slopes if adjustment == "additive" else None,
            return_info=True,
            max_iterations=max_iterations,
            time_budget_s=time_budget_s,
        )

    def seen_by_sensor(self, depth: torch.Tensor) -> torch.Tensor:
        """What `lr_kernel` makes of HR depth (B, 1, H, W): (B, 1, h, w), in its precision whatever autocast says."""
        if self.lr_kernel == "block_mean":
            return block_mean(depth, self.scale)
        with torch.autocast(depth.device.type, enabled=False):
            rows, columns = self._row_matrices(depth)
            return rows @ (depth @ columns.T)

    def _row_matrices(self, depth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A_y and A_x of `lr_kernel` for HR depth (B, 1, H, W), in its dtype."""
        rows, columns = (row_matrix(n, n // self.scale, self.lr_kernel) for n in depth.shape[-2:])
        return depth.new_tensor(rows), depth.new_tensor(columns)


def upsampled(filled: torch.Tensor, scale: int) -> torch.Tensor:
    """Bicubic upsampling of hole-free depth, kept within each sample's own range.

    Overshoot beside a large step can reach below 0, where depth ratios mean nothing.
    """
    low, high = filled.amin(dim=(1, 2, 3), keepdim=True), filled.amax(dim=(1, 2, 3), keepdim=True)
    return bicubic(filled, scale=scale).clamp(low, high)


def fill_invalid(image: torch.Tensor) -> torch.Tensor:
    """Give each NaN pixel the mean of the valid ones in the smallest dyadic block around it that has any.

    A start for diffusion and an input for networks, not an estimate: it needs no sorting, so it is quick on any device.

    Args:
        image: (B, C, h, w), depth or a guide, NaN invalid.

    Returns:
        (B, C, h, w), finite; 1 in a channel of a sample that has no valid pixel.
    """
    invalid = torch.isnan(image)
    if not bool(invalid.any()):
        return image
    return _fill(torch.where(invalid, 0.0, image), (~invalid).to(image.dtype))


def _fill(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    known = count > 0
    mean = torch.where(known, total / count.clamp_min(1.0), 1.0)
    if bool(known.all()) or max(total.shape[-2:]) == 1:
        return mean
    sums = (F.avg_pool2d(x, 2, ceil_mode=True, divisor_override=1) for x in (total, count))
    coarse = _fill(*sums)
    coarse = coarse.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., : total.shape[-2], : total.shape[-1]]
    return torch.where(known, mean, coarse)
