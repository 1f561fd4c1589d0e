"""The equilibrium against the paper's loop, a dense solve, and itself in other forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from diffusion_scenes import make_problem

from depth_sr_ros.diffusion import SeparableKernel, diffuse_adjust, solve_equilibrium
from depth_sr_ros.resize import bicubic_matrix, block_mean


def laplacian(cv, ch):
    height, width = ch.shape[0], cv.shape[1]
    matrix = np.zeros((height * width, height * width))
    for values, step in ((cv, width), (ch, 1)):
        for (y, x), c in np.ndenumerate(values):
            p = y * width + x
            matrix[[p, p + step], [p, p + step]] += c
            matrix[[p, p + step], [p + step, p]] -= c
    return matrix


def dense_minimum(cv, ch, down, values):
    """argmin 1/2 y^T L y subject to down y = values, by its KKT matrix."""
    lap = laplacian(cv, ch)
    n, m = lap.shape[0], down.shape[0]
    kkt = np.block([[lap, down.T], [down, np.zeros((m, m))]])
    return scipy.linalg.solve(kkt, np.concatenate([np.zeros(n), values]), assume_a="sym")[:n]


def block_matrix(rows, columns, scale):
    ay = np.kron(np.eye(rows), np.full((1, scale), 1 / scale))
    ax = np.kron(np.eye(columns), np.full((1, scale), 1 / scale))
    return np.kron(ay, ax)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("hole", [False, True])
def test_additive_is_the_constrained_minimum(scale, hole):
    problem = make_problem(scale, cells=(4, 5))
    down = block_matrix(4, 5, scale)
    if hole:
        problem.source[0, 0, 1:3, 2] = torch.nan
    solution, info = solve_equilibrium(
        *problem, tolerance=1e-12, max_iterations=2000, adjustment="additive", return_info=True
    )
    assert info.converged
    source = problem.source.flatten().numpy()
    valid = ~np.isnan(source)
    expected = dense_minimum(problem.cv[0, 0].numpy(), problem.ch[0, 0].numpy(), down[valid], source[valid])
    np.testing.assert_allclose(solution.flatten().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("hole", [False, True])
def test_multiplicative_is_the_loops_limit(scale, hole, device):
    problem = make_problem(scale, cells=(4, 4), batch=2, device=device)
    if hole:
        problem.source[1, 0, 1, 1:3] = torch.nan
    solution, info = solve_equilibrium(*problem, tolerance=1e-10, max_iterations=2000, return_info=True)
    assert info.converged and info.relative_residual.shape == (2,)
    with torch.no_grad():
        limit = diffuse_adjust(*problem, iterations=3000)
    torch.testing.assert_close(solution, limit, rtol=2e-7, atol=0)
    torch.testing.assert_close(diffuse_adjust(solution, *list(problem)[1:], iterations=1), solution, rtol=1e-9, atol=0)


def test_multiplicative_with_steep_depth_steps(device):
    """From 0.5 m to 10 m inside one cell: the additive minimum goes negative there, the paper's loop does not."""
    problem = make_problem(8, cells=(5, 6), near=0.5, far=10.0, kappa=0.02, device=device)
    additive = solve_equilibrium(*problem, tolerance=1e-8, max_iterations=2000, adjustment="additive")
    solution, info = solve_equilibrium(*problem, tolerance=1e-8, max_iterations=2000, return_info=True)
    assert info.converged
    assert solution.min() > 0
    assert (additive - solution).abs().max() > 0.05
    torch.testing.assert_close(
        diffuse_adjust(solution, *list(problem)[1:], iterations=100), solution, rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 1e-6), (torch.float64, 1e-15)])
def test_constraint_holds_even_out_of_budget(adjustment, dtype, digits, device):
    problem = make_problem(4, dtype=dtype, device=device)
    problem.source[0, 0, 0, 0] = torch.nan
    solution, info = solve_equilibrium(*problem, max_iterations=3, adjustment=adjustment, return_info=True)
    assert not info.converged and info.iterations == 3
    error = (block_mean(solution, 4) - problem.source).abs() / problem.source
    assert error.nan_to_num().max() < 2 * digits
    assert solution.dtype == dtype


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_batch_is_one_by_one(adjustment, device):
    problem = make_problem(4, batch=3, device=device)
    problem.source[1, 0, 2, 2] = torch.nan
    options = {"tolerance": 1e-9, "max_iterations": 1000, "adjustment": adjustment}
    together = solve_equilibrium(*problem, **options)
    for sample in range(3):
        alone = solve_equilibrium(*(t[sample : sample + 1] for t in problem), **options)
        torch.testing.assert_close(together[sample : sample + 1], alone, rtol=1e-8, atol=0)


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_float32_is_near_float64(adjustment, device):
    exact = solve_equilibrium(
        *make_problem(8, device=device), tolerance=1e-9, max_iterations=1000, adjustment=adjustment
    )
    single, info = solve_equilibrium(
        *make_problem(8, dtype=torch.float32, device=device), tolerance=1e-5, adjustment=adjustment, return_info=True
    )
    assert info.converged
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=0)


@pytest.mark.cuda
@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_cuda_is_the_cpu(adjustment):
    problem = make_problem(8, batch=2, dtype=torch.float32)
    problem.source[1, 0, 2, 2] = torch.nan
    expected = solve_equilibrium(*problem, adjustment=adjustment)
    there = [t.cuda() for t in problem]
    there[2].requires_grad_()
    solution = solve_equilibrium(*there, adjustment=adjustment)
    torch.testing.assert_close(solution.cpu(), expected, rtol=1e-3, atol=0)
    solution.square().sum().backward()
    assert bool(torch.isfinite(there[2].grad).all())


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_unreachable_tolerance_ends(adjustment):
    problem = make_problem(4, dtype=torch.float32)
    solution, info = solve_equilibrium(
        *problem, tolerance=1e-12, max_iterations=100_000, adjustment=adjustment, return_info=True
    )
    assert not info.converged and info.iterations < 5000 and bool(torch.isfinite(solution).all())


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_warm_start_and_time_budget(adjustment):
    problem = make_problem(8, cells=(8, 8))
    solve = lambda start, **options: solve_equilibrium(  # noqa: E731
        start, problem.source, problem.cv, problem.ch, adjustment=adjustment, return_info=True, **options
    )
    cold, cold_info = solve(problem.depth, tolerance=1e-3)
    _, again = solve(cold, tolerance=1e-3)
    assert again.iterations == 0 and again.converged
    moved = problem.source * 1.02
    _, warm = solve_equilibrium(
        cold * 1.02, moved, problem.cv, problem.ch, tolerance=1e-3, adjustment=adjustment, return_info=True
    )
    assert warm.iterations < cold_info.iterations / 2
    _, stopped = solve(problem.depth, tolerance=1e-12, time_budget_s=0.0)
    assert stopped.iterations == 0 and not stopped.converged


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_sample_without_any_source_is_returned_as_it_came(adjustment, device):
    problem = make_problem(4, batch=2, device=device)
    problem.source[0] = torch.nan
    cv = problem.cv.clone().requires_grad_()
    solution, info = solve_equilibrium(
        problem.depth, problem.source, cv, problem.ch, adjustment=adjustment, return_info=True
    )
    assert info.converged
    assert torch.equal(solution[0], problem.depth[0])
    solution.square().sum().backward()
    assert not cv.grad[0].any() and cv.grad[1].any()


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_flat_source_and_cut_off_regions_stay_safe(adjustment, device):
    problem = make_problem(4, device=device)
    flat = torch.full_like(problem.source, 2.0)
    solution = solve_equilibrium(problem.depth, flat, problem.cv, problem.ch, adjustment=adjustment)
    torch.testing.assert_close(solution, torch.full_like(solution, 2.0), rtol=1e-3, atol=0)
    # an unconstrained region that no coefficient connects to the rest keeps finite values, and so do gradients
    source, cv = problem.source.clone(), problem.cv.clone()
    source[..., 2:, :] = torch.nan
    cv[..., 7, :] = 0.0
    cv.requires_grad_()
    solution = solve_equilibrium(problem.depth, source, cv, problem.ch, adjustment=adjustment)
    solution.square().sum().backward()
    assert bool(torch.isfinite(solution).all()) and bool(torch.isfinite(cv.grad).all())
    torch.testing.assert_close(block_mean(solution, 4)[..., :2, :], source[..., :2, :], rtol=1e-12, atol=0)


def bicubic_kernel(rows, columns, scale):
    return SeparableKernel(
        *(torch.tensor(bicubic_matrix(n * scale, n).copy(), dtype=torch.float64) for n in (rows, columns))
    )


def test_separable_kernel_is_the_constrained_minimum():
    problem = make_problem(4, cells=(4, 5))
    kernel = bicubic_kernel(4, 5, 4)
    source = kernel.down(problem.depth)
    solution, info = solve_equilibrium(
        problem.depth.roll(1, -1), source, problem.cv, problem.ch,
        tolerance=1e-12, max_iterations=2000, adjustment="additive", constraint=kernel, return_info=True,
    )  # fmt: skip
    assert info.converged
    torch.testing.assert_close(kernel.down(solution), source, rtol=1e-12, atol=0)
    down = np.kron(kernel.ay.numpy(), kernel.ax.numpy())
    expected = dense_minimum(problem.cv[0, 0].numpy(), problem.ch[0, 0].numpy(), down, source.flatten().numpy())
    np.testing.assert_allclose(solution.flatten().numpy(), expected, rtol=1e-8)


def test_separable_block_mean_is_the_block_mean():
    problem = make_problem(4, cells=(3, 5), batch=2)
    kernel = SeparableKernel(*(torch.kron(torch.eye(n), torch.full((1, 4), 0.25)) for n in (3, 5)))
    options = {"tolerance": 1e-11, "max_iterations": 2000, "adjustment": "additive"}
    expected = solve_equilibrium(*problem, **options)
    torch.testing.assert_close(solve_equilibrium(*problem, constraint=kernel, **options), expected, rtol=1e-6, atol=0)


def test_separable_kernel_errors():
    problem = make_problem(4, cells=(4, 5))
    kernel = bicubic_kernel(4, 5, 4)
    with pytest.raises(ValueError, match="use adjustment='additive'"):
        solve_equilibrium(*problem, constraint=kernel)
    with pytest.raises(ValueError, match="matrices"):
        solve_equilibrium(*problem, constraint=bicubic_kernel(5, 5, 4), adjustment="additive")
    problem.source[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="without NaN"):
        solve_equilibrium(*problem, constraint=kernel, adjustment="additive")
    with pytest.raises(ValueError, match="full rank"):
        SeparableKernel(torch.ones(2, 8), torch.eye(4))
    with pytest.raises(ValueError, match="LR <= HR"):
        SeparableKernel(torch.ones(8, 2), torch.eye(4))


def test_errors():
    problem = make_problem(4)
    with pytest.raises(ValueError, match="adjustment must be one of"):
        solve_equilibrium(*problem, adjustment="subtractive")
    with pytest.raises(ValueError, match="cv must be"):
        solve_equilibrium(problem.depth, problem.source, problem.ch, problem.ch)
    with pytest.raises(ValueError, match="positive source"):
        solve_equilibrium(problem.depth, problem.source - 2.5, problem.cv, problem.ch)
    with pytest.raises(ValueError, match="tolerance"):
        solve_equilibrium(*problem, tolerance=0.0)
    broken = problem.cv.clone()
    broken[0, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match="must be finite"):
        solve_equilibrium(problem.depth, problem.source, broken, problem.ch)
    with pytest.raises(ValueError, match="cv and ch must be >= 0"):
        solve_equilibrium(problem.depth, problem.source, -problem.cv, problem.ch)
    holed = problem.depth.clone()
    holed[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="fill holes"):
        solve_equilibrium(holed, problem.source, problem.cv, problem.ch)
