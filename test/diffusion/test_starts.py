"""Which of two starts a solve takes, how it says that its budget ended it, and coefficients without a guide."""

from __future__ import annotations

import time

import pytest
import torch
from diffusion_scenes import make_problem

from depth_sr_ros.diffusion import depth_coefficients, solve_equilibrium
from depth_sr_ros.diffusion import solver as equilibrium

ADJUSTMENTS = pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])


def solve(problem, adjustment, warm_start=None, **options):
    options = {"tolerance": 1e-3, "adjustment": adjustment, "return_info": True, **options}
    return solve_equilibrium(*problem, warm_start=warm_start, **options)


@ADJUSTMENTS
def test_a_better_start_is_taken(adjustment):
    problem = make_problem(8, cells=(8, 8), batch=2)
    cold, info = solve(problem, adjustment)
    assert info.warm is None
    again, warm = solve(problem, adjustment, warm_start=1.02 * cold)  # adjusted to the source before it is judged
    assert warm.warm.tolist() == [True, True] and warm.iterations < info.iterations / 2
    torch.testing.assert_close(again, cold, rtol=5e-3, atol=0)


@ADJUSTMENTS
@pytest.mark.parametrize("budget", [3, 500])
def test_a_worse_start_changes_nothing(adjustment, budget):
    problem = make_problem(8, cells=(6, 6))
    noise = torch.rand(problem.depth.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, _ = solve(problem, adjustment, max_iterations=budget)
    result, info = solve(problem, adjustment, warm_start=1 + noise, max_iterations=budget)
    assert info.warm.tolist() == [False]
    assert torch.equal(result, expected)


@ADJUSTMENTS
def test_each_sample_takes_its_own_start(adjustment, device):
    problem = make_problem(4, cells=(6, 6), batch=2, device=device)
    solution, _ = solve(problem, adjustment)
    other = solution.flip(0, 2)
    starts = torch.stack([solution[0], other[1]])
    result, info = solve(problem, adjustment, warm_start=starts)
    assert info.warm.tolist() == [True, False]
    torch.testing.assert_close(result, solution, rtol=2e-3, atol=0)


@ADJUSTMENTS
def test_a_sample_without_source_is_returned_as_it_came_whatever_the_warm_start(adjustment, device):
    problem = make_problem(4, device=device)
    problem.source[:] = torch.nan
    result, info = solve(problem, adjustment, warm_start=torch.full_like(problem.depth, 9.0))
    assert torch.equal(result, problem.depth) and not info.warm.any()


@ADJUSTMENTS
def test_starts_are_left_as_they_came_and_gradients_pass(adjustment, device):
    problem = make_problem(4, device=device)
    problem.cv.requires_grad_()
    warm_start = solve(problem, adjustment)[0].detach() * 1.01
    before = problem.depth.clone(), warm_start.clone()
    result, _ = solve(problem, adjustment, warm_start=warm_start)
    assert torch.equal(problem.depth, before[0]) and torch.equal(warm_start, before[1])
    (gradient,) = torch.autograd.grad(result.square().sum(), problem.cv)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[..., 1:], "warm_start is .*, like depth"),
        (lambda x: x.float(), "float32 .* like depth torch.float64"),
        (lambda x: x * torch.nan, "warm_start must be finite"),
    ],
)
def test_an_unfit_warm_start_is_refused(change, words):
    problem = make_problem(4)
    with pytest.raises(ValueError, match=words):
        solve(problem, "additive", warm_start=change(problem.depth))


@ADJUSTMENTS
def test_the_budget_that_ended_a_solve_is_named(adjustment):
    problem = make_problem(8, cells=(8, 8), dtype=torch.float32)
    for options, ended in (
        ({}, False),
        ({"max_iterations": 2}, True),
        ({"time_budget_s": 0.0}, True),
        ({"tolerance": 1e-12, "max_iterations": 100_000}, False),  # float precision ends it
    ):
        _, info = solve(problem, adjustment, **options)
        assert info.budget_ended == ended, options
        assert not (info.converged and info.budget_ended)


@ADJUSTMENTS
def test_preparations_count_in_the_time_budget(adjustment, monkeypatch):
    """Preconditioner, yardstick and the comparison of two starts take as long as several iterations."""
    prepare = equilibrium._prepare

    def slowly(*arguments):
        time.sleep(0.06)
        return prepare(*arguments)

    monkeypatch.setattr(equilibrium, "_prepare", slowly)
    _, info = solve(make_problem(8), adjustment, time_budget_s=0.05)
    assert info.iterations == 0 and info.budget_ended and info.seconds >= 0.06


def test_depth_alone_lets_planes_flow_and_stops_at_steps():
    height, width, scale = 24, 32, 8
    x = torch.arange(width).expand(height, width)
    plane = (2.0 * (1 + 0.02 * x / scale)).expand(1, 1, -1, -1)  # 2 % from one LR pixel to the next
    cv, ch = depth_coefficients(plane, scale)
    assert cv.shape == (1, 1, height - 1, width) and ch.shape == (1, 1, height, width - 1)
    assert (cv == 1).all() and ch.min() > 0.8
    step = torch.where(x < 16, 1.0, 2.0).expand(1, 1, -1, -1)
    cv, ch = depth_coefficients(step, scale)
    assert ch[..., 15].max() < 1e-4 and (ch[..., :15] == 1).all() and (cv == 1).all()
    torch.testing.assert_close(depth_coefficients(1000 * step, scale)[1], ch)
    assert torch.isfinite(depth_coefficients(0 * step, scale)[0]).all()
