"""DSRNet: the shared tests, its building blocks, and its two sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from base_model_tester import BaseModelTester
from torch import nn

from depth_sr_ros.models import create_model
from depth_sr_ros.models.blocks import Down, DownProjection, PReLU, Up, UpProjection, pixels_per_row
from depth_sr_ros.models.dsrnet import DSRNet


class TestDSRNet(BaseModelTester):
    name = "dsrnet"


class TestPaperSize(TestDSRNet):
    size = "paper"
    scales = (2, 4)
    smallest = (4, 6)


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_paper_size_has_the_paper_s_parts(scale):
    model = DSRNet(scale, "paper")
    assert len(model.up) == 5 and len(model.down) == 4 and model.width == 64
    kernels = {tuple(m.kernel_size) for m in model.modules() if isinstance(m, nn.ConvTranspose2d)}
    assert kernels == {(scale + 4, scale + 4)}
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_lite_is_much_smaller():
    parameters = {s: sum(p.numel() for p in DSRNet(4, s).parameters()) for s in ("paper", "lite")}
    assert parameters["lite"] < parameters["paper"] / 10


def test_every_feature_map_counts_and_the_output_is_the_head_of_the_last():
    model = DSRNet(4, "lite").eval()
    depth = torch.rand(1, 1, 8, 10)
    with torch.inference_mode():
        features = model.features(depth)
        assert [f.shape for f in features] == [(1, 16, 32, 40)] * 3
        assert torch.equal(model.detail(depth, None), model.head(features[-1]))


def test_constant_depth_stays_finite_and_flat_at_the_start():
    with torch.inference_mode():
        output = DSRNet(2, "lite").eval()(torch.full((1, 1, 8, 8), 1.5))
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("options", [{"units": 0}, {"width": 0}, {"lr_blocks": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="positive widths"):
        create_model("dsrnet", 4, "lite", **options)


def test_prelu_is_torch_s_in_training_and_in_inference():
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    ours, theirs = PReLU(3), nn.PReLU(3)
    with torch.no_grad():
        slope = torch.tensor([0.1, -0.3, 1.2])
        ours.weight.copy_(slope)
        theirs.weight.copy_(slope)
    weight = torch.randn(2, 3, 5, 5)
    gradients = []
    for layer in (ours, theirs):
        x.grad = None
        (layer(x) * weight).sum().backward()
        gradients.append((x.grad.clone(), layer.weight.grad.clone()))
    torch.testing.assert_close(gradients[0], gradients[1])
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=["channels-last", "contiguous"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(1, 16, 8, 6), (1, 16, 5, 7), (2, 24, 8, 6), (1, 24, 3, 5), (1, 16, 1, 1)])
def test_prelu_in_inference_is_torch_s_whatever_the_type_and_the_shape(shape, dtype, memory):
    x = torch.randn(shape).to(dtype).to(memory_format=memory)
    ours = PReLU(shape[1])
    slopes = torch.linspace(-0.5, 1.5, shape[1])
    with torch.inference_mode():
        ours.weight.copy_(slopes)
        result = ours(x)
    assert result.dtype == dtype and result.is_contiguous(memory_format=memory)
    assert torch.equal(result, torch.nn.functional.prelu(x, slopes.to(dtype)))


def test_prelu_groups_pixels_of_half_types_only_where_that_fills_vectors():
    def pixels(channels: int, side: int, dtype=torch.bfloat16, memory=torch.channels_last) -> int:
        return pixels_per_row(torch.zeros(1, channels, side, side, dtype=dtype).to(memory_format=memory))

    assert [pixels(channels, 8) for channels in (8, 16, 24, 32, 48, 64)] == [4, 2, 4, 1, 2, 1]
    assert pixels(16, 8, dtype=torch.float32) == 1
    assert pixels(16, 8, memory=torch.contiguous_format) == 1


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_transposed_convolution_is_a_convolution_and_a_pixel_shuffle(scale):
    """Kernel s + 4, stride s, padding 2 == 3x3 at LR + shuffle."""
    torch.manual_seed(0)
    up = Up(2, 3, scale)[0]
    x = torch.randn(1, 2, 5, 6)
    weight = torch.zeros(3, scale, scale, 2, 3, 3)
    for phase in range(scale):
        for tap in range(3):
            k = phase + 2 + (1 - tap) * scale
            if 0 <= k < scale + 4:
                for phase_x in range(scale):
                    for tap_x in range(3):
                        kx = phase_x + 2 + (1 - tap_x) * scale
                        if 0 <= kx < scale + 4:
                            weight[:, phase, phase_x, :, tap, tap_x] = up.weight[:, :, k, kx].T
    bias = up.bias.repeat_interleave(scale * scale)
    shuffled = F.pixel_shuffle(F.conv2d(x, weight.reshape(-1, 2, 3, 3), bias, padding=1), scale)
    torch.testing.assert_close(up(x), shuffled, atol=1e-5, rtol=1e-5)


def test_projection_units_follow_dbpn():
    up, down = UpProjection(4, 3, 2), DownProjection(3, 4, 2)
    low, high = torch.randn(1, 4, 6, 7), torch.randn(1, 3, 12, 14)
    first = up.up(low)
    torch.testing.assert_close(up(low), first + up.up_residual(up.back(first) - low))
    back = down.down(high)
    torch.testing.assert_close(down(high), back + down.down_residual(down.back(back) - high))
    assert Down(3, 4, 8)(torch.randn(1, 3, 40, 56)).shape == (1, 4, 5, 7)
