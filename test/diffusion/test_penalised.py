"""The equilibrium of noisy readings: equal to dense algebra, differentiable, and the constraint as its limit."""

import pytest
import torch

from depth_sr_ros.diffusion import differences, planarity, solve_equilibrium, solve_penalised
from depth_sr_ros.resize import block_mean, repeat


def problem(height, width, scale, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def rand(*size):
        return torch.rand(1, 1, *size, dtype=torch.float64, generator=generator)

    rows, columns = height * scale, width * scale
    return {
        "depth": rand(rows, columns),
        "source": 1 + rand(height, width),
        "cv": 0.05 + rand(rows - 1, columns),
        "ch": 0.05 + rand(rows, columns - 1),
        "slopes": differences(rand(rows, columns)),
        "weight": 0.5 + rand(height, width),
    }


def dense_solution(p, scale):
    """The minimum by dense linear algebra, (H, W)."""
    _, _, rows, columns = p["depth"].shape
    pixels = torch.arange(rows * columns).view(rows, columns)
    slope_v, slope_h = p["slopes"]
    matrix = torch.zeros(rows * columns, rows * columns, dtype=torch.float64)
    right = torch.zeros(rows * columns, dtype=torch.float64)
    for first, second, c, slope in (
        (pixels[:-1], pixels[1:], p["cv"], slope_v),
        (pixels[:, :-1], pixels[:, 1:], p["ch"], slope_h),
    ):
        edges = torch.zeros(first.numel(), rows * columns, dtype=torch.float64)
        edges[torch.arange(first.numel()), first.flatten()] = -1
        edges[torch.arange(first.numel()), second.flatten()] = 1
        matrix += edges.T @ (c.flatten()[:, None] * edges)
        right += edges.T @ (c.flatten() * slope.flatten())
    cells = torch.arange(p["source"].numel()).view(1, 1, *p["source"].shape[-2:])
    cell = repeat(cells, scale).flatten()
    means = torch.zeros(cells.numel(), rows * columns, dtype=torch.float64)
    means[cell, torch.arange(rows * columns)] = 1 / scale**2
    matrix += means.T @ (p["weight"].flatten()[:, None] * means)
    right += means.T @ (p["weight"] * torch.nan_to_num(p["source"])).flatten()
    return torch.linalg.solve(matrix, right).view(rows, columns)


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0, 1e4])
@pytest.mark.parametrize(("size", "scale"), [((9, 11), 4), ((7, 5), 3), ((16, 33), 1)])
def test_it_is_the_minimum(strength, size, scale):
    p = problem(*size, scale)
    p["weight"] = strength * p["weight"]
    p["weight"][..., 2:4, 1:3] = 0
    p["source"][..., 2:4, 1:3] = torch.nan
    solution, info = solve_penalised(**p, tolerance=1e-9)
    assert info.converged and info.iterations < 250
    torch.testing.assert_close(solution[0, 0], dense_solution(p, scale), rtol=1e-6, atol=1e-6)


def test_large_weights_are_the_constraint():
    p = problem(12, 16, 4)
    p["weight"] = torch.full_like(p["weight"], 1e6)
    soft, _ = solve_penalised(**p, tolerance=1e-9)
    del p["weight"]
    held = solve_equilibrium(**p, adjustment="additive", tolerance=1e-9)
    torch.testing.assert_close(soft, held, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(block_mean(held, 4), p["source"], rtol=1e-9, atol=1e-9)


def test_gradients_of_both_equilibria():
    p = problem(4, 4, 2)
    names = ("source", "weight", "cv", "ch")
    inputs = [p[name].requires_grad_() for name in names] + [slope.requires_grad_() for slope in p["slopes"]]

    def penalised(source, weight, cv, ch, slope_v, slope_h):
        options = {"slopes": (slope_v, slope_h), "tolerance": 1e-11, "max_iterations": 2000}
        return solve_penalised(p["depth"], source, weight, cv, ch, **options)[0]

    def held(source, cv, ch, slope_v, slope_h):
        options = {"slopes": (slope_v, slope_h), "tolerance": 1e-11, "max_iterations": 2000}
        return solve_equilibrium(p["depth"], source, cv, ch, adjustment="additive", **options)

    assert torch.autograd.gradcheck(penalised, inputs, eps=1e-6, atol=1e-5)
    assert torch.autograd.gradcheck(held, [inputs[0], *inputs[2:]], eps=1e-6, atol=1e-5)


def test_a_depth_whose_slopes_and_means_are_given_is_the_solution():
    p = problem(8, 8, 4)
    truth = 1 + torch.rand(1, 1, 32, 32, dtype=torch.float64)
    p |= {"source": block_mean(truth, 4), "slopes": differences(truth)}
    torch.testing.assert_close(solve_penalised(**p, tolerance=1e-10)[0], truth, rtol=1e-7, atol=1e-7)
    del p["weight"]
    held = solve_equilibrium(**p, adjustment="additive", tolerance=1e-10)
    torch.testing.assert_close(held, truth, rtol=1e-7, atol=1e-7)


def test_a_warm_start_saves_iterations():
    p = problem(12, 12, 4)
    solution, cold = solve_penalised(**p)
    _, warm = solve_penalised(**p, warm_start=solution)
    assert bool(warm.warm.all()) and warm.iterations < cold.iterations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.ones(1, 1, 3, 3, dtype=torch.float64)}, "weight is"),
        ({"weight": -torch.ones(1, 1, 4, 4, dtype=torch.float64)}, ">= 0"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        solve_penalised(**{**problem(4, 4, 2), **change})


def test_slopes_are_for_the_additive_adjustment():
    p = problem(4, 4, 2)
    del p["weight"]
    with pytest.raises(ValueError, match="additive"):
        solve_equilibrium(**p, adjustment="multiplicative")


def test_planes_are_planar_and_steps_are_not():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    depth = (2 + 0.01 * x + 0.02 * y)[None, None].double()
    gv, gh = planarity(depth, 4)
    assert gv.shape == (1, 1, 63, 96) and gh.shape == (1, 1, 64, 95)
    assert float(gv.min()) > 0.999 and float(gh.min()) > 0.999
    depth[..., 48:] += 1
    gv, gh = planarity(depth, 4)
    assert float(gh[..., 47].max()) < 1e-2
    assert float(gh[..., :40].min()) > 0.999 and float(gv[..., :40].min()) > 0.999
