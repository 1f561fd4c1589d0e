"""The losses against plain loops over pixels."""

from __future__ import annotations

import numpy as np
import torch

from training import losses


def pair(seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(2, 1, 7, 8, generator=g), torch.rand(2, 1, 7, 8, generator=g)


def test_l1_leaves_invalid_pixels_out():
    a, b = pair()
    valid = torch.rand(2, 1, 7, 8) > 0.4
    expected = np.abs(a.numpy() - b.numpy())[valid.numpy()].mean()
    assert np.isclose(losses.l1_loss(a, b, valid).item(), expected)
    a[~valid] = 1e6
    assert np.isclose(losses.l1_loss(a, b, valid).item(), expected)


def test_l1_of_nothing_is_zero_with_a_zero_gradient():
    a = torch.rand(1, 1, 4, 4, requires_grad=True)
    loss = losses.l1_loss(a, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and not a.grad.any()


def test_what_lies_within_the_tolerance_counts_a_fifth():
    target = torch.zeros(2, 1, 1, 3)
    error = torch.tensor([[0.1, -0.2, 0.6], [0.1, 0.2, -1.0]]).view(2, 1, 1, 3)
    valid = torch.tensor([True, True, True, True, True, False]).view(2, 1, 1, 3)
    tolerance = torch.tensor([0.2, 0.1]).view(2, 1, 1, 1)
    expected = (0.02 + 0.04 + (0.04 + 0.4) + 0.02 + (0.02 + 0.1)) / 5
    loss = losses.tolerant_l1_loss(error, target, valid, tolerance)
    assert np.isclose(loss.item(), expected)
    none = torch.zeros(2, 1, 1, 1)
    assert np.isclose(losses.tolerant_l1_loss(error, target, valid, none).item(), 0.24)


def test_dissimilarity_is_the_3x3_mean_window_form():
    a, b = pair()
    ours = losses.dissimilarity(a, b)
    for y in range(5):
        for x in range(6):
            p, q = a[0, 0, y : y + 3, x : x + 3].double(), b[0, 0, y : y + 3, x : x + 3].double()
            covariance = ((p - p.mean()) * (q - q.mean())).mean()
            ssim = ((2 * p.mean() * q.mean() + 1e-4) * (2 * covariance + 9e-4)) / (
                (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var(correction=0) + q.var(correction=0) + 9e-4)
            )
            assert abs(ours[0, 0, y, x].item() - min(max((1 - ssim.item()) / 2, 0), 1)) < 1e-5


def test_depth_estimation_loss_is_equation_11():
    a, b = pair()
    valid = torch.ones(2, 1, 7, 8, dtype=torch.bool)
    expected = 0.2 * losses.dissimilarity(a, b).mean() + 0.8 * (a - b).abs().mean()
    torch.testing.assert_close(losses.depth_estimation_loss(a, b, valid, 0.2), expected)
    assert losses.depth_estimation_loss(a, a, valid) == 0


def test_structure_map_is_the_gradient_s_magnitude():
    depth, _ = pair()
    ours = losses.structure_map(depth)
    padded = np.pad(depth[0, 0].numpy(), 1, mode="edge")
    for y in range(7):
        for x in range(8):
            gy, gx = padded[y + 2, x + 1] - padded[y, x + 1], padded[y + 1, x + 2] - padded[y + 1, x]
            assert abs(ours[0, 0, y, x].item() - np.sqrt(gx**2 + gy**2 + 1e-6)) < 1e-6


def test_structure_loss_leaves_windows_with_invalid_pixels_out():
    depth = torch.rand(1, 1, 9, 9)
    valid = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    valid[0, 0, 4, 4] = False
    predicted = losses.structure_map(depth)
    depth[0, 0, 4, 4] = 1000.0
    assert losses.structure_loss(predicted, depth, valid).item() < 1e-6


def test_affinity_distillation_is_the_rows_l1_distance_and_does_not_vanish_with_the_grid():
    alike, apart = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    apart[:, :, :, :4] = 100.0  # each of these 32 pixels resembles those 32 alone: 1/32 instead of 1/64 each
    for pool in (2, 4, 8):  # a row of the left half is 1 away, one of the right half 0
        distance = losses.affinity_distillation([alike], [apart], torch.tensor([True, False]), pool)
        torch.testing.assert_close(distance, torch.tensor(0.5))
    assert losses.affinity_distillation([alike], [apart], torch.tensor([False, False]), 4) == 0
