"""DADA: the shared tests, its feature extractors, its prior, and what it does with holes and odd values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from base_model_tester import BaseModelTester

from depth_sr_ros.models import create_model
from depth_sr_ros.models.dada import DADA
from depth_sr_ros.models.dsrnet import DSRNet
from depth_sr_ros.models.equilibrium import fill_invalid, upsampled
from depth_sr_ros.models.unet import LiteUNet, ResNet50UNet, pad_to_multiple
from depth_sr_ros.resize import bicubic, block_mean

SMALL_PRIOR = {"size": "lite", "width": 4, "width_lr": 4, "units": 2}
WITH_PRIOR = {"prior": "dsrnet", "prior_options": SMALL_PRIOR}
SMALL_CSAN = {"widths": [4, 4, 4, 4], "blocks": [1, 1, 1], "attention": False}  # x8


class EquilibriumTester(BaseModelTester):
    scales = (2, 4, 8, 16)
    smallest = (6, 8)

    def test_export(self):
        pytest.skip("the solver's iterations depend on the data; the feature extractor's export is tested below")


class TestDADA(EquilibriumTester):
    name = "dada"


class TestDADAPaperSize(TestDADA):
    size = "paper"
    scales = (2, 4)
    smallest = (10, 12)  # the encoder halves them six times; batch norm needs more than one pixel in training


class TestDADAWithPrior(EquilibriumTester):
    name = "dada"
    scales = (2, 4)
    options = {**WITH_PRIOR, "train_prior": True}  # noqa: RUF012


class TestDADAWithTrust(EquilibriumTester):
    name = "dada"
    scales = (2, 4)
    options = {**WITH_PRIOR, "train_prior": True, "trust": "learned"}  # noqa: RUF012


class TestDadaRGB(EquilibriumTester):
    name = "dada_rgb"

    def test_any_integer_scale_up_to_32(self):
        for scale in (1, 3, 5, 32):
            depth, guide = self.inputs(scale, (3, 3))
            assert create_model("dada_rgb", scale)(depth, guide).shape == (1, 1, 3 * scale, 3 * scale)


def scene(scale: int = 8, height: int = 48, width: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A step in depth where the guide has one, off the LR grid: depth_lr, guide, truth."""
    truth = torch.full((1, 1, height, width), 2.0)
    truth[..., width // 2 + 3 :] = 1.0
    guide = torch.where(truth > 1.5, 0.2, 0.8).repeat(1, 3, 1, 1)
    return block_mean(truth, scale), guide, truth


def lite(scale: int = 8, **options) -> DADA:
    torch.manual_seed(0)
    return create_model("dada", scale, "lite", **options).eval()


@pytest.mark.parametrize("adjustment", ["multiplicative", "additive"])
def test_output_averages_to_the_input_and_ignores_holes(adjustment):
    depth, guide, _ = scene()
    depth[0, 0, 2, 3] = float("nan")
    with torch.inference_mode():
        output = lite(adjustment=adjustment)(depth, guide)
    assert torch.isfinite(output).all() and output.min() > 0.5 and output.max() < 2.5
    valid = torch.isfinite(depth)
    torch.testing.assert_close(block_mean(output, 8)[valid], depth[valid], rtol=1e-5, atol=1e-6)


def test_bicubic_lr_is_honoured_by_its_own_kernel():
    _, guide, truth = scene()
    depth = bicubic(truth, scale=1 / 8)
    assert depth.max() > 2.0  # bicubic overshoots: no block mean of the truth
    with torch.inference_mode():
        output = lite(lr_kernel="bicubic")(depth, guide)
        blocks = lite()(depth, guide)
        depth[0, 0, 2, 3] = float("nan")
        model = lite(lr_kernel="bicubic", tolerance=1e-5)
        problem = model.prepare(depth, guide)
        holed = model.seen_by_sensor(model.solve(problem)[0])
    held = depth.isfinite()
    read = torch.where(held, depth, model.seen_by_sensor(problem.start))  # in the hole, what the start would read
    torch.testing.assert_close(holed, read, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bicubic(output, scale=1 / 8)[held], depth[held], rtol=1e-4, atol=1e-4)
    assert (bicubic(blocks, scale=1 / 8)[held] - depth[held]).abs().max() > 1e-3


def test_a_sample_with_zeros_is_adjusted_additively_and_others_are_not():
    depth, guide, _ = scene()
    zeros = depth - depth.min()  # a disparity of 0 is a value, not a hole
    with torch.inference_mode():
        both = lite(adjustment="multiplicative")(torch.cat([depth, zeros]), guide.repeat(2, 1, 1, 1))
        alone = lite(adjustment="multiplicative")(depth, guide)
        additive = lite(adjustment="additive")(zeros, guide)
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both[1:], additive, rtol=1e-4, atol=1e-4)
    assert (alone - lite(adjustment="additive")(depth, guide)).abs().max() > 1e-5
    torch.testing.assert_close(block_mean(both[1:], 8), zeros, rtol=1e-5, atol=1e-5)


def test_samples_without_any_valid_cell_and_constant_ones_stay_finite():
    depth, guide, _ = scene()
    batch = torch.cat([torch.full_like(depth, float("nan")), torch.ones_like(depth), torch.zeros_like(depth)])
    with torch.inference_mode():
        output = lite()(batch, guide.repeat(3, 1, 1, 1))
    assert torch.isfinite(output).all()
    torch.testing.assert_close(output[1], torch.ones_like(output[1]), rtol=1e-4, atol=1e-4)


def test_solver_options_reach_the_solver():
    depth, guide, _ = scene()
    with torch.inference_mode():
        for model in (lite(tolerance=1e-5, max_iterations=500), lite(max_iterations=1)):
            output, info = model.solve(model.prepare(depth, guide))
            assert info.converged == (model.max_iterations > 1) and info.iterations <= model.max_iterations
            assert float(info.relative_residual.max()) < 1e-5 or not info.converged
        model = lite(tolerance=1e-4)
        problem = model.prepare(depth, guide)
        output, cold = model.solve(problem)
        _, warm = model.solve(problem._replace(start=output))
        _, short = model.solve(problem, max_iterations=2)
        _, hurried = model.solve(problem, time_budget_s=0.0)
    assert warm.iterations < cold.iterations
    assert short.iterations <= 2 and not short.converged
    assert hurried.iterations == 0 and not hurried.converged


@pytest.mark.parametrize(
    "options, message",
    [
        ({"prior": "denet"}, "expected None or one of csan, dsrnet"),
        ({"train_prior": True}, "need a prior"),
        ({"prior_options": {"width": 4}}, "need a prior"),
        ({"trust": "blind"}, "trust must be one of"),
        ({"trust": "learned"}, "against a prior"),
        ({"depth_unit": 0.0}, "depth_unit"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"adjustment": "subtractive"}, "adjustment"),
        ({"lr_kernel": "nearest"}, "lr_kernel"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("dada", 8, "lite", **options)


def test_prior_needs_a_scale_of_the_prior():
    with pytest.raises(ValueError, match="dsrnet has scales"):
        create_model("dada", 3, "lite", prior="dsrnet")


def test_prior_is_frozen_saved_with_the_model_and_seen_by_the_features():
    depth, guide, _ = scene()
    model = lite(**WITH_PRIOR)
    assert not any(p.requires_grad for p in model.prior.parameters())
    assert any(key.startswith("priors.dsrnet.") for key in model.state_dict())
    target, start, cv, *_ = model.prepare(depth, guide)
    assert target is depth
    torch.testing.assert_close(start, model.prior(depth))
    (cv.sum()).backward()
    assert all(p.grad is None for p in model.prior.parameters()) and model.log_kappa.grad.abs() > 0
    with torch.no_grad():
        model.prior.head[-1].bias += 1.0
        model.prior.head[-1].weight *= 3.0
        assert not torch.equal(model.prepare(depth, guide).cv, cv)


def test_csan_can_be_the_prior():
    depth, guide, _ = scene()
    model, seen = lite(prior="csan", prior_options=SMALL_CSAN), []
    model.features.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        single = model.prior(depth)
        torch.testing.assert_close(model.prepare(depth, guide).start, single)
    torch.testing.assert_close(seen[0], model.network_input(guide, [upsampled(depth, 8), single]))


@pytest.mark.parametrize("lr_kernel", ["block_mean", "bicubic"])
def test_readings_are_pulled_towards_the_prior_as_far_as_they_are_not_trusted(lr_kernel):
    depth, guide, _ = scene()
    depth[0, 0, 2, 3] = float("nan")
    model = lite(**WITH_PRIOR, trust="learned", lr_kernel=lr_kernel, tolerance=1e-5)
    held, trusted = depth.isfinite(), {}
    with torch.no_grad():
        model.prior.head[-1].bias += 0.2  # the prior's depth is far from the readings
        read = model.seen_by_sensor(model.prior(fill_invalid(depth)))
        for w in (0.0, 0.3, 1.0):
            model.trust.weight[-1].weight.zero_()
            model.trust.weight[-1].bias.fill_(torch.logit(torch.tensor(w)))
            problem = model.prepare(depth, guide)
            assert problem.target.isnan().equal(depth.isnan())
            torch.testing.assert_close(problem.target[held], (read + w * (depth - read))[held])
            trusted[w] = model.seen_by_sensor(model(depth, guide))
            torch.testing.assert_close(trusted[w][held], problem.target[held], rtol=1e-3, atol=1e-4)
    assert (trusted[0.0] - trusted[1.0])[held].abs().mean() > 0.1


@pytest.mark.parametrize("lr_kernel", ["block_mean", "bicubic"])
def test_autocast_moves_neither_start_nor_targets(lr_kernel):
    depth, guide, _ = scene()
    model = lite(**WITH_PRIOR, trust="learned", lr_kernel=lr_kernel)
    problems = []
    with torch.no_grad():
        model.trust.weight[-1].weight.zero_()  # its own rounding is the network's affair
        model.prior.head[-1].weight.zero_()
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                problems.append(model.prepare(depth, guide))
    assert problems[1].target.dtype == torch.float32
    torch.testing.assert_close(problems[1].start, problems[0].start, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(problems[1].target, problems[0].target, rtol=0, atol=1e-3)


def test_trust_looks_at_distances_in_the_depth_s_own_spread():
    depth, guide, _ = scene()
    model = lite(**WITH_PRIOR, trust="learned")
    torch.nn.init.normal_(model.trust.weight[-1].weight)
    with torch.no_grad():
        model.prior.head[-1].bias += 0.2
        metres, millimetres = (model.prepare(depth * unit, guide).target / unit for unit in (1.0, 1000.0))
        assert ((metres - depth).abs() > 1e-3).any()
    torch.testing.assert_close(metres, millimetres, rtol=1e-4, atol=1e-5)


def test_network_input_is_normalised_rgb_and_depth_without_its_unit():
    depth, guide, _ = scene()
    model = lite()
    up = bicubic(depth, scale=8)
    seen = model.network_input(guide, [up, up + 1.0])
    assert seen.shape == (1, 5, 48, 64)
    torch.testing.assert_close(seen[0, 1], (guide[0, 1] - 0.456) / 0.224)
    torch.testing.assert_close(seen[0, 3].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0, 3].std(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[0, 4] - seen[0, 3], torch.full((48, 64), 1.0 / float(up.std())), rtol=1e-3, atol=0)
    fixed = lite(depth_unit=1.1227).network_input(guide, [up])
    torch.testing.assert_close(fixed[0, 3], (up - up.mean())[0, 0] / 1.1227)
    flat = model.network_input(guide, [torch.full_like(up, 2.0) + 1e-4 * torch.randn_like(up)])
    assert flat[0, 3].abs().max() < 0.1  # a wall's noise is not blown up to unit deviation


def test_prepare_starts_within_the_input_s_range():
    depth = torch.full((1, 1, 6, 8), 0.3)
    depth[..., 4:] = 10.0  # bicubic undershoots this step to below 0
    assert bicubic(depth, scale=8).min() < 0
    _, start, cv, ch, *_ = lite().prepare(depth, torch.rand(1, 3, 48, 64))
    assert start.min() >= 0.3 and start.max() <= 10.0 and not start.requires_grad
    assert cv.shape == (1, 1, 47, 64) and ch.shape == (1, 1, 48, 63)
    assert min(cv.min(), ch.min()) > 0 and max(cv.max(), ch.max()) <= 1


def test_fill_invalid_takes_the_mean_of_the_nearest_block():
    nan = float("nan")
    depth = torch.tensor([[1.0, nan, 5.0], [3.0, nan, nan], [nan, nan, nan]])[None, None]
    filled = fill_invalid(depth)[0, 0]
    assert filled[0, 0] == 1 and filled[1, 0] == 3 and filled[0, 2] == 5
    assert filled[0, 1] == filled[1, 1] == 2  # the 2x2 block it is in
    assert filled[1, 2] == 5  # its block, cut by the border, holds the 5 alone
    assert filled[2, 0] == filled[2, 2] == 3  # nothing in its block: the mean of all
    whole = torch.rand(2, 1, 3, 5)
    assert fill_invalid(whole) is whole
    assert torch.equal(fill_invalid(torch.full((1, 1, 2, 3), nan)), torch.ones(1, 1, 2, 3))
    assert upsampled(filled[None, None], 4).max() <= 5


def test_learned_kappa_and_sizes():
    paper, small = create_model("dada", 4, "paper"), lite(4)
    assert math.isclose(math.exp(paper.log_kappa.item()), 0.03, rel_tol=1e-6)
    count = {m.size: sum(p.numel() for p in m.parameters()) for m in (paper, small)}
    # the published Unet("resnet50") has 32,521,105 with 3 channels in and 1 out; kappa is one more
    assert count["paper"] == 32_521_105 + 64 * 49 + 63 * (16 * 9 + 1) + 1 and count["lite"] < 1_000_000
    depth, guide, _ = scene(4, 32, 32)
    with torch.inference_mode():
        assert paper.eval().features(paper.network_input(guide, [bicubic(depth, scale=4)])).shape == (1, 64, 32, 32)
        assert small.features(small.network_input(guide, [bicubic(depth, scale=4)])).shape == (1, 16, 32, 32)


@pytest.mark.parametrize("network", [LiteUNet(4), ResNet50UNet(4, 64)], ids=["lite", "paper"])
def test_feature_extractors_take_any_size_and_export(network):
    network.eval()
    image = torch.randn(1, 4, 35, 50)
    with torch.no_grad():
        expected = network(image)
        assert expected.shape[-2:] == (35, 50)
        program = torch.export.export(network, (image,))
        torch.testing.assert_close(program.module()(image), expected, rtol=1e-3, atol=1e-3)


def test_paper_head_is_convolution_then_average_pooling():
    network = ResNet50UNet(4, 8).eval()
    x = torch.randn(2, 16, 12, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            network._head_and_pool(x), F.avg_pool2d(network.segmentation_head(x), 2), rtol=1e-4, atol=1e-5
        )


def test_padding_repeats_the_border():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(image, 4)
    assert padded.shape == (1, 1, 4, 4)
    assert torch.equal(padded[0, 0, :, 3], torch.tensor([2.0, 5.0, 5.0, 5.0]))
    assert pad_to_multiple(image.expand(1, 1, 2, 3), 1).shape == (1, 1, 2, 3)


def test_encoder_starts_from_an_rgb_classifier_named_as_in_torchvision():
    network = ResNet50UNet(5, 8)
    state = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in network.encoder.state_dict().items()}
    rgb = torch.randn(64, 3, 7, 7)
    state |= {"conv1.weight": rgb, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    network.load_encoder(state)
    first = network.encoder.conv1.weight
    torch.testing.assert_close(first[:, 3], rgb[:, 0] * 0.6)
    torch.testing.assert_close(first[:, 2], rgb[:, 2] * 0.6)
    assert torch.equal(network.encoder.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])
    with pytest.raises(ValueError, match="not a ResNet-50"):
        network.load_encoder({k: v for k, v in state.items() if not k.startswith("layer4")})
    with pytest.raises(ValueError, match="other shapes"):
        network.load_encoder(state | {"conv1.weight": torch.zeros(64, 3, 3, 3)})


def test_training_moves_the_edge_to_where_it_is():
    """A few steps of gradient through the equilibrium must lower the loss on one scene."""
    depth, guide, truth = scene()
    model = lite(max_iterations=40).train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = (model(depth, guide) - truth).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_prior_options_default_to_the_model_s_size():
    model = DADA(4, "lite", prior="dsrnet")
    assert isinstance(model.prior, DSRNet) and model.prior.size == "lite"


def test_isolated_holes_change_nothing_far_from_them_and_save_iterations():
    rng = np.random.default_rng(0)
    depth = torch.from_numpy(1 + np.cumsum(rng.uniform(0, 0.02, (1, 1, 24, 32)), -1).astype(np.float32))
    depth[..., 6:18, 10:22] = torch.nan
    guide = torch.from_numpy(rng.uniform(0.4, 0.6, (1, 3, 96, 128)).astype(np.float32))
    model = create_model("dada_rgb", 4).eval()
    with torch.inference_mode():
        problem = model.prepare(depth, guide)
        free, free_info = model.solve(problem)
        isolated, info = model.solve(model.isolate_holes(problem))
    read = torch.isfinite(depth)
    torch.testing.assert_close(block_mean(isolated, 4)[read], depth[read], rtol=1e-5, atol=1e-5)
    assert (isolated - free)[..., :16, :].abs().max() < 1e-3 * float(depth[read].max())
    assert info.converged and 2 * info.iterations < free_info.iterations


def test_isolating_holes_leaves_problems_alone_that_have_none_or_a_kernel_that_overlaps():
    depth, guide, _ = scene()
    model = create_model("dada_rgb", 8).eval()
    problem = model.prepare(depth, guide)
    assert model.isolate_holes(problem) is problem
    holed = depth.clone()
    holed[..., 0, 0] = torch.nan
    bicubic_model = create_model("dada_rgb", 8, lr_kernel="bicubic").eval()
    problem = bicubic_model.prepare(holed, guide)
    assert bicubic_model.isolate_holes(problem) is problem
