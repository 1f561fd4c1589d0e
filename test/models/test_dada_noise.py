"""Diffusion of the correction and the data term: texture and noise that do not reach the depth."""

import numpy as np
import pytest
import torch

from depth_sr_ros.models import create_model
from depth_sr_ros.resize import block_mean


def floor(scale, tiles=True):
    """A floor at 1 to 5 m, exact, and a guide with tiles painted on it."""
    height, width = 48 * scale, 64 * scale
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width - 0.5
    depth = 1 / (0.2 + 0.8 * y[:, None] + 0.03 * x[None])
    tile = (np.floor(x[None] * depth * 4) + np.floor(depth / 0.3)) % 2 if tiles else np.zeros_like(depth)
    guide = np.where(tile[None] > 0, 0.8, 0.2) * np.ones((3, 1, 1))
    return torch.from_numpy(depth[None, None]).float(), torch.from_numpy(guide[None]).float()


def rms_mm(output, truth):
    return 1000 * float((output - truth)[..., 16:-16, 16:-16].square().mean().sqrt())


def test_texture_is_not_printed_into_a_plane():
    truth, guide = floor(4)
    depth_lr = block_mean(truth, 4)
    with torch.inference_mode():
        outputs = {c: create_model("dada_rgb", 4, correction=c).eval()(depth_lr, guide) for c in (True, False)}
    errors = {correction: rms_mm(output, truth) for correction, output in outputs.items()}
    assert errors[True] < 1 < 5 < errors[False]


def test_noise_that_is_told_is_averaged_out():
    truth, guide = floor(4, tiles=False)
    exact = block_mean(truth, 4)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(exact.shape)).float()
    model = create_model("dada_rgb", 4).eval()
    with torch.inference_mode():
        noisy = exact * (1 + 0.01 * noise)
        told, held = (rms_mm(model(noisy, guide, sigma), truth) for sigma in (0.01 * exact, None))
        clean, same = model(exact, guide, torch.zeros_like(exact)), model(exact, guide)
    assert told < 0.7 * held
    assert torch.equal(clean, same)


def test_sigma_is_refused_where_readings_are_held_to_in_another_way():
    depth, guide = torch.ones(1, 1, 6, 8), torch.full((1, 3, 48, 64), 0.5)
    for options in ({"lr_kernel": "bicubic"}, {"adjustment": "multiplicative"}):
        model = create_model("dada_rgb", 8, **options).eval()
        with pytest.raises(ValueError, match="sigma"):
            model(depth, guide, torch.ones_like(depth))
