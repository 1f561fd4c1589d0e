"""The paper's loop and coefficients against naive NumPy forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusion_scenes import make_problem

from depth_sr_ros.diffusion import diffuse_adjust, edge_coefficients
from depth_sr_ros.resize import block_mean


def naive_loop(depth, source, cv, ch, iterations, step):
    """Eqs. 1 and 3, pixel by pixel."""
    height, width = depth.shape
    scale = height // source.shape[0]
    for _ in range(iterations):
        diffused = depth.copy()
        for y in range(height):
            for x in range(width):
                if y > 0:
                    diffused[y, x] += step * cv[y - 1, x] * (depth[y - 1, x] - depth[y, x])
                if y < height - 1:
                    diffused[y, x] += step * cv[y, x] * (depth[y + 1, x] - depth[y, x])
                if x > 0:
                    diffused[y, x] += step * ch[y, x - 1] * (depth[y, x - 1] - depth[y, x])
                if x < width - 1:
                    diffused[y, x] += step * ch[y, x] * (depth[y, x + 1] - depth[y, x])
        depth = diffused
        for i in range(source.shape[0]):
            for j in range(source.shape[1]):
                cell = depth[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale]
                if not np.isnan(source[i, j]):
                    cell *= source[i, j] / cell.mean()
    return depth


@pytest.mark.parametrize("hole", [False, True])
def test_loop_is_the_papers(hole):
    problem = make_problem(4, cells=(2, 3), batch=2)
    if hole:
        problem.source[1, 0, 1, 2] = torch.nan
    result = diffuse_adjust(*problem, iterations=5, step=0.2)
    for sample in range(2):
        expected = naive_loop(*(t[sample, 0].numpy() for t in problem), 5, 0.2)
        np.testing.assert_allclose(result[sample, 0].numpy(), expected, rtol=1e-13)


def test_loop_leaves_its_input_and_keeps_the_source():
    problem = make_problem(4)
    before = problem.depth.clone()
    result = diffuse_adjust(*problem, iterations=50)
    assert torch.equal(problem.depth, before)
    torch.testing.assert_close(block_mean(result, 4), problem.source, rtol=1e-14, atol=0)


def test_loop_gradient():
    problem = make_problem(2, cells=(2, 2))
    inputs = [t.requires_grad_() for t in problem]
    assert torch.autograd.gradcheck(lambda *args: diffuse_adjust(*args, iterations=4), inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cv": torch.ones(1, 1, 16, 20)}, r"cv must be \(1, 1, 15, 20\)"),
        ({"ch": torch.ones(1, 1, 16, 20)}, r"ch must be \(1, 1, 16, 19\)"),
        ({"source": torch.ones(1, 1, 5, 5)}, "whole multiple"),
        ({"source": torch.ones(2, 1, 4, 5)}, "source must be"),
        ({"depth": torch.ones(16, 20)}, r"depth must be \(B, 1, H, W\)"),
    ],
)
def test_wrong_shapes(change, message):
    problem = make_problem(4, dtype=torch.float32)
    arguments = {"depth": problem.depth, "source": problem.source, "cv": problem.cv, "ch": problem.ch} | change
    with pytest.raises(ValueError, match=message):
        diffuse_adjust(**arguments, iterations=1)


def test_mixed_dtypes_and_bad_numbers():
    problem = make_problem(4)
    with pytest.raises(TypeError, match="float32"):
        diffuse_adjust(problem.depth, problem.source.float(), problem.cv, problem.ch, 1)
    with pytest.raises(ValueError, match="iterations"):
        diffuse_adjust(*problem, iterations=-1)
    with pytest.raises(ValueError, match="step"):
        diffuse_adjust(*problem, iterations=1, step=0.25)


def test_coefficients():
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    kappa = torch.tensor([0.1, 0.3], dtype=torch.float64)
    cv, ch = edge_coefficients(features, kappa)
    array = features.numpy()
    for sample in range(2):
        x = np.abs(array[sample, :, 1:] - array[sample, :, :-1]).mean(0)
        np.testing.assert_allclose(cv[sample, 0].numpy(), 1 / (1 + (x / kappa[sample].item()) ** 2), rtol=1e-14)
        x = np.abs(array[sample, :, :, 1:] - array[sample, :, :, :-1]).mean(0)
        np.testing.assert_allclose(ch[sample, 0].numpy(), 1 / (1 + (x / kappa[sample].item()) ** 2), rtol=1e-14)
    assert torch.equal(edge_coefficients(features, 0.1)[0][0], edge_coefficients(features[:1], 0.1)[0][0])
    inputs = (features.requires_grad_(), kappa.requires_grad_())
    assert torch.autograd.gradcheck(edge_coefficients, inputs)


def test_bad_coefficients():
    features = torch.rand(2, 3, 4, 5)
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError, match="kappa must be positive"):
            edge_coefficients(features, bad)
    with pytest.raises(ValueError, match="1 element or one per sample"):
        edge_coefficients(features, torch.ones(3))
    with pytest.raises(ValueError, match="features must be"):
        edge_coefficients(features[0], 0.1)
