"""The registry of networks, and networks that are added to it from outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from depth_sr_ros import DepthUpsampler, models
from depth_sr_ros.models import DepthSRModel, ResidualNetwork, create_model, list_models, register_model
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights


class Outside(ResidualNetwork):
    name = "outside"
    scales = (2,)
    sizes = ("lite",)

    def __init__(self, scale: int, size: str = "lite", width: int = 4):
        super().__init__(scale, size)
        self.layers = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 4, 1), nn.PixelShuffle(2))

    def detail(self, depth, guide):
        return self.layers(depth)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(models, "_REGISTRY", dict(models._REGISTRY))


def test_a_registered_network_is_created_by_its_name():
    before = list_models()
    assert register_model(Outside) is Outside
    assert register_model(Outside) is Outside  # importing a module again is no error
    assert list_models() == sorted([*before, "outside"])
    assert isinstance(create_model("outside", 2, width=8), Outside)


def test_a_registered_network_runs_with_weights_from_a_file(tmp_path):
    register_model(Outside)
    model = create_model("outside", 2, width=8)
    card = ModelCard(
        method="outside", scale=2, size="lite", options={"width": 8}, data="none", lr_kernel="none", steps=0, date="-"
    )
    path = save_weights(model, tmp_path / "outside.safetensors", card)
    depth = np.random.default_rng(0).uniform(1, 2, (12, 16)).astype(np.float32)
    upsampler = DepthUpsampler("outside", 2, weights=path, precision="float32", device="cpu")
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(depth)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(upsampler.upsample(depth), expected, atol=1e-5)


def test_what_cannot_be_registered():
    with pytest.raises(TypeError):
        register_model(nn.Conv2d)
    with pytest.raises(TypeError):
        register_model(type("Unfinished", (ResidualNetwork,), {"name": "unfinished"}))
    with pytest.raises(ValueError):
        register_model(type("Nameless", (Outside,), {"name": ""}))
    with pytest.raises(ValueError):
        register_model(type("Taken", (Outside,), {"name": "bicubic"}))
    assert not issubclass(models.model_class("bicubic"), Outside)
    assert issubclass(models.model_class("bicubic"), DepthSRModel)
