"""The implicit gradient against finite differences, unrolled back-propagation, and in its use of memory."""

from __future__ import annotations

import pytest
import torch
from diffusion_scenes import make_problem

from depth_sr_ros.diffusion import SeparableKernel, diffuse_adjust, edge_coefficients, solve_equilibrium
from depth_sr_ros.resize import bicubic_matrix

CHECK = {"eps": 1e-6, "atol": 1e-6, "fast_mode": True}
EXACT = {"tolerance": 1e-12, "max_iterations": 3000}


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
@pytest.mark.parametrize("hole", [False, True])
def test_gradcheck(adjustment, hole):
    problem = make_problem(2, cells=(2, 3), batch=2)
    if hole:
        problem.source[0, 0, 1, 1] = torch.nan
    valid = ~torch.isnan(problem.source)
    holes = torch.where(valid, 0.0, torch.nan)

    def solve(source, cv, ch):
        return solve_equilibrium(problem.depth, source + holes, cv, ch, adjustment=adjustment, **EXACT)

    inputs = (torch.where(valid, problem.source, 0.0), problem.cv, problem.ch)
    assert torch.autograd.gradcheck(solve, tuple(t.requires_grad_() for t in inputs), **CHECK)


def test_gradcheck_separable_kernel():
    problem = make_problem(2, cells=(4, 4))
    kernel = SeparableKernel(*(torch.tensor(bicubic_matrix(8, 4).copy()) for _ in range(2)))

    def solve(source, cv, ch):
        return solve_equilibrium(problem.depth, source, cv, ch, adjustment="additive", constraint=kernel, **EXACT)

    inputs = (problem.source, problem.cv, problem.ch)
    assert torch.autograd.gradcheck(solve, tuple(t.requires_grad_() for t in inputs), **CHECK)


def test_gradcheck_through_features_and_kappa():
    problem = make_problem(2, cells=(3, 3))
    features = torch.rand(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    kappa = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def solve(features, kappa):
        return solve_equilibrium(problem.depth, problem.source, *edge_coefficients(features, kappa), **EXACT)

    assert torch.autograd.gradcheck(solve, (features, kappa), **CHECK)


def test_agrees_with_unrolled_back_propagation(device):
    """The paper's scheme (Npre steps without gradient, Ngrad with) tends to the implicit gradient."""
    problem = make_problem(4, cells=(4, 5), near=0.8, far=4.0, device=device)
    target = problem.depth.roll(1, -1)
    cv, ch = problem.cv.requires_grad_(), problem.ch.requires_grad_()
    solution = solve_equilibrium(problem.depth, problem.source, cv, ch, **EXACT)
    implicit = torch.autograd.grad((solution - target).square().sum(), (cv, ch))
    with torch.no_grad():
        start = diffuse_adjust(problem.depth, problem.source, cv, ch, 3000)
    unrolled = diffuse_adjust(start, problem.source, cv, ch, 1000)
    expected = torch.autograd.grad((unrolled - target).square().sum(), (cv, ch))
    a, b = (torch.cat([g.flatten() for g in grads]) for grads in (implicit, expected))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.9999
    assert abs(a.norm() / b.norm() - 1) < 0.01


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_memory_does_not_grow_with_iterations(adjustment):
    problem = make_problem(4, cells=(6, 6))
    cv = problem.cv.requires_grad_()
    saved = []
    for tolerance in (1e-1, 1e-10):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            _, info = solve_equilibrium(
                problem.depth, problem.source, cv, problem.ch, tolerance=tolerance, max_iterations=1000,
                adjustment=adjustment, return_info=True,
            )  # fmt: skip
        saved.append((info.iterations, sum(kept)))
    (few, small), (many, large) = saved
    assert many > 3 * few and small == large


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_backward_inside_autocast_is_in_full_precision(adjustment):
    gradients = []
    for enabled in (False, True):
        problem = make_problem(4, cells=(4, 5))
        cv, ch = (c.float().requires_grad_() for c in (problem.cv, problem.ch))
        solution = solve_equilibrium(problem.depth.float(), problem.source.float(), cv, ch, adjustment=adjustment)
        loss = solution.square().mean()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss.backward()
        gradients.append(cv.grad)
    assert gradients[0].abs().max() > 0 and torch.equal(*gradients)


def test_no_gradient_for_the_start(device):
    problem = make_problem(2, device=device)
    depth = problem.depth.requires_grad_()
    assert not solve_equilibrium(*problem).requires_grad
    source = problem.source.requires_grad_()
    solve_equilibrium(depth, source, problem.cv, problem.ch).sum().backward()
    assert depth.grad is None
    torch.testing.assert_close(source.grad, torch.full_like(source, 4.0), rtol=1e-9, atol=0)
