"""CTKT's training-time networks: DENet, SPNet, side outputs, affinity."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from depth_sr_ros.models.affinity import affinity
from depth_sr_ros.models.denet import DENet
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.models.spnet import SideOutputs, SPNet


@pytest.mark.parametrize("sees_depth", [False, True])
@pytest.mark.parametrize("size", ["paper", "lite"])
def test_denet_matches_dsrnet_s_features_and_sizes(size, sees_depth):
    dsr = DSRNet(2, size)
    net = DENet(size, dsr.width, dsr.units, sees_depth)
    guide = torch.rand(2, 3, 18, 26)  # not multiples of the stride
    hint = net.hint(torch.rand(2, 1, 9, 13), 2)
    assert (hint is not None) == sees_depth
    ours, theirs = net.features(guide, hint), dsr.features(torch.rand(2, 1, 9, 13))
    assert [f.shape for f in ours] == [f.shape for f in theirs]
    output = net(guide, hint)
    assert output.shape == (2, 1, 18, 26)
    if not sees_depth:
        assert output.min() >= 0 and output.max() <= 1
    output.square().sum().backward()
    trunk = [n for n, p in net.named_parameters() if p.grad is None and not n.startswith("up.")]
    assert not trunk, f"no gradient reaches {trunk}"


def test_denet_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="sizes"):
        DENet("large")
    with pytest.raises(ValueError, match="guide of shape"):
        DENet()(torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match="depth_up"):
        DENet()(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match="does not match"):
        DENet(sees_depth=True)(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 4))


def test_spnet_fuses_by_equations_7_to_9():
    torch.manual_seed(0)
    net = SPNet(width=4)
    sr, de = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    error_sr, error_de = torch.randn(1, 1, 6, 6), torch.randn(1, 1, 6, 6)
    fused = net.fuse(sr, de, error_sr, error_de)
    for channel in range(4):
        for part, conv, error, features in (
            (0, net.uncertainty_sr, error_sr, sr),
            (4, net.uncertainty_de, error_de, de),
        ):
            uncertainty = 1 / (1 + torch.exp(-(conv.weight[channel, 0, 0, 0] * error[0, 0] + conv.bias[channel])))
            torch.testing.assert_close(fused[0, part + channel], features[0, channel] * (1 + uncertainty))
    layers = [type(layer) for layer in net.structure]
    assert layers == [nn.Conv2d, nn.ReLU] * 5 + [nn.Conv2d]
    assert net(sr, de, error_sr, error_de).shape == (1, 1, 6, 6)


def test_side_outputs_are_two_convolutions_each():
    sides = SideOutputs(width=4, units=3)
    assert len(sides) == 3
    assert all(sum(isinstance(m, nn.Conv2d) for m in side.modules()) == 2 for side in sides)
    assert sides[0](torch.randn(2, 4, 5, 5)).shape == (2, 1, 5, 5)


def test_affinity_is_equation_4():
    features = torch.randn(2, 3, 4, 5)
    naive = torch.empty(2, 20, 20)
    for b in range(2):
        pixels = [features[b, :, y, x] for y in range(4) for x in range(5)]
        for i, one in enumerate(pixels):
            scores = torch.stack([one @ other for other in pixels])
            naive[b, i] = scores.exp() / scores.exp().sum()
    torch.testing.assert_close(affinity(features), naive)
    torch.testing.assert_close(affinity(features, pool=8), naive)  # smaller than the grid: nothing is pooled


def test_pooled_affinity_is_that_of_block_means():
    features = torch.randn(1, 3, 12, 12)
    blocks = features.reshape(1, 3, 4, 3, 4, 3).mean(dim=(3, 5))
    torch.testing.assert_close(affinity(features, pool=4), affinity(blocks))
    assert affinity(torch.randn(1, 2, 64, 64), pool=16).shape == (1, 256, 256)


def test_a_fresh_spnet_passes_little_gradient_on():
    """Step 2 starts with what DSRNet has learnt, not with the noise of a random network."""
    torch.manual_seed(0)
    net, features = SPNet(width=16), torch.randn(1, 16, 24, 24, requires_grad=True)
    error = torch.randn(1, 1, 24, 24)
    (net(features, features.detach(), error, error) - 0.5).abs().mean().backward()
    seen = features.grad.abs().mean().item()
    direct = 1 / features[:, 0].numel()  # of L1 on one of the channels
    assert 0 < seen < 0.05 * direct
