"""The noise of depth on its way to a network: estimated, none, a number or a map; other networks do without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth_sr_ros.inference.noise import checked_sigma, estimate_sigma
from depth_sr_ros.inference.pipeline import Pipeline
from depth_sr_ros.inference.settings import Settings
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights

OPTIONS = {"equivariant": True, "width": 4, "width_lr": 4, "units": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """A random network to which sigma matters."""
    torch.manual_seed(0)
    model = create_model("dsrnet", 4, "lite", **OPTIONS)
    with torch.no_grad():
        model.head[-1].weight.mul_(100)
    card = ModelCard(
        method="dsrnet",
        scale=4,
        size="lite",
        options=OPTIONS,
        data="none",
        lr_kernel="none",
        steps=0,
        date="2026-01-01",
    )
    return str(save_weights(model, tmp_path_factory.mktemp("weights") / "random.safetensors", card))


@pytest.fixture
def depth() -> np.ndarray:
    """A floor from 1 to 4 m with noise of 20 mm."""
    y, x = np.mgrid[:40, :56]
    floor = 1 / (0.25 + 0.75 * (y + 0.5) / 40 + 0.0005 * x)
    return (floor + 0.02 * np.random.default_rng(0).standard_normal(floor.shape)).astype(np.float32)


def upsampler(weights: str, **options) -> DepthUpsampler:
    return DepthUpsampler("dsrnet", 4, weights=weights, device="cpu", precision="float32", **options)


def test_none_is_estimated_from_the_frame(weights, depth):
    told = upsampler(weights)
    assert told.takes_sigma
    estimated = told.upsample(depth)
    assert np.array_equal(estimated, told.upsample(depth, sigma=estimate_sigma(depth)))
    assert np.abs(estimated - told.upsample(depth, sigma=0.0)).max() > 1e-3


def test_a_number_is_a_constant_map_and_each_frame_may_have_its_own(weights, depth):
    told = upsampler(weights, sigma=0.02)
    output = told.upsample(depth)
    assert np.array_equal(output, told.upsample(depth, sigma=np.full(depth.shape, 0.02)))
    assert np.array_equal(output, upsampler(weights).upsample(depth, sigma=0.02))
    assert not np.array_equal(output, told.upsample(depth, sigma=0.1))


def test_unit_and_sigma_scale_together(weights, depth):
    told = upsampler(weights)
    millimetres = told.upsample(1000 * depth, sigma=20.0)
    np.testing.assert_allclose(millimetres, 1000 * told.upsample(depth, sigma=0.02), rtol=1e-4)


def test_tiles_get_their_part_of_it(weights, depth):
    sigma = 0.02 * depth
    whole = upsampler(weights).upsample(depth, sigma=sigma)
    np.testing.assert_allclose(upsampler(weights, tile=16).upsample(depth, sigma=sigma), whole, atol=1e-5)


def test_holes_do_not_matter_to_the_estimate(weights, depth):
    depth[10:14, 20:26] = np.nan
    output = upsampler(weights).upsample(depth)
    assert np.isnan(output).sum() == 16 * 24


def test_other_networks_do_without(depth):
    plain = DepthUpsampler("bicubic", 4, sigma=0.5)
    assert not plain.takes_sigma
    assert np.array_equal(plain.upsample(depth), DepthUpsampler("bicubic", 4).upsample(depth))


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, np.ones((3, 3)), np.ones(3)])
def test_an_impossible_sigma_is_refused(weights, depth, bad):
    with pytest.raises(ValueError, match="sigma must be"):
        upsampler(weights).upsample(depth, sigma=bad)


def test_checked_sigma_keeps_numbers_and_maps():
    assert checked_sigma(0.5).shape == () and checked_sigma(np.ones((2, 3)), (2, 3)).dtype == np.float32


def test_the_node_s_parameter_is_live_and_below_zero_estimates(weights):
    asked = {"mode": "single", "method_single": "dsrnet", "weights_single": weights}
    pipeline = Pipeline(Settings(**asked))
    assert pipeline.single is not None and pipeline.single.sigma is None
    for value, expected in ((0.0, 0.0), (0.02, 0.02), (-1.0, None)):
        changed = Settings(**asked, sigma=value)
        changed.check()
        assert pipeline.fits(changed)
        pipeline.adopt(changed)
        assert pipeline.single.sigma == expected
    with pytest.raises(ValueError, match="sigma must be between"):
        Settings(**asked, sigma=-2.0).check()
