"""Equivariant DSRNet: the shared tests, and what it promises of shifts, scales, constants and far pixels."""

from __future__ import annotations

import contextlib

import pytest
import torch
from base_model_tester import BaseModelTester

from depth_sr_ros.models import ResidualNetwork, create_model
from depth_sr_ros.models.equivariant import DifferenceConv, power_of_two_extent

OPTIONS = {"equivariant": True, "width": 8, "width_lr": 8, "units": 2}
DTYPES = [None, torch.bfloat16]
REACH = 26  # LR pixels: more than the receptive field of OPTIONS at x4


class TestEquivariantDSRNet(BaseModelTester):
    name = "dsrnet"
    options = OPTIONS


def network(scale: int = 4, **options) -> ResidualNetwork:
    """Random, with a detail as large as the depth itself, so that an error in it shows."""
    torch.manual_seed(0)
    model = create_model("dsrnet", scale, "lite", **(OPTIONS | options)).eval()
    with torch.no_grad():
        model.head[-1].weight.mul_(100)
    return model


def scene(height: int = 12, width: int = 14) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth of 2 to 3 m and sigma."""
    generator = torch.Generator().manual_seed(1)
    depth = 2 + torch.rand(2, 1, height, width, generator=generator)
    return depth, 0.02 * torch.rand(2, 1, height, width, generator=generator)


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request):
    """None for float32, else what to autocast to; inference mode in any case."""
    cast = torch.autocast("cpu", dtype=request.param) if request.param else contextlib.nullcontext()
    with torch.inference_mode(), cast:
        yield request.param


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_constant_comes_out_exactly(dtype, scale):
    flat = torch.full((1, 1, 10, 12), 2.345)
    assert (network(scale)(flat) - flat[..., :1, :1]).abs().max() < 1e-6
    # the learned part is exactly 0, wherever the constant lies
    assert not network(scale).detail(1000 * flat, None).any()


def test_it_follows_shifts(dtype):
    model, (depth, sigma) = network(), scene()
    depth = (depth * 1024).round() / 1024  # such that the shifted depth is exact
    moved = model(depth + 4, sigma=sigma) - 4
    assert (moved - model(depth, sigma=sigma)).abs().max() < (2e-5 if dtype is None else 2e-3)


def test_it_follows_scales(dtype):
    model, (depth, sigma) = network(), scene()
    expected = model(depth, sigma=sigma)
    assert torch.equal(model(depth * 1024, sigma=sigma * 1024), expected * 1024)  # a power of two changes no rounding
    error = model(depth * 1000, sigma=sigma * 1000) - expected * 1000
    assert error.abs().max() < (0.02 if dtype is None else 20)


@pytest.mark.parametrize("far", [65.0, 1e10])
def test_a_far_pixel_changes_nothing_outside_the_receptive_field(dtype, far):
    model, (depth, sigma) = network(), scene(8, 40)
    hot = depth.clone()
    hot[:, :, 4, 3] = far
    expected, output = model(depth, sigma=sigma), model(hot, sigma=sigma)
    assert torch.isfinite(output).all()
    assert not torch.equal(output[..., :16], expected[..., :16])
    torch.testing.assert_close(output[..., 4 * (3 + REACH) :], expected[..., 4 * (3 + REACH) :], rtol=0, atol=1e-6)


def test_a_part_is_like_the_whole(dtype):
    model, (depth, sigma) = network(), scene(8, 70)
    whole = model(depth, sigma=sigma)[..., : 4 * 20]
    part = model(depth[..., : 20 + REACH], sigma=sigma[..., : 20 + REACH])[..., : 4 * 20]
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-6 if dtype is None else 1e-3)


def test_sigma_matters_and_none_is_zero():
    model, (depth, sigma) = network(), scene()
    with torch.inference_mode():
        clean = model(depth)
        assert torch.equal(model(depth, sigma=torch.zeros_like(depth)), clean)
        assert (model(depth, sigma=sigma) - clean).abs().max() > 1e-3
        assert torch.equal(model(depth, sigma=torch.tensor(0.01)), model(depth, sigma=torch.full_like(depth, 0.01)))


def test_sigma_of_a_wrong_shape_or_for_another_network_is_refused():
    depth, sigma = scene()
    with pytest.raises(ValueError, match="sigma to expand"):
        network()(depth, sigma=sigma[..., 1:])
    with pytest.raises(ValueError, match="takes no sigma"):
        create_model("dsrnet", 4)(depth, sigma=sigma)


def test_no_convolution_has_a_bias():
    assert not [name for name, _ in network().named_parameters() if name.endswith("bias")]


def test_filters_of_depth_sum_to_zero_in_effect():
    torch.manual_seed(0)
    layer = DifferenceConv(5)
    layer.start_larger()
    depth = torch.randn(1, 1, 6, 7)
    outer = layer.weight[:, :8, 0, 0]
    filters = torch.cat([outer[:, :4], -outer.sum(1, keepdim=True), outer[:, 4:]], dim=1).view(5, 1, 3, 3)
    padded = torch.nn.functional.pad(depth, (1, 1, 1, 1), mode="replicate")
    torch.testing.assert_close(layer(depth), torch.nn.functional.conv2d(padded, filters), rtol=1e-4, atol=1e-5)
    sigma = torch.rand(1, 1, 6, 7)
    torch.testing.assert_close(layer(depth, sigma) - layer(depth), sigma * layer.weight[:, 8:].view(1, 5, 1, 1))


def test_the_extent_is_a_power_of_two_of_each_sample():
    depth = torch.tensor([[0.0, 3.0], [5.0, 5.0], [0.0, 1e10], [0.0, 2e-9]]).view(4, 1, 1, 2)
    extent = power_of_two_extent(depth).flatten()
    assert torch.equal(torch.frexp(extent).mantissa, torch.full((4,), 0.5))
    assert extent[:2].tolist() == [4.0, 2.0] and 1e10 <= extent[2] <= 2e10
