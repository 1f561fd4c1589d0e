"""Training's validation and the benchmark score the same weights alike on the same scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from depth_sr_ros.inference import precision
from depth_sr_ros.zoo.choice import load_model
from training.benchmark.datasets import Scene
from training.benchmark.protocols import DISPARITY
from training.benchmark.rows import RowSpec
from training.benchmark.runner import evaluate
from training.data import Degrader
from training.data.degradations import WeightedKernel
from training.data.patches import FrameDataset
from training.data.sample import RGBDSample, Source
from training.data.store import SampleStore
from training.modules.module import DepthSRModule, eight_bit


class OneMap(Source):
    layout, has_guide, names = "one", False, ("map",)

    def __init__(self, depth: np.ndarray):
        self.depth = depth

    def scene_of(self, index: int) -> str:
        return "one/map"

    def __getitem__(self, index: int) -> RGBDSample:
        return RGBDSample(self.depth, None, "map", "disparity")


@pytest.fixture(scope="module")
def disparity() -> np.ndarray:
    """(158, 195) float32 whole levels with occlusion holes beside edges, as Middlebury 2006 has them."""
    depth = np.full((158, 195), 60.0)
    depth += np.arange(195) / 8
    for x, y, side, level in ((30, 20, 60, 140), (110, 70, 50, 200), (60, 110, 40, 90)):
        depth[y : y + side, x : x + side] = level + np.arange(side)[:, None] / 5
        depth[y : y + side, x - 6 : x] = np.nan
    depth[:, :5] = np.nan
    cv2.circle(depth, (150, 30), 18, float("nan"), -1)
    return np.rint(depth).astype(np.float32)


@pytest.mark.parametrize("kernel", ["bicubic", "block_mean", "nearest", "inter_cubic"])
@pytest.mark.parametrize("method", ["bicubic", "dsrnet"])
def test_validation_and_benchmark_score_alike(disparity, method, kernel, monkeypatch):
    monkeypatch.setattr(precision, "fastest_precision", lambda device: "float32")  # as validation is
    scene = Scene("map", disparity.astype(np.float64), None, DISPARITY)
    (result,), problems = evaluate("own", [scene], [RowSpec(method)], [4], [kernel], [0.0])

    store = SampleStore([OneMap(disparity)], lambda name: True)
    frames = FrameDataset(store, scale=4, degrader=Degrader([WeightedKernel(kernel)]), with_guide=False)
    batch = default_collate([frames[0]])
    network = load_model(method, 4, weights="clean")[0]
    with torch.no_grad():
        output = network(batch["depth_lr"], None)
    score = float(DepthSRModule.mad_in_unit(eight_bit(output, batch), batch))
    unrounded = float(DepthSRModule.mad_in_unit(output, batch))

    assert not problems and batch["valid"].float().mean() < 0.95
    assert result.scores["mad"] == pytest.approx(score, rel=2e-3)
    assert unrounded != pytest.approx(score, rel=2e-2)
