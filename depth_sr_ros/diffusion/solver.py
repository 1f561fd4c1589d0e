"""The equilibrium of DADA's diffuse-adjust loop, without the loop, and its gradient without unrolling.

At a fixed point of the loop (`diffuse_adjust`) L y = up(mu) * y with one multiplier mu per LR cell, and
down(y) = source: `NewtonKrylov` solves that. The additive adjustment (y += up(source - down(y))) has L y = up(mu)
instead, the KKT system of: minimise 1/2 y^T L y subject to down(y) = source: `ProjectedCG` solves that. Both are
differentiated by the implicit function theorem: one more solve with the transposed linearisation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..choices import ADJUSTMENTS
from .budget import Budget, EquilibriumInfo
from .cells import add_to_cells_, mean_cells
from .constraint import BlockMean, SeparableKernel
from .newton_krylov import NewtonKrylov
from .operator import DiffusionOperator
from .preconditioner import MultilevelJacobi
from .projected_cg import ProjectedCG
from .shapes import check_grid
from .starts import check_warm_start, residual_yardstick, take_better_

# At scale 1; an error of y that a given residual leaves grows like the scale.
_DEFAULT_TOLERANCE = 3.2e-4


@overload
def solve_equilibrium(
    depth: Tensor,
    source: Tensor,
    cv: Tensor,
    ch: Tensor,
    *,
    tolerance: float | None = ...,
    max_iterations: int = ...,
    adjustment: str = ...,
    constraint: SeparableKernel | None = ...,
    time_budget_s: float | None = ...,
    backward_tolerance: float | None = ...,
    warm_start: Tensor | None = ...,
    slopes: tuple[Tensor, Tensor] | None = ...,
    return_info: Literal[False] = ...,
) -> Tensor: ...


@overload
def solve_equilibrium(
    depth: Tensor,
    source: Tensor,
    cv: Tensor,
    ch: Tensor,
    *,
    tolerance: float | None = ...,
    max_iterations: int = ...,
    adjustment: str = ...,
    constraint: SeparableKernel | None = ...,
    time_budget_s: float | None = ...,
    backward_tolerance: float | None = ...,
    warm_start: Tensor | None = ...,
    slopes: tuple[Tensor, Tensor] | None = ...,
    return_info: Literal[True],
) -> tuple[Tensor, EquilibriumInfo]: ...


def solve_equilibrium(
    depth: Tensor,
    source: Tensor,
    cv: Tensor,
    ch: Tensor,
    *,
    tolerance: float | None = None,
    max_iterations: int = 500,
    adjustment: str = "multiplicative",
    constraint: SeparableKernel | None = None,
    time_budget_s: float | None = None,
    backward_tolerance: float | None = None,
    warm_start: Tensor | None = None,
    slopes: tuple[Tensor, Tensor] | None = None,
    return_info: bool = False,
) -> Tensor | tuple[Tensor, EquilibriumInfo]:
    """The limit of `diffuse_adjust` for iterations -> infinity, in tens of iterations instead of thousands.

    The relative residual is ||z|| / ||z of up(source)||, where z is the preconditioned residual of the system in the
    null space of the constraint (an estimate of the error, in the norm of the diagonal of L; for the additive
    adjustment its energy norm) and up(source) the nearest-neighbour upsampling of the source. The divisor does not
    depend on the start, so that cold and warm starts are held to the same accuracy. Measured mean relative errors of
    y, multiplicative, kappa 0.03 of RGB in [0, 1]: 0.1 of the relative residual at s = 4, 0.3 at s = 8, 1 at s = 16;
    with weaker coefficients, up to three times that.

    Gradients reach `cv`, `ch` and `source` (and features and kappa through `edge_coefficients`), by one solve in
    `backward`, in memory that does not depend on the iterations. For both adjustments it is the gradient of the
    equilibrium itself, exact up to the tolerances. `depth` and `warm_start` are only starts: they get no gradient.

    Args:
        depth: (B, 1, H, W), the start, finite: bicubic upsampling, or the previous frame's solution. Not changed.
        source: (B, 1, h, w), LR depth in the same unit, NaN where invalid (no constraint there: values flow in from
            the surroundings); positive if the adjustment is multiplicative. H = s h, W = s w. A sample without any
            valid cell is returned as it came, with zero gradient.
        cv: (B, 1, H - 1, W), coefficients >= 0 of vertical neighbours, finite, see `edge_coefficients`.
        ch: (B, 1, H, W - 1), the same of horizontal ones.
        tolerance: relative residual to stop at, of every sample; None: 3.2e-4 / s, which kept the mean relative error
            below 1e-4 at every scale and scene measured.
        max_iterations: of conjugate gradients, in all; likewise in `backward`.
        adjustment: "multiplicative" (the paper's eq. 3) or "additive".
        constraint: how the LR pixels arise; None is the block mean. A `SeparableKernel` goes with the additive
            adjustment and a source without NaN.
        time_budget_s: wall time in seconds after which the current solution is returned; None: no limit. It does
            not bound `backward`.
        backward_tolerance: the same for the gradient's system, relative to its right-hand side; None: `tolerance`.
        warm_start: like `depth`, another start, such as what the last frame of a video led to: once both are adjusted
            to the source, a sample begins there unless its residual is above `WARM_MARGIN` times depth's.
        slopes: (B, 1, H - 1, W) and (B, 1, H, W - 1), differences across the edges that the solution is to have, in the
            unit of depth: minimised is 1/2 sum of c (difference of y - slope)^2, L y = D^T (c slope) + up(mu). None: 0,
            as in the paper. With the additive adjustment only.
        return_info: also return an `EquilibriumInfo`.

    Returns:
        (B, 1, H, W) in the unit of `depth`, whose LR values equal `source` up to rounding even when the budget ran
        out; with `return_info` a pair of it and the info.

    Raises:
        ValueError: for shapes that do not fit, an unknown adjustment, starts or coefficients that are not finite,
            negative coefficients, a non-positive source with the multiplicative adjustment, or a `SeparableKernel`
            with NaN in the source, with matrices that do not fit, or with the multiplicative adjustment.
        TypeError: for mixed dtypes or devices.
    """
    scale = check_grid(depth, source, cv, ch)
    if adjustment not in ADJUSTMENTS:
        raise ValueError(f"adjustment must be one of {ADJUSTMENTS}, got {adjustment!r}")
    tolerance = _DEFAULT_TOLERANCE / scale if tolerance is None else tolerance
    if not tolerance > 0 or max_iterations < 1:
        raise ValueError(f"tolerance must be > 0 and max_iterations >= 1, got {tolerance} and {max_iterations}")
    kernel, source = _constraint_of(source, scale, adjustment, constraint)
    if not bool(torch.isfinite(depth).all()):
        raise ValueError("depth, the start, must be finite: fill holes first (fill_holes), they stay free in source")
    if warm_start is not None:
        check_warm_start(warm_start, depth)
    if bool((torch.minimum(cv.amin(), ch.amin()) if cv.numel() and ch.numel() else torch.zeros(())) < 0):
        raise ValueError("cv and ch must be >= 0: a negative coefficient has no equilibrium")
    if slopes is not None and adjustment != "additive":
        raise ValueError("slopes are defined for the additive adjustment: set adjustment='additive'")
    slope_v, slope_h = (None, None) if slopes is None else slopes
    settings = _Settings(
        scale,
        kernel,
        adjustment == "multiplicative",
        Budget(tolerance, max_iterations, time_budget_s),
        Budget(backward_tolerance or tolerance, max_iterations),
    )
    infos: list[EquilibriumInfo] = []
    solution = _Equilibrium.apply(depth.detach(), source, cv, ch, slope_v, slope_h, warm_start, settings, infos)
    return (solution, infos[0]) if return_info else solution


@dataclass(frozen=True)
class _Settings:
    scale: int
    constraint: BlockMean | SeparableKernel
    multiplicative: bool
    forward: Budget
    backward: Budget


def _constraint_of(
    source: Tensor, scale: int, adjustment: str, kernel: SeparableKernel | None
) -> tuple[BlockMean | SeparableKernel, Tensor]:
    """The constraint, and the source with zeros for NaN."""
    invalid = torch.isnan(source)
    holes = bool(invalid.any())
    filled = torch.where(invalid, 0.0, source)
    if kernel is None:
        if adjustment == "multiplicative" and bool(((source <= 0) & ~invalid).any()):
            raise ValueError(
                f"the multiplicative adjustment needs a positive source, got a minimum of "
                f"{float(source[~invalid].min()):g}: mark invalid cells by NaN, or use adjustment='additive'"
            )
        return BlockMean(scale, ~invalid if holes else None), filled
    if adjustment != "additive":
        raise ValueError("the multiplicative adjustment is defined per cell: use adjustment='additive' with a kernel")
    if holes:
        raise ValueError("a SeparableKernel needs a source without NaN: fill it first, or use the block mean")
    rows, columns = source.shape[-2:]
    expected = ((rows, rows * scale), (columns, columns * scale))
    got = (tuple(kernel.ay.shape), tuple(kernel.ax.shape))
    if got != expected:
        raise ValueError(f"SeparableKernel has matrices {got}, source and depth need {expected}")
    return kernel.to(source), filled


class _Equilibrium(torch.autograd.Function):
    """Forward: the equilibrium. Backward: the adjoint system a, from the loss's gradient g by the solution y.

    Additive: L a = g + D^T nu, D a = 0. Multiplicative: L a + D^T nu = g + up(mu) * a, D (y * a) = 0. In both
    dLoss/dc_e = -(difference of a over edge e) (difference of y over edge e, less its slope) and dLoss/dsource = nu,
    which D^T nu = g (+ up(mu) * a) - L a gives; dLoss/dslope_e = c_e (difference of a over edge e).
    """

    @staticmethod
    def forward(
        ctx: Any,  # torch's context has no type for the attributes that a function adds
        depth: Tensor,
        source: Tensor,
        cv: Tensor,
        ch: Tensor,
        slope_v: Tensor | None,
        slope_h: Tensor | None,
        warm_start: Tensor | None,
        settings: _Settings,
        infos: list[EquilibriumInfo],
    ) -> Tensor:
        clock = settings.forward.start()  # before what takes as long as some iterations: operator, yardstick, starts
        operator, precondition = _prepare(cv, ch, settings)
        constraint, budget = settings.constraint, settings.forward
        solution = depth.clone(memory_format=torch.contiguous_format)
        solvable = _solvable(settings, source)
        flat = _flat(solution, source, settings)
        if settings.multiplicative:
            assert isinstance(constraint, BlockMean)  # `_constraint_of` refuses a kernel
            solver = NewtonKrylov(operator, constraint, precondition, source)
            reference = residual_yardstick(solver.norm_of_flat(flat), flat)
            warm = take_better_(solution, warm_start, solvable, lambda y: solver.norm_at(y, solvable))
            info = solver.solve(solution, reference, solvable, budget, clock)
        else:
            cg = ProjectedCG(operator, constraint, precondition)
            reference = residual_yardstick(cg.norm(operator.apply_to_image(flat, torch.empty_like(flat))), flat)
            b = None if slope_v is None or slope_h is None else operator.divergence((slope_v, slope_h))
            warm = take_better_(solution, warm_start, solvable, lambda y: cg.norm_at(y, source, b))
            info = cg.solve(solution, b, source, reference, solvable, budget, clock)
        infos.append(replace(info, warm=warm))
        ctx.save_for_backward(solution, source, cv, ch, slope_v, slope_h)
        ctx.settings = settings
        return solution

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradient.device.type, enabled=False):  # a caller's backward may run inside autocast
            return _Equilibrium._backward(ctx, gradient.contiguous())

    @staticmethod
    def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        solution, source, cv, ch, slope_v, slope_h = ctx.saved_tensors
        settings: _Settings = ctx.settings
        operator, precondition = _prepare(cv, ch, settings)
        constraint, budget = settings.constraint, settings.backward
        solvable = _solvable(settings, source)
        if settings.multiplicative:
            assert isinstance(constraint, BlockMean)  # `_constraint_of` refuses a kernel
            solver = NewtonKrylov(operator, constraint, precondition, source)
            adjoint, remainder = solver.solve_adjoint(gradient, solution, solvable, budget)
        else:
            cg = ProjectedCG(operator, constraint, precondition)
            adjoint = torch.zeros_like(solution)
            reference = cg.norm(gradient)
            cg.solve(adjoint, gradient, torch.zeros_like(source), reference, solvable, budget, budget.start())
            remainder = gradient - operator.apply_to_image(adjoint, torch.empty_like(adjoint))
        across_v, across_h = torch.diff(adjoint, dim=-2), torch.diff(adjoint, dim=-1)
        return (
            None,
            constraint.multiplier(remainder),
            -across_v * _excess(solution, slope_v, -2),
            -across_h * _excess(solution, slope_h, -1),
            None if slope_v is None else cv * across_v,
            None if slope_h is None else ch * across_h,
            None,
            None,
            None,
        )


def _excess(solution: Tensor, slope: Tensor | None, axis: int) -> Tensor:
    """The differences of the solution beyond those that it is to have."""
    difference = torch.diff(solution, dim=axis)
    return difference if slope is None else difference - slope


def _prepare(cv: Tensor, ch: Tensor, settings: _Settings) -> tuple[DiffusionOperator, MultilevelJacobi]:
    operator = DiffusionOperator(cv, ch)
    return operator, MultilevelJacobi(operator, settings.constraint, settings.scale)


def _solvable(settings: _Settings, source: Tensor) -> Tensor:
    """(B,) bool: samples with at least one valid cell; without any, L alone is singular."""
    valid = settings.constraint.valid
    if valid is None:
        return torch.ones(source.shape[0], dtype=torch.bool, device=source.device)
    return valid.flatten(1).any(dim=1)


def _flat(start: Tensor, source: Tensor, settings: _Settings) -> Tensor:
    """up(source), with the start's own block mean in cells without a source: the yardstick of residuals."""
    flat = torch.zeros_like(start)
    settings.constraint.add_lifted_(flat, source)
    valid = settings.constraint.valid
    if valid is not None:
        add_to_cells_(flat, mean_cells(start, settings.scale) * ~valid, settings.scale)
    return flat
