"""BridgeNet: the shared tests, its two bridges by their equations, what is computed when, ablations, tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from base_model_tester import BaseModelTester
from torch import nn

from depth_sr_ros.inference.tiling import super_resolve_in_tiles
from depth_sr_ros.models import create_model
from depth_sr_ros.models.attention import ChannelAttention, Fusion, Pointwise, SpatialAttention
from depth_sr_ros.models.blocks import ResidualBlock, initialise
from depth_sr_ros.models.bridgenet import LAYOUTS, BridgeNet
from depth_sr_ros.models.bridges import Blur, ContentGuidanceBridge, HighFrequencyAttentionBridge
from depth_sr_ros.models.mdenet import CLIFF
from depth_sr_ros.resize import bicubic

ABLATIONS = ({"habdg": False}, {"cgbdg": False}, {"attention": False}, {"habdg": False, "cgbdg": False})


def network(size: str = "lite", scale: int = 4, **options) -> BridgeNet:
    torch.manual_seed(0)
    return create_model("bridgenet", scale, size, **options)


def pair(scale: int = 4, size: tuple[int, int] = (8, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    guide = torch.rand(1, 3, size[0] * scale, size[1] * scale, generator=generator)
    return torch.rand(1, 1, *size, generator=generator), guide


class TestBridgeNet(BaseModelTester):
    name = "bridgenet"
    depth_entries = 2

    def test_gradient_reaches_every_parameter(self):
        """From the output alone to all that `forward` computes, and from both tasks to all there is."""
        model = self.make(16).train()
        depth, guide = self.inputs(16, (4, 4))
        direction = torch.linspace(-1, 1, 64 * 64).reshape(1, 1, 64, 64)
        (model(depth, guide) * direction).sum().backward()
        reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert reached == {n for n, _ in model.named_parameters() if not n.startswith("estimation.")}
        super_resolved, estimate = model.estimate_both(depth, guide)
        ((super_resolved + estimate) * direction).sum().backward()
        assert all(p.grad.abs().sum() > 0 for p in model.parameters())


class TestPaperSize(TestBridgeNet):
    size = "paper"
    depth_entries = 1


# what is computed


@pytest.mark.parametrize("size", ["paper", "lite"])
def test_inference_leaves_the_estimation_out_and_the_result_is_training_s(size):
    model = network(size).eval()
    calls = []
    model.estimation.register_forward_hook(lambda *_: calls.append("estimation"))
    for bridge in model.estimation.bridges:
        bridge.register_forward_hook(lambda *_: calls.append("cgbdg"))
    depth, guide = pair()
    with torch.inference_mode():
        alone = model.super_resolve_normalised(depth, guide)
        assert not calls
        joint, estimate = model.estimate_both(depth, guide)
    assert calls.count("estimation") == 1 and calls.count("cgbdg") == len(model.estimation.bridges)
    assert torch.equal(alone, joint)
    assert estimate.shape == joint.shape and estimate.min() >= 0 and estimate.max() <= 1
    assert not torch.allclose(alone, bicubic(depth, scale=4), atol=1e-6)


def test_the_estimate_s_loss_trains_its_own_half_and_the_colour_encoder():
    model = network()
    model.estimate_both(*pair())[1].sum().backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"colour", "estimation"}


def test_the_tasks_share_the_colour_encoder_and_nothing_else():
    for options in ({}, {"habdg": False}):
        model = network(**options)
        names = {id(p): name for name, p in model.named_parameters()}
        dsr, mde = ({names[id(p)] for p in model.parameters_of(task)} for task in ("dsr", "mde"))
        colour = {n for n in names.values() if n.startswith("colour.")}
        assert dsr | mde == set(names.values())
        assert dsr & mde == (colour if model.habdg else set())


# ablations


@pytest.mark.parametrize("size", ["paper", "lite"])
def test_flags_take_parameters_out(size):
    whole = dict(network(size).named_parameters())
    without = {name: dict(network(size, **{name: False}).named_parameters()) for name in ("habdg", "cgbdg")}
    assert whole.keys() - without["habdg"].keys() == {n for n in whole if n.startswith("encoder.bridges.")}
    assert whole.keys() - without["cgbdg"].keys() == {n for n in whole if n.startswith("estimation.bridges.")}
    assert all(without[name].keys() < whole.keys() for name in without)
    plain = {n for n in dict(network(size, attention=False).named_parameters()) if n.startswith("encoder.bridges.")}
    assert plain == {f"encoder.bridges.{i}.mix.{kind}" for i in range(4) for kind in ("weight", "bias")}


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_flags_change_what_is_computed(options):
    """With all weights that both networks have equal."""
    whole, changed = network().eval(), network(**options).eval()
    own = whole.state_dict()
    shared = {k: own[k] for k, v in changed.state_dict().items() if k in own and own[k].shape == v.shape}
    changed.load_state_dict(shared, strict=False)
    depth, guide = pair()
    with torch.inference_mode():
        first, second = whole.estimate_both(depth, guide), changed.estimate_both(depth, guide)
        other_guide = changed(depth, 1 - guide)
    sees_colour = "habdg" not in options
    assert torch.equal(first[0], second[0]) == (options == {"cgbdg": False})
    assert torch.equal(first[1], second[1]) == (options == {})
    assert torch.equal(changed(depth, guide), other_guide) != sees_colour


def test_without_habdg_the_colour_encoder_does_not_run():
    model = network(habdg=False).eval()
    model.colour.register_forward_hook(lambda *_: pytest.fail("the colour encoder ran"))
    model(*pair())


def test_plain_concatenation_needs_the_bridge():
    with pytest.raises(ValueError, match="habdg=True"):
        network(habdg=False, attention=False)


# the parts, by their equations


def gates(own: torch.Tensor, other: torch.Tensor, part: Fusion) -> torch.Tensor:
    """Eqs. 6 and 7 with the global channel attention."""
    x = torch.cat([own, other], 1)
    first, slope, second = part.channel.mlp

    def mlp(v):
        hidden = v @ first.weight[:, :, 0, 0].T + first.bias
        hidden = torch.where(hidden > 0, hidden, slope.weight * hidden)
        return hidden @ second.weight[:, :, 0, 0].T + second.bias

    gate = torch.sigmoid(mlp(x.mean((2, 3))) + mlp(x.flatten(2).max(2).values))[..., None, None]
    x = F.conv2d(x * (1 + gate), part.mix.weight, part.mix.bias)
    seen = torch.stack([x.mean(1), x.max(1).values], 1)
    return x * (1 + torch.sigmoid(F.conv2d(seen, part.spatial.conv.weight, part.spatial.conv.bias, padding=3)))


def test_habdg_follows_eqs_3_to_7():
    torch.manual_seed(0)
    bridge = HighFrequencyAttentionBridge(4, 6).eval()
    depth, colour = torch.randn(2, 4, 8, 12), torch.randn(2, 6, 8, 12)
    with torch.no_grad():
        deconv = bridge.blur.deconv
        blurred = F.conv_transpose2d(F.avg_pool2d(colour, 4), deconv.weight, deconv.bias, stride=4, padding=2)
        high = F.prelu(colour - blurred, bridge.prelu.weight)
        guidance = colour + high * colour
        torch.testing.assert_close(bridge(depth, colour), gates(depth, guidance, bridge.fusion))


def test_cgbdg_follows_eqs_8_to_11():
    torch.manual_seed(0)
    bridge = ContentGuidanceBridge(3, 5).eval()
    estimate, depth = torch.randn(2, 3, 8, 12), torch.randn(2, 5, 8, 12)
    with torch.no_grad():
        difference = F.conv2d(depth, bridge.map_dsr.weight, bridge.map_dsr.bias) - F.conv2d(
            estimate, bridge.map_mde.weight, bridge.map_mde.bias
        )
        weight = F.conv2d(difference, bridge.difference.weight, bridge.difference.bias).softmax(1)
        torch.testing.assert_close(weight.sum(1), torch.ones(2, 8, 12))
        expected = gates(estimate, depth + weight * depth, bridge.fusion)
        torch.testing.assert_close(bridge(estimate, depth), expected)


def test_cliff_multiplies_and_selects():
    torch.manual_seed(0)
    part = CLIFF(3)
    low, high = torch.randn(1, 3, 8, 8), torch.randn(1, 3, 4, 4)
    large = F.interpolate(high, size=(8, 8), mode="bilinear", align_corners=False)
    refined = part.refine(torch.cat([low, low * large], 1))
    torch.testing.assert_close(part(low, high), part.select(torch.cat([large, refined], 1)) + large)


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (2, 2)])
def test_blur_starts_as_a_bilinear_enlargement_of_the_cells_means(factored, size):
    blur = Blur(3, factored)
    blur.start()
    x = torch.randn(1, 3, *size)
    result = blur(x)
    assert result.shape == x.shape
    if size == (8, 12):
        expected = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bilinear")
        torch.testing.assert_close(result[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])
    constant = blur(torch.ones(1, 3, 16, 16))[..., 2:-2, 2:-2]
    torch.testing.assert_close(constant, torch.ones_like(constant))


@pytest.mark.parametrize("light", [False, True])
def test_a_bridge_starts_near_a_pass_through_of_depth(light):
    torch.manual_seed(0)
    bridge = HighFrequencyAttentionBridge(8, 8, light=light)
    initialise(bridge)
    bridge.start()
    depth, colour = torch.randn(1, 8, 32, 32), torch.randn(1, 8, 32, 32)
    with torch.inference_mode():
        kept = bridge(depth, torch.zeros_like(colour))
        guided = bridge(depth, colour)
    assert np.corrcoef(kept.flatten(), depth.flatten())[0, 1] > 0.97
    assert 0.8 < kept.std() / depth.std() < 1.3
    assert 0.1 < (guided - kept).std() < 1


def test_local_attention_does_not_depend_on_how_much_is_shown():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 16, 16)
    for local in (True, False):
        attention = ChannelAttention(8, local)
        assert torch.allclose(attention(x)[..., :8], attention(x[..., :8]), atol=1e-6) == local
    assert SpatialAttention()(x).shape == x.shape


def test_a_pointwise_convolution_is_one_in_any_memory_layout():
    part = Pointwise(5, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 5, 4, 6).contiguous(memory_format=layout)
        torch.testing.assert_close(part(x), F.conv2d(x, part.weight, part.bias))


# sizes


def test_paper_size_has_the_paper_s_parts():
    model = network("paper")
    kinds = [type(m) for m in model.modules()]
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [sum(isinstance(m, ResidualBlock) for m in stack) for stack in model.encoder.blocks] == [1, 4, 4, 4]
    assert all(isinstance(step[0], nn.MaxPool2d) for step in model.encoder.halve)
    assert len(model.top.long_skip) == 3
    assert all([type(m) for m in part[1].modules()] == [nn.MaxPool2d] for part in model.top.long_skip)
    assert all(isinstance(module[1], nn.PixelShuffle) for module in model.decoder.up) and len(model.decoder.up) == 3
    assert model.head[0].kernel_size == (1, 1)
    assert kinds.count(HighFrequencyAttentionBridge) == 4 and kinds.count(ContentGuidanceBridge) == 3
    assert len(model.estimation.fuse) == 3


def test_lite_is_much_smaller():
    parameters = {size: sum(p.numel() for p in network(size).parameters()) for size in LAYOUTS}
    assert parameters["lite"] < parameters["paper"] / 8


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_lite_sees_depth_at_its_own_resolution(scale):
    model = network(scale=scale).eval()
    seen = []
    model.encoder.low.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    depth, guide = pair(scale)
    with torch.inference_mode():
        model.super_resolve_normalised(depth, guide)
    ((given, features),) = seen
    assert torch.equal(given, depth - 0.5)
    assert features.shape[-2:] == depth.shape[-2:]


def test_what_only_colour_can_tell_reaches_the_output():
    """Two scenes with the same LR depth, whose edges lie at different pixels of one LR cell: colour says where."""
    model = network(scale=8).train()
    columns = torch.arange(64.0)
    truth = torch.stack([(columns >= edge).float().expand(1, 16, 64) for edge in (29, 35)])
    depth = bicubic(truth.mean(0, keepdim=True), scale=1 / 8).expand(2, -1, -1, -1)
    guide = (0.7 * truth + 0.1).expand(-1, 3, -1, -1)
    blind = (truth[0] - truth[1]).abs().mean() / 2  # the least error that a network blind to colour can have
    optimiser = torch.optim.Adam(model.parameters_of("dsr"), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 100)
    for _ in range(100):
        optimiser.zero_grad()
        error = (model.super_resolve_normalised(depth, guide) - truth).abs().mean()
        error.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    interpolated = (bicubic(depth, scale=8) - truth).abs().mean()
    assert error < 0.2 * blind < 0.2 * interpolated


# tiles


@pytest.mark.parametrize("scale", [4, 8, 16])
def test_tiles_of_lite_are_the_whole_frame(scale):
    model = network(scale=scale).eval()
    with torch.no_grad():
        model.head[0].weight.mul_(100)  # as large as a trained network's
    depth, guide = pair(scale, (72 // scale, 1200 // scale))
    with torch.inference_mode():
        whole = model(depth, guide)
        tiled = super_resolve_in_tiles(model, depth, guide, tile=400 // scale)
    detail = (whole - bicubic(depth, scale=scale)).abs()
    assert float(detail.mean()) > 0.05
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-3)
