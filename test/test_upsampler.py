import numpy as np
import pytest
import torch

import depth_sr_ros
from depth_sr_ros import DepthUpsampler
from depth_sr_ros.metrics import lr_consistency
from depth_sr_ros.models import ResidualNetwork
from depth_sr_ros.resize import bicubic, block_mean
from depth_sr_ros.tiling import super_resolve_in_tiles


@pytest.fixture
def depth() -> np.ndarray:
    y, x = np.mgrid[:24, :32].astype(np.float32)
    depth = 1.5 + 0.02 * x + 0.01 * y
    depth[6:16, 10:20] -= 0.8
    return depth


def test_bicubic_is_bicubic(depth):
    result = DepthUpsampler("bicubic", scale=4, device="cpu").upsample(depth)
    assert result.dtype == np.float32 and result.shape == (96, 128)
    np.testing.assert_allclose(result, bicubic(depth, scale=4), atol=1e-5)


def test_holes_stay_holes_by_default_and_only_they(depth):
    depth[3, 5] = np.nan
    depth[20, 1] = 0.0
    result = DepthUpsampler("bicubic", scale=2, device="cpu").upsample(depth)
    expected = np.zeros((48, 64), bool)
    expected[6:8, 10:12] = expected[40:42, 2:4] = True
    np.testing.assert_array_equal(np.isnan(result), expected)
    filled = DepthUpsampler("bicubic", scale=2, device="cpu", fill_holes=True).upsample(depth)
    assert np.isfinite(filled).all() and (filled > 0.3).all()
    np.testing.assert_array_equal(filled[~expected], result[~expected])


def test_nothing_valid_gives_nothing(depth):
    result = DepthUpsampler("bicubic", scale=2, device="cpu").upsample(np.full_like(depth, np.nan))
    assert result.shape == (48, 64) and np.isnan(result).all()


@pytest.mark.parametrize("consistent", [True, "additive", "multiplicative"])
def test_consistent_output_averages_to_its_input(depth, consistent):
    depth[2:4, 7] = np.nan
    free = DepthUpsampler("bicubic", scale=4, device="cpu").upsample(depth)
    held = DepthUpsampler("bicubic", scale=4, device="cpu", consistent=consistent).upsample(depth)
    assert lr_consistency(free, depth) > 1e-3
    assert lr_consistency(held, depth) < 1e-6
    np.testing.assert_array_equal(np.isnan(held), np.isnan(free))


def test_guided_puts_the_edge_where_the_guide_has_it():
    """A depth step inside an LR cell: bicubic blurs it, the guide's edge tells where it is."""
    truth = np.full((64, 64), 2.0, np.float32)
    truth[:, 29:] = 1.0
    guide = np.where(truth[..., None] > 1.5, 40, 200).astype(np.uint8).repeat(3, 2)
    depth_lr = block_mean(truth, 8)
    guided = DepthUpsampler("dada_rgb", scale=8, device="cpu").upsample(depth_lr, guide)
    plain = DepthUpsampler("bicubic", scale=8, device="cpu").upsample(depth_lr)
    assert np.abs(guided - truth).mean() < 0.1 * np.abs(plain - truth).mean()
    assert lr_consistency(guided, depth_lr) < 1e-5


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_guided_takes_any_scale_and_keeps_holes(depth, scale):
    depth[5:9, 5:9] = np.nan
    guide = np.random.default_rng(0).integers(0, 255, (24 * scale, 32 * scale, 3), np.uint8)
    result = DepthUpsampler("dada_rgb", scale=scale, device="cpu").upsample(depth, guide)
    assert np.isnan(result).mean() == pytest.approx(16 / (24 * 32))
    assert lr_consistency(result, depth) < 1e-5


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda d: DepthUpsampler("nosuch", 4), "choose one of"),
        (lambda d: DepthUpsampler("bicubic", 99), "has scales"),
        (lambda d: DepthUpsampler("bicubic", 4, precision="int8"), "precision"),
        (lambda d: DepthUpsampler("bicubic", 4, consistent="yes"), "consistent"),
        (lambda d: DepthUpsampler("bicubic", 4, tile=2), "tile"),
        (lambda d: DepthUpsampler("bicubic", 4).upsample(d[None]), "floating"),
        (lambda d: DepthUpsampler("bicubic", 4).upsample((d * 1000).astype(np.uint16)), "floating"),
        (lambda d: DepthUpsampler("bicubic", 4).upsample(d, np.zeros((96, 128, 3), np.uint8)), "no guide"),
        (lambda d: DepthUpsampler("dada_rgb", 4).upsample(d), "needs a guide"),
        (lambda d: DepthUpsampler("dada_rgb", 4).upsample(d, np.zeros((96, 127, 3), np.uint8)), r"\(96, 128, 3\)"),
    ],
)
def test_bad_arguments_say_what_is_expected(depth, call, message):
    with pytest.raises(ValueError, match=message):
        call(depth)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that must be missing")
def test_missing_cuda_is_named():
    with pytest.raises(ValueError, match="no CUDA device"):
        DepthUpsampler("bicubic", 4, device="cuda:0")


class Sharpen(ResidualNetwork):
    """A network with a receptive field of 5x5 LR pixels and a nonlinearity, so that wrong tiles show."""

    name = "sharpen"

    def __init__(self):
        super().__init__(scale=2)
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3, padding=1)
        )

    def detail(self, depth, guide):
        return torch.nn.functional.pixel_shuffle(self.net(depth), 2)


def test_tiles_equal_the_whole_frame():
    model = Sharpen().eval()
    depth = torch.rand(2, 1, 37, 50) * 3 + 1
    with torch.no_grad():
        tiled = super_resolve_in_tiles(model, depth, None, tile=16, overlap=8)
        torch.testing.assert_close(tiled, model(depth), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 8])
def test_tiles_of_the_shipped_network_equal_the_whole_frame(scale):
    depth = 1 + np.random.default_rng(0).random((90, 70), dtype=np.float32)
    whole = DepthUpsampler("dsrnet", scale, device="cpu").upsample(depth)
    tiled = DepthUpsampler("dsrnet", scale, device="cpu", tile=40).upsample(depth)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_networks_follow_shift_and_scale_of_the_unit():
    model = Sharpen().eval()
    depth = torch.rand(1, 1, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(model(depth * 1000 + 50), model(depth) * 1000 + 50, atol=1e-2, rtol=0)
        flat = torch.full((1, 1, 8, 8), 1.25)
        assert model(flat).isfinite().all()


def test_package_is_lazy():
    assert depth_sr_ros.DepthUpsampler is DepthUpsampler
    with pytest.raises(AttributeError):
        depth_sr_ros.no_such_name  # noqa: B018
