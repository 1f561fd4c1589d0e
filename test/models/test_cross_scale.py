"""Cross-scale attention against the correlation matrices that it stands for, and its windows."""

from __future__ import annotations

import pytest
import torch

from depth_sr_ros.models.blocks import initialise
from depth_sr_ros.models.cross_scale import LEAST_DEVIATION, HighOrderCrossScaleAttention


def block(coarse: int = 3, fine: int = 5, ratio: int = 2, window: int = 4) -> HighOrderCrossScaleAttention:
    torch.manual_seed(0)
    return HighOrderCrossScaleAttention(coarse, fine, ratio, window, mixtures=2).double()


def maps(height: int, width: int, coarse: int = 3, fine: int = 5, ratio: int = 2):
    g = torch.Generator().manual_seed(1)
    shapes = (1, coarse, height, width), (1, fine, height * ratio, width * ratio)
    return tuple(torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes)


def covariance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(C, C') of two maps (C, h, w) and (C', h, w)."""
    x, y = (m.flatten(1) - m.flatten(1).mean(dim=1, keepdim=True) for m in (x, y))
    return x @ y.T / x.shape[1]


def naive(x: torch.Tensor, parts: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Mixed columns of the whole covariance matrices of x (C, h, w) with each (partner, W), as correlations."""
    rows = []
    deviation = (covariance(x, x).diagonal() + LEAST_DEVIATION**2).sqrt()
    for partner, weight in parts:
        mixed = covariance(x, partner) @ weight.T  # (C, mixtures)
        variance = (weight @ covariance(partner, partner) @ weight.T).diagonal()
        rows.append((mixed / deviation[:, None] / (variance + LEAST_DEVIATION**2).sqrt()).T)
    return torch.cat(rows).flatten()


def partners(attention, coarse: torch.Tensor, fine: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(coarse, attention.mix_coarse.weight.flatten(1)), (fine, attention.mix_fine.weight.flatten(1))]


@pytest.mark.parametrize("ratio", [2, 4])
def test_in_scale_and_cross_scale_correlations_are_those_of_the_full_matrices(ratio):
    """7 x 9 pixels in windows of 4: four whole windows and five cut ones."""
    attention, window = block(ratio=ratio), 4
    coarse, fine = maps(7, 9, ratio=ratio)
    pooled = torch.nn.functional.avg_pool2d(fine, ratio)
    mixed = torch.cat([attention.mix_coarse(coarse), attention.mix_fine(pooled)], dim=1)
    for features in (coarse, pooled):
        found = attention.correlations(features, mixed)[0]
        assert found.shape[1:] == (2, 3)
        for row in range(2):
            for column in range(3):
                cut = slice(row * window, (row + 1) * window), slice(column * window, (column + 1) * window)
                low, high, own = (m[0][(slice(None), *cut)] for m in (coarse, pooled, features))
                expected = naive(own, partners(attention, low, high))
                torch.testing.assert_close(found[:, row, column], expected)


def test_gates_are_one_hidden_layer_on_the_correlations_in_float32_whatever_autocast_says():
    attention = block().float()
    coarse, fine = (m.float() for m in maps(8, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gates = attention.gates(coarse, fine)
    for found, exact in zip(gates, attention.gates(coarse, fine)):
        assert found.dtype == torch.float32 and torch.equal(found, exact)
        assert (found > 0).all() and (found < 2).all() and found.std() > 1e-3


def test_correlations_do_not_depend_on_the_features_offset_and_scale():
    attention = block()
    coarse, _ = maps(8, 8)
    mixed = attention.mix_coarse(coarse)
    first = attention.correlations(coarse, mixed)
    moved = attention.correlations(50 * coarse + 7, attention.mix_coarse(50 * coarse + 7))
    torch.testing.assert_close(moved, first, atol=1e-3, rtol=0)
    assert (first.abs() <= 1).all()
    flat = attention.correlations(torch.full_like(coarse, 3.0), mixed)
    torch.testing.assert_close(flat, torch.zeros_like(flat), atol=1e-6, rtol=0)


def test_in_a_window_s_middle_both_scales_get_that_window_s_gate():
    """An odd window has a pixel at its centre, where nothing is interpolated; ratio 3 keeps one on the fine grid."""
    attention = block(ratio=3, window=5)
    coarse, fine = maps(10, 5, ratio=3)
    out_coarse, out_fine = attention(coarse, fine)
    for_coarse, for_fine = attention.gates(coarse, fine)
    torch.testing.assert_close(out_coarse[0, :, 7, 2], coarse[0, :, 7, 2] * for_coarse[0, :, 1, 0])
    torch.testing.assert_close(out_fine[0, :, 7, 7], fine[0, :, 7, 7] * for_fine[0, :, 0, 0])


def test_each_scale_s_gates_see_the_other_scale():
    attention = block()
    coarse, fine = (m.requires_grad_() for m in maps(8, 8))
    for_coarse, for_fine = attention.gates(coarse, fine)
    (grad_fine,) = torch.autograd.grad(for_coarse.sum(), fine)
    (grad_coarse,) = torch.autograd.grad(for_fine.sum(), coarse)
    assert grad_fine.abs().sum() > 0 and grad_coarse.abs().sum() > 0


def test_starts_near_one():
    attention = block()
    initialise(attention)
    attention.shrink()
    for gate in attention.gates(*maps(8, 8)):
        torch.testing.assert_close(gate, torch.ones_like(gate), atol=0.05, rtol=0)
