import numpy as np
import pytest
import torch

import depth_sr_ros
from depth_sr_ros import DepthUpsampler
from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.inference.tiling import super_resolve_in_tiles
from depth_sr_ros.models import ResidualNetwork, create_model, diffuses, list_models
from depth_sr_ros.resize import bicubic, block_mean
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights


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


def test_options_beyond_the_contract_are_keywords():
    with pytest.raises(TypeError):
        DepthUpsampler("bicubic", 4, "cpu", None, "auto", None, False, True)


def test_upsample_is_the_depth_of_infer(depth):
    upsampler = DepthUpsampler("bicubic", scale=2, device="cpu")
    result = upsampler.infer(depth)
    np.testing.assert_array_equal(upsampler.upsample(depth), result.depth)
    assert result.solve is None


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


@pytest.fixture
def bicubic_pair() -> tuple[np.ndarray, np.ndarray]:
    """LR depth that MATLAB's bicubic made, which overshoots beside the step, and its guide at x8."""
    truth = np.full((64, 64), 2.0, np.float32)
    truth[:, 29:] = 1.0
    guide = np.where(truth[..., None] > 1.5, 40, 200).astype(np.uint8).repeat(3, 2)
    return bicubic(truth, scale=1 / 8), guide


def test_lr_kernel_is_what_the_result_is_held_to(bicubic_pair):
    depth, guide = bicubic_pair
    results = {
        kernel: DepthUpsampler("dada_rgb", 8, device="cpu", lr_kernel=kernel).upsample(depth, guide)
        for kernel in (None, "block_mean", "bicubic")
    }
    np.testing.assert_array_equal(results[None], results["block_mean"])
    for own, other, kernel in (("block_mean", "bicubic", "block_mean"), ("bicubic", "block_mean", "bicubic")):
        assert lr_consistency(results[own], depth, kernel) < 1e-3
        assert lr_consistency(results[other], depth, kernel) > 5e-3


def test_a_video_held_to_the_bicubic_kernel_starts_warm(bicubic_pair):
    depth, guide = bicubic_pair
    upsampler = DepthUpsampler("dada_rgb", 8, device="cpu", lr_kernel="bicubic")
    first = upsampler.infer(depth, guide, stamp=1.0)
    second = upsampler.infer(depth, guide, stamp=1.1)
    assert second.solve.warm and second.solve.iterations < first.solve.iterations and not first.solve.warm
    np.testing.assert_allclose(second.depth, first.depth, atol=1e-2)


@pytest.fixture(scope="module")
def bicubic_weights(tmp_path_factory):
    """Weights of dada whose card says that they were trained with the bicubic kernel as the constraint."""
    options = {"lr_kernel": "bicubic"}
    fields = {"method": "dada", "scale": 8, "size": "lite", "options": options, "data": "-", "lr_kernel": "-"}
    path = tmp_path_factory.mktemp("weights") / "dada.safetensors"
    return save_weights(create_model("dada", 8, "lite", **options), path, ModelCard(**fields, steps=0, date="-"))


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_weights_are_what_serves_a_camera_unless_clean_ones_are_asked_for(scale):
    for method, auto, clean in (("dsrnet", "_robust", ""), ("dada", "", "_bicubic"), ("csan", "", "")):
        stem = f"{method}_lite_x{scale}"
        assert DepthUpsampler(method, scale, device="cpu").weights == stem + auto
        assert DepthUpsampler(method, scale, device="cpu", weights="clean").weights == stem + clean
    assert DepthUpsampler("bicubic", scale, device="cpu").weights is None


def test_lr_kernel_none_is_that_of_the_weights(bicubic_weights):
    common = {"method": "dada", "scale": 8, "device": "cpu", "weights": bicubic_weights}
    assert DepthUpsampler(**common).model.lr_kernel == "bicubic"
    assert DepthUpsampler(**common, lr_kernel="block_mean", consistent=True).model.lr_kernel == "block_mean"
    for given, source in ((None, "trained for"), ("bicubic", "asked for")):
        with pytest.raises(ValueError, match=f"{source}.*set consistent to False, or lr_kernel to 'block_mean'"):
            DepthUpsampler(**common, lr_kernel=given, consistent="multiplicative")


def test_methods_that_do_not_diffuse_refuse_an_lr_kernel():
    assert [name for name in list_models() if diffuses(name)] == ["dada", "dada_rgb"]
    for name in ("bicubic", "dsrnet"):
        with pytest.raises(ValueError, match=rf"'block_mean' came for {name}, which does not diffuse.*dada, dada_rgb"):
            DepthUpsampler(name, 4, device="cpu", lr_kernel="block_mean")


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
        (lambda d: DepthUpsampler("dada_rgb", 4, lr_kernel="nearest"), r"'block_mean', 'bicubic'\), got 'nearest'"),
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
    whole = DepthUpsampler("dsrnet", scale, device="cpu", precision="float32").upsample(depth)
    tiled = DepthUpsampler("dsrnet", scale, device="cpu", precision="float32", tile=40).upsample(depth)
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


def test_a_diffusion_that_ends_above_its_tolerance_says_so_unless_a_budget_asked_for_it():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 3, (12, 16)).astype(np.float32)
    guide = rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
    upsampler = DepthUpsampler("dada_rgb", 4, device="cpu")
    whole = upsampler.infer(depth, guide)
    assert whole.solve.converged and upsampler.unconverged(whole) is None
    upsampler.model.max_iterations = 1
    with pytest.warns(RuntimeWarning, match="max_iterations"):
        upsampler.upsample(depth, guide)
    short = upsampler.infer(depth, guide)
    assert not short.solve.converged and short.solve.relative_residual > upsampler.model.tolerance
    upsampler.max_iterations = 1
    assert upsampler.unconverged(upsampler.infer(depth, guide)) is None
