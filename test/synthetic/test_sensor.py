"""The depth camera model: each effect against its formula."""

import numpy as np
import pytest

from depth_sr_ros.resize import block_mean
from depth_sr_ros.synthetic import DepthCamera, default_camera, quantise_disparity, quantise_range, random_scene
from depth_sr_ros.synthetic.sensor import (
    add_flying_pixels,
    add_range_noise,
    edge_mask,
    projector_shadow,
)


def step(near=1.0, far=2.0, shape=(64, 96), column=40):
    depth = np.full(shape, far, np.float32)
    depth[:, column:] = near
    return depth


@pytest.fixture(scope="module")
def frame():
    return random_scene(3).render(default_camera(320, 240))


def test_ideal_camera_is_the_kernel_alone(frame):
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(DepthCamera.ideal(4).observe(frame.depth, rng), block_mean(frame.depth, 4))


def test_unknown_kernel_and_missing_baseline_are_refused():
    with pytest.raises(ValueError, match="lanczos"):
        DepthCamera(kernel="lanczos")
    with pytest.raises(ValueError, match="expected one of"):
        DepthCamera(kernel="bicubic_uint8")  # of 8-bit images, and a camera measures metres
    with pytest.raises(ValueError, match="baseline"):
        DepthCamera(disparity_step=0.125)
    with pytest.raises(ValueError, match="focal"):
        DepthCamera(baseline=0.05).observe(step(), np.random.default_rng(0))


@pytest.mark.parametrize("z", [1.0, 3.0])
def test_noise_has_the_given_deviation(z):
    flat = np.full((300, 300), z, np.float32)
    error = add_range_noise(flat, np.random.default_rng(0), 0.002, 0.0015) - flat
    assert error.std() == pytest.approx(0.002 + 0.0015 * z * z, rel=0.03)
    assert abs(error.mean()) < 1e-4


def test_correlated_noise_keeps_its_strength_and_joins_neighbours():
    flat = np.full((300, 300), 1.0, np.float32)
    error = add_range_noise(flat, np.random.default_rng(0), 0.01, 0.0, correlation=1.5) - flat
    assert error.std() == pytest.approx(0.01, rel=0.1)
    assert np.corrcoef(error[:, 1:].ravel(), error[:, :-1].ravel())[0, 1] > 0.7


def test_slanted_surfaces_are_noisier():
    flat = np.ones((200, 200), np.float32)
    error = add_range_noise(flat, np.random.default_rng(0), 0.01, 0, incidence=np.full_like(flat, 0.5)) - flat
    assert error.std() == pytest.approx(0.02, rel=0.05)


def test_flying_pixels_hang_between_both_sides_of_an_edge():
    depth = step()
    flown = add_flying_pixels(depth, np.random.default_rng(0), 0.5)
    changed = flown != depth
    assert changed[edge_mask(depth, 0.04)].mean() == pytest.approx(0.5, abs=0.12)
    assert not changed[~edge_mask(depth, 0.04)].any()
    assert flown.min() >= 1 and flown.max() <= 2


def test_shadow_has_the_width_of_the_disparity_step():
    focal_baseline = 500 * 0.05
    shadow = projector_shadow(step(1.0, 2.0), focal_baseline)
    assert shadow[:, :40].sum(axis=1) == pytest.approx(focal_baseline * (1 - 0.5), abs=1.6)
    assert not shadow[:, 40:].any()
    slope = np.broadcast_to(np.linspace(1, 4, 200, dtype=np.float32), (4, 200))
    assert not projector_shadow(slope, 10.0).any()


def test_quantisation_steps():
    z = np.linspace(0.5, 4, 1000, dtype=np.float32)
    millimetres = quantise_range(z, 0.001) * 1000
    np.testing.assert_allclose(millimetres, np.rint(millimetres), atol=1e-3)
    coarse = quantise_disparity(z, 30.0, 0.125)
    assert np.abs(coarse - z).max() <= 16 * 0.125 / 30 / 2 * 1.1  # z^2 step / (2 f b) at 4 m
    np.testing.assert_allclose((30 / coarse / 0.125) % 1 % 0.99, 0, atol=0.02)


def test_dark_far_slanted_and_glossy_surfaces_leave_holes():
    flat, ones = np.full((64, 64), 2.0, np.float32), np.ones((64, 64), np.float32)
    camera = DepthCamera(scale=4, speckle=0, min_signal=0.01)

    def holes(**surface):
        return np.isnan(camera.observe(flat, np.random.default_rng(0), **surface)).mean()

    assert holes() == 0
    assert holes(infrared=0.01 * ones) == 1
    assert holes(incidence=0.02 * ones) == 1
    assert holes(gloss=0.9 * ones) == 1
    assert np.isnan(camera.observe(6 * flat, np.random.default_rng(0))).all()  # 12 m: out of range


def test_frame_observation_is_reproducible_and_plausible(frame):
    camera = DepthCamera(scale=4, baseline=0.05)
    a, b, other = (camera.observe_frame(frame, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(np.nan_to_num(a), np.nan_to_num(other))
    assert a.shape == (60, 80) and 0.001 < np.isnan(a).mean() < 0.3
    smooth = ~edge_mask(block_mean(frame.depth, 4), 0.02) & np.isfinite(a)
    assert np.abs(a - block_mean(frame.depth, 4))[smooth].mean() < 0.03
