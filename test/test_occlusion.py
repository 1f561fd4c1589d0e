"""RGB from a second camera beside the depth camera: a near box hides a strip of wall from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.camera import Extrinsics, Intrinsics, fill_unseen, stepped_surface, warp_guide
from depth_sr_ros.inference import upsampler
from depth_sr_ros.models import ResidualNetwork, create_model
from depth_sr_ros.resize import bicubic, block_mean
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights

NEAR, FAR = 1.0, 2.5
CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
RED = np.array([220, 50, 40])


@dataclass
class View:
    """What a camera `shift` metres to the right of the depth camera sees: depth (240, 320) and RGB."""

    shift: float

    def __post_init__(self):
        v, u = np.mgrid[:240, :320]
        x, y = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
        self.box = in_box(x * NEAR + self.shift, y * NEAR)
        self.depth = np.where(self.box, NEAR, FAR).astype(np.float32)
        wall_x, wall_y = x * FAR + self.shift, y * FAR
        wall = np.stack([90 + 50 * np.sin(3 * wall_x), 120 + 40 * np.sin(2.5 * wall_y), 150 + 0 * wall_x], -1)
        self.rgb = np.where(self.box[..., None], RED, wall).astype(np.uint8)
        self.x, self.y = x, y


def in_box(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether rays meet the box, by where they cross its plane (metres)."""
    return (abs(x - 0.013) < 0.17) & (abs(y + 0.01) < 0.15)


@dataclass
class Scene:
    """Depth at `scale`, its truth, the guide of a camera `baseline` metres to the right, and what that cannot see."""

    scale: int
    baseline: float

    def __post_init__(self):
        ours, theirs = View(0.0), View(self.baseline)
        self.truth, self.box = ours.depth, ours.box
        self.depth = block_mean(ours.depth, self.scale)
        self.bicubic = bicubic(self.depth, scale=self.scale).astype(np.float32)
        # from the RGB camera to each wall point of the depth view: does the ray meet the box on its way?
        crossing = self.baseline + (ours.x * FAR - self.baseline) * NEAR / FAR
        self.hidden = ~self.box & in_box(crossing, ours.y * NEAR)
        extrinsics = Extrinsics(np.eye(3), np.array([-self.baseline, 0.0, 0.0]))
        surface = stepped_surface(self.depth, self.scale)
        self.guide, self.seen = warp_guide(theirs.rgb, surface, CAMERA, CAMERA, extrinsics)

    def error(self, result: np.ndarray, where: np.ndarray) -> float:
        return float(np.abs(result - self.truth)[where].mean())


@pytest.fixture(scope="module", params=[(4, 0.025), (4, -0.1), (8, 0.1)], ids=str)
def scene(request) -> Scene:
    return Scene(*request.param)


@pytest.fixture(scope="module", params=["dada_rgb", "dada"])
def guided(request, tmp_path_factory):
    """A method at a scale; `dada` with fresh weights, so that nothing is learned but everything runs."""

    def make(scale: int) -> DepthUpsampler:
        weights = "auto"
        if request.param == "dada":
            torch.manual_seed(0)
            weights = tmp_path_factory.mktemp("dada") / "fresh.safetensors"
            card = ModelCard(
                method="dada", scale=scale, size="lite", data="none", lr_kernel="none", steps=0, date="2026-11-21"
            )
            save_weights(create_model("dada", scale, "lite"), weights, card)
        return DepthUpsampler(request.param, scale, device="cpu", weights=weights)

    return make


def test_hidden_wall_is_marked(scene):
    assert scene.hidden.sum() > 400
    assert scene.seen[scene.hidden].mean() < 0.2
    outside = np.abs(np.arange(320) - 159.5 - CAMERA.fx * scene.baseline / FAR) > 160
    assert scene.seen[:, ~outside][~scene.hidden[:, ~outside]].mean() > 0.985


def test_hidden_pixels_are_no_worse_than_bicubic(scene, guided):
    result = guided(scene.scale).upsample(scene.depth, scene.guide, scene.seen)
    assert scene.error(result, scene.hidden) < scene.error(scene.bicubic, scene.hidden)
    assert scene.error(result, ~scene.seen) < scene.error(scene.bicubic, ~scene.seen)
    assert scene.error(result, np.ones_like(scene.seen)) < scene.error(scene.bicubic, np.ones_like(scene.seen))


def test_the_boxs_colour_leaves_no_edge_on_the_hidden_wall(scene, guided):
    """Away from the box's own outline the wall is flat, wherever the RGB camera saw the box in front of it."""
    near_box = cv2.dilate(scene.box.astype(np.uint8), np.ones((4 * scene.scale + 1,) * 2, np.uint8)) > 0
    result = guided(scene.scale).upsample(scene.depth, scene.guide, scene.seen)
    assert np.abs(result - FAR)[~near_box].max() < 0.01 * (FAR - NEAR)


def test_colours_of_unseen_pixels_do_not_matter(scene, guided):
    method = guided(scene.scale)
    painted = scene.guide.copy()
    painted[~scene.seen] = np.random.default_rng(0).integers(0, 256, (int((~scene.seen).sum()), 3))
    results = [method.upsample(scene.depth, guide, scene.seen) for guide in (scene.guide, painted)]
    np.testing.assert_array_equal(*results)
    assert np.abs(method.upsample(scene.depth, painted) - results[0]).max() > 0.05, "without the mask they would"


def test_depth_alone_beats_a_colour_made_up():
    for scale, baseline in ((4, 0.1), (8, 0.025)):
        scene = Scene(scale, baseline)
        method = DepthUpsampler("dada_rgb", scale, device="cpu")
        by_depth = method.upsample(scene.depth, scene.guide, scene.seen)
        by_colour = method.upsample(scene.depth, fill_unseen(scene.guide, scene.seen))
        assert scene.error(by_depth, scene.hidden) < 0.9 * scene.error(by_colour, scene.hidden)


def test_a_surface_with_steps_fetches_better_colours_than_ramps():
    scene = Scene(4, 0.025)
    method = DepthUpsampler("dada_rgb", 4, device="cpu")
    extrinsics = Extrinsics(np.eye(3), np.array([-0.025, 0.0, 0.0]))
    ramps = method.upsample(scene.depth, *warp_guide(View(0.025).rgb, scene.bicubic, CAMERA, CAMERA, extrinsics))
    steps = method.upsample(scene.depth, scene.guide, scene.seen)
    everywhere = np.ones_like(scene.seen)
    assert scene.error(steps, everywhere) < 0.5 * scene.error(ramps, everywhere)


@pytest.mark.parametrize("scale", [4, 8])
def test_the_surface_to_project_by_has_planes_and_steps_and_no_other_depth(scale):
    plane = np.tile(2 + 0.02 * np.arange(16, dtype=np.float32), (12, 1))
    smooth = bicubic(plane, scale=scale)
    np.testing.assert_allclose(stepped_surface(plane, scale), np.clip(smooth, plane[0, 0], plane[0, -1]), atol=1e-6)
    step = np.where(np.arange(16) < 7, 1.0, 2.5).astype(np.float32)
    fine = np.repeat(step, scale)
    np.testing.assert_array_equal(stepped_surface(np.tile(step, (12, 1)), scale), np.tile(fine, (12 * scale, 1)))
    # the step lies within a pixel, which then shows a depth that nothing has
    within = np.where(np.arange(16 * scale) < 7.25 * scale, 1.0, 2.5).astype(np.float32)
    depth_lr = block_mean(np.tile(within, (12 * scale, 1)), scale)
    surface = stepped_surface(depth_lr, scale)
    assert set(np.unique(surface).tolist()) == {1.0, 2.5}
    assert ((surface != within).sum(axis=1) <= 1).all()


class Colours(ResidualNetwork):
    """A guided network that knows no missing colour: its detail is the guide's red."""

    name = "colours"
    requires_guide = True

    def detail(self, depth, guide):
        return guide[:, :1]


def test_other_guided_networks_get_the_nearest_colour_that_was_seen(monkeypatch):
    monkeypatch.setattr(upsampler, "load_model", lambda *_: (Colours(2).eval(), None, None))
    method = DepthUpsampler("colours", 2, device="cpu")
    guide = np.zeros((16, 16, 3), np.uint8)
    guide[:, :6], guide[:, 10:] = 50, 200
    seen = np.ones((16, 16), bool)
    seen[:, 6:10] = False
    depth = np.tile(np.linspace(1, 2, 8, dtype=np.float32), (8, 1))
    expected = guide.copy()
    expected[:, 6:8], expected[:, 8:10] = 50, 200
    np.testing.assert_array_equal(method.upsample(depth, guide, seen), method.upsample(depth, expected))


@pytest.mark.parametrize("value", [True, False])
def test_all_or_nothing_seen(value):
    scene = Scene(4, 0.025)
    method = DepthUpsampler("dada_rgb", 4, device="cpu")
    result = method.upsample(scene.depth, scene.guide, np.full_like(scene.seen, value))
    assert np.isfinite(result).all()
    if value:
        np.testing.assert_array_equal(result, method.upsample(scene.depth, scene.guide))
    else:
        assert scene.error(result, np.ones_like(scene.seen)) < scene.error(scene.bicubic, np.ones_like(scene.seen))


@pytest.mark.parametrize(
    ("method", "seen", "words"),
    [
        ("dada_rgb", np.ones((96, 127), bool), r"guide_seen must be bool \(96, 128\)"),
        ("dada_rgb", np.ones((96, 128), np.uint8), "got uint8"),
        ("bicubic", np.ones((96, 128), bool), "takes no guide"),
    ],
)
def test_an_unfit_mask_is_refused(method, seen, words):
    guide = None if method == "bicubic" else np.zeros((96, 128, 3), np.uint8)
    with pytest.raises(ValueError, match=words):
        DepthUpsampler(method, 4, device="cpu").upsample(np.ones((24, 32), np.float32), guide, seen)


def test_gradients_are_finite_where_no_colour_was_seen():
    torch.manual_seed(0)
    model = create_model("dada", 4, "lite")
    depth, guide = 1 + torch.rand(1, 1, 8, 8), torch.rand(1, 3, 32, 32)
    guide[..., 5:12, 9:20] = torch.nan
    model(depth, guide).square().mean().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(torch.isfinite(g).all() for g in gradients) and any(g.abs().sum() > 0 for g in gradients)
