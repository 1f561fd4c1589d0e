"""The equilibrium of noisy readings: they pull at the means of their cells, each as hard as its noise allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .budget import Budget, EquilibriumInfo
from .cells import mean_cells, spread_cells
from .operator import DiffusionOperator
from .penalised_cg import PenalisedCG
from .shapes import check_grid
from .starts import check_warm_start, residual_yardstick, take_better_


def solve_penalised(
    depth: Tensor,
    source: Tensor,
    weight: Tensor,
    cv: Tensor,
    ch: Tensor,
    *,
    slopes: tuple[Tensor, Tensor] | None = None,
    tolerance: float = 1e-3,
    max_iterations: int = 500,
    time_budget_s: float | None = None,
    warm_start: Tensor | None = None,
) -> tuple[Tensor, EquilibriumInfo]:
    """Minimise 1/2 sum over edges of c (difference of y - slope)^2 + 1/2 sum over cells of w (mean(y) - source)^2.

    The additive equilibrium of `solve_equilibrium` is the limit w -> infinity: with readings of standard deviation
    sigma, w is proportional to 1 / sigma^2. Gradients reach `weight`, `source`, `cv`, `ch` and `slopes` by one more
    solve in `backward` (implicit function theorem): with A a = dLoss/dy, A the operator of the normal equations,
    dLoss/dc_e = -(difference of a)(difference of y - slope), dLoss/dslope_e = c_e (difference of a),
    dLoss/dsource = w mean(a), dLoss/dw = -mean(a) (mean(y) - source).

    Args:
        depth: (B, 1, H, W), the start, finite. Not changed.
        source: (B, 1, h, w), LR depth in the same unit, NaN where invalid (w = 0 there). H = s h, W = s w.
        weight: (B, 1, h, w) w >= 0, finite, without unit.
        cv: (B, 1, H - 1, W), coefficients >= 0 of vertical neighbours, see `edge_coefficients`.
        ch: (B, 1, H, W - 1), the same of horizontal ones.
        slopes: differences like `cv` and `ch`, in the unit of depth, that the solution is to have; None: 0.
        tolerance: relative residual to stop at, as in `solve_equilibrium`.
        max_iterations: of conjugate gradients, in all; likewise in `backward`.
        time_budget_s: wall time in seconds after which the current solution is returned; None: no limit.
        warm_start: like `depth`, another start, taken where it is worth it.

    Returns:
        (B, 1, H, W) in the unit of `depth`, and how the solver ended.

    Raises:
        ValueError: for shapes that do not fit, values that are not finite, or negative weights or coefficients.
        TypeError: for mixed dtypes or devices.
    """
    scale = check_grid(depth, source, cv, ch)
    if weight.shape != source.shape or weight.dtype != source.dtype:
        raise ValueError(
            f"weight is {weight.dtype} {tuple(weight.shape)}: expected {source.dtype} {tuple(source.shape)}"
        )
    if not bool(torch.isfinite(weight).all() and (weight >= 0).all() and torch.isfinite(depth).all()):
        raise ValueError("weight must be finite and >= 0, and depth, the start, finite")
    if not tolerance > 0 or max_iterations < 1:
        raise ValueError(f"tolerance must be > 0 and max_iterations >= 1, got {tolerance} and {max_iterations}")
    if warm_start is not None:
        check_warm_start(warm_start, depth)
    invalid = torch.isnan(source)
    weight, source = weight.masked_fill(invalid, 0.0), source.masked_fill(invalid, 0.0)
    slope_v, slope_h = (torch.zeros_like(cv), torch.zeros_like(ch)) if slopes is None else slopes
    budget = Budget(tolerance, max_iterations, time_budget_s)
    infos: list[EquilibriumInfo] = []
    solution = _Penalised.apply(
        depth.detach(), source, weight, cv, ch, slope_v, slope_h, warm_start, scale, budget, infos
    )
    return solution, infos[0]


class _Penalised(torch.autograd.Function):
    """See `solve_penalised`."""

    @staticmethod
    def forward(
        ctx: Any,  # torch's context has no type for the attributes that a function adds
        depth: Tensor,
        source: Tensor,
        weight: Tensor,
        cv: Tensor,
        ch: Tensor,
        slope_v: Tensor,
        slope_h: Tensor,
        warm_start: Tensor | None,
        scale: int,
        budget: Budget,
        infos: list[EquilibriumInfo],
    ) -> Tensor:
        clock = budget.start()
        operator = DiffusionOperator(cv, ch)
        cg = PenalisedCG(operator, weight, scale)
        solution = depth.clone(memory_format=torch.contiguous_format)
        solvable = (weight > 0).flatten(1).any(dim=1)  # without any reading L alone is singular
        b = operator.divergence((slope_v, slope_h))
        flat = spread_cells(torch.where(weight > 0, source, mean_cells(solution, scale)), scale)
        force = operator.apply_to_image(flat, torch.empty_like(flat))
        reference = residual_yardstick(cg.norm(force), flat)
        warm = take_better_(solution, warm_start, solvable, lambda y: cg.norm_at(y, source, b))
        info = cg.solve(solution, b, source, reference, solvable, budget, clock)
        infos.append(replace(info, warm=warm))
        ctx.save_for_backward(solution, source, weight, cv, ch, slope_v, slope_h)
        ctx.scale, ctx.budget = scale, replace(budget, time_budget_s=None)
        return solution

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradient.device.type, enabled=False):  # a caller's backward may run inside autocast
            return _Penalised._backward(ctx, gradient.contiguous())

    @staticmethod
    def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        solution, source, weight, cv, ch, slope_v, slope_h = ctx.saved_tensors
        budget: Budget = ctx.budget
        cg = PenalisedCG(DiffusionOperator(cv, ch), weight, ctx.scale)
        adjoint = torch.zeros_like(solution)
        solvable = (weight > 0).flatten(1).any(dim=1)
        cg.solve(adjoint, gradient, torch.zeros_like(source), cg.norm(gradient), solvable, budget, budget.start())
        across_v, across_h = torch.diff(adjoint, dim=-2), torch.diff(adjoint, dim=-1)
        mean = mean_cells(adjoint, ctx.scale)
        return (
            None,
            weight * mean,
            -mean * (mean_cells(solution, ctx.scale) - source) * (weight > 0),
            -across_v * (torch.diff(solution, dim=-2) - slope_v),
            -across_h * (torch.diff(solution, dim=-1) - slope_h),
            cv * across_v,
            ch * across_h,
            None,
            None,
            None,
            None,
        )
