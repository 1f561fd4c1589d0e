"""CSAN: the shared tests, its stages, its ablations, and how far it sees."""

from __future__ import annotations

import pytest
import torch
from base_model_tester import BaseModelTester
from torch import nn

from depth_sr_ros.inference.tiling import super_resolve_in_tiles
from depth_sr_ros.models import create_model
from depth_sr_ros.models.csan import CSAN, BilayerResidualBlock, default_sizes
from depth_sr_ros.resize import bicubic

SMALL = {"widths": [6, 5, 4], "blocks": [1, 1], "window": 4}
ONE_STAGE = {"widths": [6, 4], "blocks": [2]}


class TestCSAN(BaseModelTester):
    name = "csan"


class TestPaperSize(TestCSAN):
    size = "paper"


class TestCSANWithoutStages(BaseModelTester):
    name = "csan"
    options = {"multi_stage": False}  # noqa: RUF012


class TestCSANWithoutAttentionAndBilayerBlocks(BaseModelTester):
    name = "csan"
    options = {"attention": False, "bilayer": False, "deep_supervision": False}  # noqa: RUF012


def small(scale: int = 4, **options) -> CSAN:
    """Narrow, with heads and gates that do something."""
    torch.manual_seed(0)
    model = CSAN(scale, **(SMALL | options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and (".head.1" in name or ".gate_" in name):
                parameter.copy_(torch.randn(parameter.shape))
    return model


def names(model: nn.Module) -> set[str]:
    return set(dict(model.named_parameters()))


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("size", ["paper", "lite"])
def test_a_stage_doubles_the_resolution(scale, size):
    model = CSAN(scale, size)
    assert [stage.ratio for stage in model.stages] == [2] * {2: 1, 4: 2, 8: 3, 16: 4}[scale]
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_paper_size_is_the_published_20_megabytes_at_x8():
    parameters = {size: sum(p.numel() for p in CSAN(8, size).parameters()) for size in ("paper", "lite")}
    assert parameters["paper"] * 4 == pytest.approx(20.5e6, rel=0.01)
    assert parameters["lite"] < parameters["paper"] / 5


def test_every_stage_has_an_output_and_the_last_is_the_model_s():
    model, depth = small(), torch.rand(2, 1, 9, 7)
    with torch.inference_mode():
        outputs = model.stage_outputs(depth)
        assert [tuple(o.shape) for o in outputs] == [(2, 1, 18, 14), (2, 1, 36, 28)]
        torch.testing.assert_close(outputs[-1], model.super_resolve_normalised(depth, None))
        first, last = model.details(depth)
        torch.testing.assert_close(outputs[0], bicubic(depth, scale=2) + first)
        # a stage adds to the enlarged detail of the one before
        features = model.stages[1](model.stages[0](model.shallow(depth)))
        enlarged = nn.functional.interpolate(first, scale_factor=2.0, mode="bilinear")
        torch.testing.assert_close(last, model.stages[1].head(features) + enlarged)


def test_starts_as_bicubic():
    torch.manual_seed(0)
    depth = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        for output in CSAN(4).stage_outputs(depth):
            torch.testing.assert_close(output, bicubic(depth, scale=output.shape[-1] // 16), atol=0.02, rtol=0)


def test_the_first_layer_starts_blind_to_the_level_of_depth():
    filters = CSAN(4).shallow[0].weight
    assert filters.std() > 0.1
    torch.testing.assert_close(filters.sum(dim=(2, 3)), torch.zeros(filters.shape[:2]), atol=1e-5, rtol=0)


def test_bilayer_block_is_a_residual_in_a_residual():
    torch.manual_seed(0)
    block, x = BilayerResidualBlock(10, 6), torch.randn(1, 10, 5, 5)
    widened, narrowed = block.inner[0], block.inner[2]
    assert (widened.kernel_size, widened.out_channels) == ((1, 1), 60)
    assert (narrowed.kernel_size, narrowed.out_channels) == ((1, 1), 8)
    assert (block.inner[3].kernel_size, block.inner[3].in_channels) == ((3, 3), 8)
    z = block.first(x)
    wide = block.inner[3](narrowed(torch.relu(widened(z))))
    torch.testing.assert_close(block(x), x + block.last(z + wide))


@pytest.mark.parametrize(
    ("option", "sizes", "gone"),
    [
        ("attention", {}, ".attention."),
        ("bilayer", {}, ".inner."),
        ("multi_stage", ONE_STAGE, "stages.1."),
        ("deep_supervision", {}, ".0.head."),
    ],
)
def test_an_ablation_takes_its_parameters_out_and_changes_the_output(option, sizes, gone):
    whole, without = small(), small(**{option: False}, **sizes)
    assert names(whole) - names(without) >= {n for n in names(whole) if gone in n} > set()
    assert not [n for n in names(without) if gone in n]
    if option not in ("bilayer", "multi_stage"):  # which put other blocks in their place
        assert names(without) < names(whole)
    shared = {
        key: value
        for key, value in whole.state_dict().items()
        if key in without.state_dict() and value.shape == without.state_dict()[key].shape
    }
    without.load_state_dict(shared, strict=False)
    depth = torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        assert (whole(depth) - without(depth)).abs().max() > 1e-3


def test_at_x2_there_is_one_stage_anyway():
    staged, without = (small(2, multi_stage=multi_stage, **ONE_STAGE) for multi_stage in (True, False))
    depth = torch.rand(1, 1, 8, 8)
    assert names(staged) == names(without)
    with torch.inference_mode():
        assert torch.equal(staged(depth), without(depth))
    for size in ("paper", "lite"):
        assert default_sizes(2, size, multi_stage=True) == default_sizes(2, size, multi_stage=False)


def test_without_bilayer_blocks_there_are_as_many_basic_ones():
    whole, without = CSAN(4), CSAN(4, bilayer=False)
    assert [len(s.blocks) for s in whole.stages] == [len(s.blocks) for s in without.stages] == [4, 2]
    assert not [m for m in without.modules() if isinstance(m, BilayerResidualBlock)]


@pytest.mark.parametrize("scale", [4, 8, 16])
@pytest.mark.parametrize("size", ["paper", "lite"])
def test_without_stages_there_is_one_step_and_one_output_with_as_many_blocks(scale, size):
    model, staged = (CSAN(scale, size, multi_stage=m).eval() for m in (False, True))
    assert [stage.ratio for stage in model.stages] == [scale]
    assert model.stages[0].up[0].kernel_size == (scale + 4, scale + 4)
    assert len(model.stages[0].blocks) == sum(len(stage.blocks) for stage in staged.stages)
    depth = torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        (detail,) = model.details(depth)
        assert detail.shape == (1, 1, 8 * scale, 8 * scale)


def test_without_deep_supervision_the_only_output_is_the_last():
    model = small(deep_supervision=False)
    with torch.inference_mode():
        assert [d.shape[-1] for d in model.details(torch.rand(1, 1, 8, 8))] == [32]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8, 8]}, "takes 3 widths and 2 numbers"),
        ({"widths": []}, "takes 3 widths and 2 numbers"),
        ({"blocks": [1, 1, 1]}, "takes 3 widths and 2 numbers"),
        ({"widths": [8, 8, 8], "multi_stage": False}, "takes 2 widths and 1 numbers"),
        ({"blocks": [1, 0]}, "at least 1"),
        ({"window": 0}, "at least 1"),
        ({"expansion": 0}, "at least 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("csan", 4, "lite", **options)


@pytest.mark.parametrize("options", [{}, {"attention": False}, {"multi_stage": False, "widths": [6, 4], "blocks": [1]}])
def test_tile_overlap_is_how_far_it_sees(options):
    """A changed LR pixel changes nothing beyond the overlap, and something not far inside it."""
    model = small(**options).double()
    depth = torch.rand(1, 1, 9, 81, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    other = depth.clone()
    other[..., 40] += 0.5
    with torch.inference_mode():
        change = (model.super_resolve_normalised(other, None) - model.super_resolve_normalised(depth, None)).abs()
    columns = change.amax(dim=(0, 1, 2)).reshape(81, 4).amax(dim=1).nonzero().flatten()
    seen = max(40 - int(columns.min()), int(columns.max()) - 40)
    assert model.tile_overlap - model.tile_step - 4 <= seen <= model.tile_overlap


def test_tiles_are_the_whole_image():
    model = small()
    depth = 1 + torch.rand(1, 1, 45, 70)
    assert model.tile_overlap < 24
    with torch.inference_mode():
        whole, tiled = model(depth), super_resolve_in_tiles(model, depth, None, tile=18)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        short = super_resolve_in_tiles(model, depth, None, tile=18, overlap=1)
    assert (short - whole).abs().max() > 1e-3
