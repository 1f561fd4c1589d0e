"""LR kernels against their definitions and other programs, the rule for holes, and that all users make the same map."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from depth_sr_ros.choices import CONSTRAINT_KERNELS
from depth_sr_ros.depth import expand_mask
from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.lr_kernels import (
    LEVEL_KERNELS,
    LR_KERNELS,
    downsample,
    imresize_uint8,
    lr_invalid,
    round_uint8,
    row_matrix,
)
from depth_sr_ros.models.equilibrium import EquilibriumModel
from depth_sr_ros.synthetic import DepthCamera
from depth_sr_ros.synthetic.sensor import SENSOR_KERNELS
from training.benchmark.datasets import Scene
from training.benchmark.protocols import DISPARITY, Protocol
from training.benchmark.runner import _degrade
from training.benchmark.sensors import Degradation, SensorFrame, degrade
from training.data.degradations import Degrader, WeightedKernel
from training.data.patches import FrameDataset
from training.data.sample import RGBDSample, Source
from training.data.store import SampleStore

SCALES = (2, 4, 8, 16)
METRES = Protocol("metres", "bicubic", "m", ("mad",))


def scene(unit: str, holes: bool) -> np.ndarray:
    """(160, 192) float32: slanted planes with steps, as whole disparity levels or as metres."""
    rows, columns = np.indices((160, 192))
    depth = np.where(columns + rows // 3 < 100, 180 + rows // 8, 40 + columns // 6)
    depth = depth + np.random.default_rng(1).integers(-2, 3, depth.shape)
    depth = (depth if unit == "disparity" else 200 / depth).astype(np.float32)
    if holes:
        rng = np.random.default_rng(2)
        depth[rng.random(depth.shape) < 0.05] = np.nan
        for y, x, radius in ((30, 40, 20), (100, 150, 30), (0, 0, 25)):
            depth[np.hypot(rows - y, columns - x) < radius] = np.nan
    return depth


class OneMap(Source):
    """A data set of one map."""

    layout, has_guide = "one", False

    def __init__(self, depth: np.ndarray, unit: str):
        self.depth, self.unit = depth, unit

    @property
    def names(self) -> list[str]:
        return ["map"]

    def scene_of(self, index: int) -> str:
        return "one/map"

    def __getitem__(self, index: int) -> RGBDSample:
        return RGBDSample(self.depth, None, "map", self.unit)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("unit", ["disparity", "m"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", LR_KERNELS)
def test_training_and_benchmark_make_the_same_lr_map_and_mask(kernel, scale, unit, holes):
    depth = scene(unit, holes)
    store = SampleStore([OneMap(depth, unit)], lambda name: True)
    degrader = Degrader([WeightedKernel(kernel)])
    trained = FrameDataset(store, scale=scale, degrader=degrader, normalise="none", with_guide=False)[0]
    protocol = DISPARITY if unit == "disparity" else METRES
    case = _degrade(Scene("map", depth.astype(np.float64), None, protocol), scale, kernel, 0.0)

    valid = np.isfinite(case.depth_lr)
    assert np.array_equal(trained["valid_lr"][0], valid) and valid.all() == (not holes)
    assert np.array_equal(trained["valid"][0], np.isfinite(case.truth))
    assert np.array_equal(trained["depth_lr"][0].numpy()[valid], case.depth_lr.astype(np.float32)[valid])
    raw = degrader(depth, scale, np.random.default_rng(0), store.load(0)[1])
    assert np.array_equal(raw, case.depth_lr.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("kernel", SENSOR_KERNELS)
@pytest.mark.parametrize("scale", SCALES)
def test_sensor_model_and_sensor_benchmark_make_that_map_too(kernel, scale):
    depth = scene("m", holes=True)
    expected = downsample(depth, scale, kernel)
    frame = SensorFrame("g", "f", depth.astype(np.float64), None, True)
    assert np.array_equal(degrade(frame, scale, Degradation("-", kernel)), expected, equal_nan=True)
    observed = DepthCamera.ideal(scale, kernel).observe(depth, np.random.default_rng(0))
    seen = np.isfinite(observed)  # the camera returns nothing beyond its range, which overshoot may reach
    assert np.array_equal(observed[seen], expected[seen]) and seen.sum() >= 0.99 * np.isfinite(expected).sum()


@pytest.mark.parametrize("kernel", LR_KERNELS)
@pytest.mark.parametrize("scale", SCALES)
def test_what_was_made_by_a_kernel_is_consistent_under_it(kernel, scale):
    depth = scene("disparity", holes=True)
    level = 1.0 if kernel in LEVEL_KERNELS else None
    depth_lr = downsample(depth, scale, kernel, level=level)
    assert lr_consistency(depth, depth_lr, kernel, level=level) < 1e-5
    other = "nearest" if kernel != "nearest" else "bicubic"
    assert lr_consistency(depth, depth_lr, other) > 1e-2


@pytest.mark.parametrize("kernel", LR_KERNELS)
def test_dtype_is_kept_and_values_do_not_depend_on_it(kernel):
    depth = scene("m", holes=True)
    single, double = (downsample(x, 4, kernel, level=0.01) for x in (depth, depth.astype(np.float64)))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert np.array_equal(single, double.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("kernel", LR_KERNELS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_cell_is_invalid_where_half_its_pixels_are(kernel, scale):
    depth = np.full((4 * scale, 4 * scale), 100, np.float32)
    depth[: scale // 2, :scale] = np.nan  # half of cell (0, 0)
    below = np.arange(scale * scale).reshape(scale, scale) > scale * scale // 2
    depth[scale : 2 * scale, scale : 2 * scale][below] = np.nan  # one pixel less than half of cell (1, 1)
    depth[scale // 2, 2 * scale + scale // 2] = np.nan  # the pixel of cell (0, 2) that nearest takes
    lr = downsample(depth, scale, kernel, level=1)
    assert np.argwhere(np.isnan(lr)).tolist() == [[0, 0]]
    assert np.array_equal(lr_invalid(depth, scale), np.isnan(lr))
    np.testing.assert_allclose(lr[np.isfinite(lr)], 100, rtol=1e-6)


def test_block_mean_averages_the_valid_pixels_of_a_valid_cell():
    depth = np.arange(16, dtype=np.float32).reshape(4, 4)
    depth[0, :3] = np.nan
    assert downsample(depth, 4, "block_mean").item() == pytest.approx(np.arange(3, 16).mean())


@pytest.mark.parametrize("kernel", [kernel for kernel in LR_KERNELS if kernel != "block_mean"])
def test_other_kernels_read_holes_as_their_nearest_valid_pixel(kernel):
    depth = np.full((16, 32), 7, np.float32)
    depth[:, 16:] = 90
    depth[5:7, 9:12] = np.nan
    filled = np.where(np.isnan(depth), np.float32(7), depth)
    assert np.array_equal(downsample(depth, 8, kernel, level=1), downsample(filled, 8, kernel, level=1))


@pytest.mark.parametrize("kernel", [kernel for kernel in LR_KERNELS if kernel not in LEVEL_KERNELS])
def test_zero_and_negative_values_are_valid(kernel):
    depth = scene("disparity", holes=True)
    np.testing.assert_allclose(downsample(depth - 100, 4, kernel), downsample(depth, 4, kernel) - 100, atol=1e-4)
    zeros = np.zeros((8, 8))
    zeros[0, 0] = np.nan
    assert np.array_equal(downsample(zeros, 4, kernel), np.zeros((2, 2)))


@pytest.mark.parametrize("kernel", LR_KERNELS)
def test_a_map_without_a_valid_pixel_gives_one_without(kernel):
    assert np.isnan(downsample(np.full((16, 16), np.nan), 4, kernel, level=1)).all()


@pytest.mark.parametrize("kernel", LR_KERNELS)
def test_planes_stay_planes(kernel):
    ramp = np.broadcast_to(np.arange(128.0), (64, 128)).copy()
    low = downsample(ramp, 4, kernel, level=1)
    np.testing.assert_allclose(np.diff(low[8, 2:-2]), 4, atol=0.5 if kernel in LEVEL_KERNELS else 1e-9)


def test_bicubic_is_pillows_inside_and_bicubic_pillow_everywhere():
    depth = np.random.default_rng(3).uniform(0, 10, (48, 64)).astype(np.float32)
    pillow = np.asarray(Image.fromarray(depth).resize((16, 12), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(downsample(depth, 4, "bicubic_pillow"), pillow, atol=1e-4)
    inside = (slice(2, -2), slice(2, -2))
    bicubic = downsample(depth, 4, "bicubic")
    np.testing.assert_allclose(bicubic[inside], pillow[inside], atol=1e-4)
    assert np.abs(bicubic - pillow).max() > 1e-2


def test_half_cell_is_the_mean_of_each_cell_s_middle():
    depth = np.random.default_rng(0).random((16, 24))
    middle = depth.reshape(4, 4, 6, 4)[:, 1:3, :, 1:3].mean((1, 3))
    np.testing.assert_allclose(downsample(depth, 4, "half_cell"), middle, rtol=1e-12)
    np.testing.assert_allclose(downsample(depth, 2, "half_cell"), downsample(depth, 2, "block_mean"), rtol=1e-12)


def test_nearest_takes_one_pixel_and_inter_cubic_is_opencvs():
    depth = np.random.default_rng(2).uniform(10, 200, (32, 32))
    assert np.array_equal(downsample(depth, 8, "nearest"), depth[4::8, 4::8])
    assert np.array_equal(downsample(depth, 8, "inter_cubic"), cv2.resize(depth, (4, 4), interpolation=cv2.INTER_CUBIC))
    made = {kernel: downsample(depth, 8, kernel) for kernel in ("bicubic", "block_mean", "nearest", "inter_cubic")}
    for one in made:
        for other in set(made) - {one}:
            assert np.abs(made[one] - made[other]).max() > 1, (one, other)


def test_bicubic_uint8_rounds_after_each_pass_as_pillow_does():
    depth = cv2.GaussianBlur(np.random.default_rng(0).uniform(30, 220, (64, 96)), (0, 0), 4).round()
    # Pillow passes along the rows first, MATLAB along the columns
    turned = Image.fromarray(np.ascontiguousarray(depth.T.astype(np.uint8)))
    expected = np.asarray(turned.resize((16, 24), Image.Resampling.BICUBIC)).T
    got = downsample(depth, 4, "bicubic_uint8", level=1)
    difference = np.abs(got - expected)[2:-2, 2:-2]
    assert np.array_equal(got, np.rint(got)) and difference.max() <= 1 and (difference > 0).mean() < 0.02
    assert np.array_equal(got, imresize_uint8(depth, (16, 24)))
    assert not np.array_equal(got, round_uint8(downsample(depth, 4, "bicubic")))
    np.testing.assert_allclose(downsample(depth / 100, 4, "bicubic_uint8", level=0.01), got / 100, atol=1e-12)


def test_round_uint8_rounds_halves_up_like_matlab_and_clips():
    assert round_uint8(np.array([0.5, 1.5, 2.5, -3.0, 300.0])).tolist() == [1, 2, 3, 0, 255]


@pytest.mark.parametrize("kernel", ["block_mean", "bicubic", "bicubic_pillow", "nearest", "half_cell"])
@pytest.mark.parametrize("scale", SCALES)
def test_row_matrices_are_the_kernel(kernel, scale):
    depth = scene("m", holes=False).astype(np.float64)
    rows, columns = (row_matrix(n, n // scale, kernel) for n in depth.shape)
    np.testing.assert_allclose(rows @ depth @ columns.T, downsample(depth, scale, kernel), atol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    assert not rows.flags.writeable


@pytest.mark.parametrize("kernel", CONSTRAINT_KERNELS)
def test_a_diffusion_model_is_held_to_the_kernel_of_that_name(kernel):
    class Model(EquilibriumModel):
        sizes, name = ("paper",), "test"

        def prepare(self, depth_lr, guide):
            raise NotImplementedError

    depth = scene("m", holes=False).astype(np.float64)
    seen = Model(8, "paper", lr_kernel=kernel).seen_by_sensor(torch.from_numpy(depth)[None, None])
    np.testing.assert_allclose(seen[0, 0], downsample(depth, 8, kernel), atol=1e-12)


def test_the_published_protocols_have_no_hole_and_every_pixel_counts():
    depth = scene("disparity", holes=False).astype(np.float64)
    case = _degrade(Scene("map", depth, None, DISPARITY), 4, "protocol", 0.0)
    assert np.array_equal(case.truth, depth) and expand_mask(np.isfinite(case.depth_lr), 4).all()


@pytest.mark.parametrize(
    ("depth", "scale", "kernel", "options", "message"),
    [
        (np.ones((4, 4)), 2, "lanczos", {}, r"unknown LR kernel 'lanczos': expected one of block_mean, .*inter_cubic"),
        (np.ones((5, 4)), 2, "nearest", {}, "5x4 map has no LR map at scale 2"),
        (np.ones((4, 4)), 0, "nearest", {}, "scale 0"),
        (np.ones((4, 4), np.uint16), 2, "nearest", {}, "float32 or float64"),
        (np.ones((1, 4, 4)), 2, "nearest", {}, r"\(H, W\)"),
        (np.ones((4, 4)), 2, "bicubic_uint8", {}, "level"),
        (np.ones((4, 4)), 2, "bicubic_uint8", {"level": 0.0}, "level"),
    ],
)
def test_errors(depth, scale, kernel, options, message):
    with pytest.raises(ValueError, match=message):
        downsample(depth, scale, kernel, **options)


def test_row_matrix_refuses_kernels_that_are_no_matrix():
    for kernel in ("bicubic_uint8", "inter_cubic"):
        with pytest.raises(ValueError, match="expected one of block_mean, bicubic, bicubic_pillow, half_cell, nearest"):
            row_matrix(16, 4, kernel)
    with pytest.raises(ValueError, match="no multiple"):
        row_matrix(10, 4, "bicubic")


def test_import_needs_no_torch():
    code = "import sys, depth_sr_ros.lr_kernels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
