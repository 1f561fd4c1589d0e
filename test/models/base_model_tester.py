"""What every network of the registry must do. A network's test file subclasses `BaseModelTester` and sets `name`."""

from __future__ import annotations

import pytest
import torch

from depth_sr_ros.models import DepthSRModel, create_model, list_models, model_class
from depth_sr_ros.models.base import ResidualNetwork
from depth_sr_ros.models.blocks import DepthConv
from depth_sr_ros.models.equivariant import DifferenceConv
from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.weight_files import load_weights, save_weights

SCALES = (2, 4, 8, 16)
ODD = (9, 13)  # LR height and width


class BaseModelTester:
    """Shared tests.

    Attributes:
        name: in the registry.
        size: of the networks that all tests but `test_sizes` make.
        scales: those to test.
        options: of the network; what makes it small enough for fast tests.
        smallest: LR size (h, w) for the tests that need no special size.
        depth_entries: convolutions that take depth itself.
    """

    name: str = ""
    size: str = "lite"
    scales: tuple[int, ...] = SCALES
    options: dict = {}  # noqa: RUF012
    smallest: tuple[int, int] = (8, 8)
    depth_entries: int = 1

    @pytest.fixture(autouse=True)
    def _take_device(self, device: torch.device) -> None:
        self.device = device

    def make(self, scale: int) -> DepthSRModel:
        torch.manual_seed(0)
        return create_model(self.name, scale, self.size, **self.options).to(self.device)

    def inputs(self, scale: int, size: tuple[int, int] | None = None, batch: int = 1, seed: int = 0):
        """(depth_lr, guide or None): depth in metres, with an edge and noise."""
        height, width = size or self.smallest
        generator = torch.Generator().manual_seed(seed)
        depth = 1 + 0.1 * torch.rand(batch, 1, height, width, generator=generator)
        depth[..., width // 2 :] += 2
        guide = torch.rand(batch, 3, height * scale, width * scale, generator=generator)
        return depth.to(self.device), guide.to(self.device) if self.requires_guide else None

    @property
    def requires_guide(self) -> bool:
        return model_class(self.name).requires_guide

    def test_it_is_in_the_registry(self):
        assert self.name in list_models()
        assert set(self.scales) <= set(model_class(self.name).scales)

    @pytest.mark.parametrize("scale", SCALES)
    def test_shape_and_finite_output_at_every_scale_and_odd_sizes(self, scale):
        if scale not in self.scales:
            pytest.skip(f"{self.name} has no x{scale}")
        model = self.make(scale).eval()
        with torch.inference_mode():
            output = model(*self.inputs(scale, ODD, batch=2))
        assert output.shape == (2, 1, ODD[0] * scale, ODD[1] * scale)
        assert torch.isfinite(output).all()

    @pytest.mark.parametrize("size", ["paper", "lite"])
    def test_sizes(self, size):
        if size not in model_class(self.name).sizes:
            pytest.skip(f"{self.name} comes in {model_class(self.name).sizes}")
        torch.manual_seed(0)
        model = create_model(self.name, self.scales[0], size).eval().to(self.device)
        with torch.inference_mode():
            output = model(*self.inputs(self.scales[0]))
        assert model.size == size and torch.isfinite(output).all()

    def test_guide_is_required_or_refused(self):
        scale = self.scales[0]
        model = self.make(scale)
        depth, _ = self.inputs(scale)
        guide = torch.rand(1, 3, depth.shape[-2] * scale, depth.shape[-1] * scale, device=self.device)
        wrong = None if self.requires_guide else guide
        with pytest.raises(ValueError, match="guide"):
            model(depth, wrong)
        if self.requires_guide:
            with pytest.raises(ValueError, match="guide of shape"):
                model(depth, guide[..., :-1])

    def test_wrong_inputs_are_named(self):
        scale = self.scales[0]
        depth, guide = self.inputs(scale)
        with pytest.raises(ValueError, match="depth_lr of shape"):
            self.make(scale)(depth[0], guide)
        with pytest.raises(ValueError, match="got 3"):
            create_model(self.name, 3 if 3 not in model_class(self.name).scales else 33, self.size)

    def test_unit_does_not_matter(self):
        scale = self.scales[0]
        model = self.make(scale).eval()
        depth, guide = self.inputs(scale)
        with torch.inference_mode():
            metres, millimetres = model(depth, guide), model(depth * 1000, guide)
        torch.testing.assert_close(millimetres, metres * 1000, rtol=1e-4, atol=1.0)

    def test_gradient_reaches_every_parameter(self):
        scale = self.scales[-1]
        model = self.make(scale).train()
        names = dict(model.named_parameters())
        if not names:
            pytest.skip(f"{self.name} has no parameters")
        output = model(*self.inputs(scale, batch=2))
        (output * torch.linspace(-1, 1, output.numel(), device=self.device).reshape(output.shape)).sum().backward()
        idle = [n for n, p in names.items() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not idle, f"no gradient reaches {idle}"

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
    def test_autocast(self, dtype):
        scale = self.scales[0]
        model = self.make(scale).eval()
        inputs = self.inputs(scale)
        with torch.inference_mode():
            exact = model(*inputs)
            with torch.autocast(self.device.type, dtype=dtype):
                rough = model(*inputs)
        limit = 0.01 * float(exact.max() - exact.min())
        if any(True for _ in model.parameters()):
            # fresh networks add little to bicubic: what they add must be right, not only its sum with bicubic
            limit = 0.1 * float((exact - bicubic(inputs[0], scale=scale)).abs().max())
        assert torch.isfinite(rough).all()
        assert float((rough.float() - exact).abs().max()) < limit

    def residual_network(self) -> tuple[ResidualNetwork, torch.Tensor, torch.Tensor | None]:
        """A fresh network in eval mode and inputs for it; skips the test for other models."""
        model = self.make(self.scales[0]).eval()
        if not isinstance(model, ResidualNetwork):
            pytest.skip(f"{self.name} does not see normalised depth alone")
        return model, *self.inputs(self.scales[0])

    def test_autocast_sees_depth_finer_than_its_own_precision(self):
        model, depth, guide = self.residual_network()
        flat = torch.full_like(depth, 0.75)
        steps = flat + (depth > depth.median()) / 4096
        assert torch.equal(steps.bfloat16(), flat.bfloat16())
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=torch.bfloat16):
            assert not torch.equal(model.detail(steps, guide), model.detail(flat, guide))
        entries = [m for m in model.modules() if isinstance(m, (DepthConv, DifferenceConv))]
        assert len(entries) == self.depth_entries

    def test_depth_of_another_precision_than_the_weights(self):
        model, depth, guide = self.residual_network()
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=torch.bfloat16):
            expected = model(depth.bfloat16().float(), guide)
            assert (model(depth.bfloat16(), guide).float() - expected).abs().max() < 0.02 * expected.max()

    def test_autocast_trains(self):
        scale = self.scales[0]
        model = self.make(scale).train()
        if not any(True for _ in model.parameters()):
            pytest.skip(f"{self.name} has no parameters")
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            # not the mean: a diffusion's block means are given, so its gradient would rightly be 0
            loss = model(*self.inputs(scale)).float().square().mean()
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() for g in gradients) and any(g.abs().sum() > 0 for g in gradients)

    def test_same_weights_same_output(self):
        scale = self.scales[0]
        inputs = self.inputs(scale)
        with torch.inference_mode():
            first = self.make(scale).eval()(*inputs)
            second = self.make(scale).eval()(*inputs)
        assert torch.equal(first, second)

    def test_save_and_load(self, tmp_path):
        scale = self.scales[0]
        model = self.make(scale).eval()
        if not any(True for _ in model.parameters()):
            pytest.skip(f"{self.name} has no parameters")
        card = ModelCard(
            method=self.name,
            scale=scale,
            size=self.size,
            options=self.options,
            data="none",
            lr_kernel="none",
            steps=0,
            date="2026-01-01",
        )
        path = save_weights(model, tmp_path / "weights.safetensors", card)
        torch.manual_seed(1)
        other = create_model(self.name, scale, self.size, **self.options).eval().to(self.device)
        inputs = self.inputs(scale)
        with torch.inference_mode():
            expected = model(*inputs)
            assert not torch.equal(other(*inputs), expected)
            load_weights(other, path)
            assert torch.equal(other(*inputs), expected)
        if len(self.scales) > 1:
            with pytest.raises(WeightsError, match="scale"):
                load_weights(self.make(self.scales[1]), path)

    def test_export(self):
        scale = self.scales[0]
        model = self.make(scale).eval()
        inputs = self.inputs(scale)
        with torch.no_grad():
            program = torch.export.export(model, inputs)
            torch.testing.assert_close(program.module()(*inputs), model(*inputs), rtol=1e-5, atol=1e-5)
