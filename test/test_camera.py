import numpy as np
import pytest

from depth_sr_ros.camera import Extrinsics, Intrinsics, RegisteredWarp, warp_guide

VGA = Intrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)


def test_scaling_keeps_rays():
    """The outer image border is where it was: u + 0.5 scales, so a pixel's ray does not move."""
    scaled = VGA.scaled(4)
    u = np.array([0.0, 100.25, 639.0])
    u_scaled = (u + 0.5) * 4 - 0.5
    np.testing.assert_allclose((u_scaled - scaled.cx) / scaled.fx, (u - VGA.cx) / VGA.fx)
    assert (scaled.width, scaled.height) == (2560, 1920)
    assert scaled.scaled(0.25) == VGA


@pytest.mark.parametrize("bad", [dict(fx=0.0), dict(fy=-1.0), dict(cx=np.nan), dict(width=0)])
def test_no_camera_is_refused(bad):
    values = dict(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=2, height=2) | bad
    with pytest.raises(ValueError, match="not a camera"):
        Intrinsics(**values)


def test_crop_moves_the_principal_point():
    assert VGA.cropped(10, 20, 100, 50) == Intrinsics(525.0, 525.0, 309.5, 219.5, 100, 50)


def test_registered_same_camera_is_the_same_image():
    rgb = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    assert RegisteredWarp(VGA, VGA)(rgb) is rgb


def test_registered_map_follows_the_rays():
    """A gradient image painted by ray direction comes out painted by the target's ray direction."""
    wide = Intrinsics(400.0, 410.0, 300.0, 250.0, 640, 480)
    target = Intrinsics(600.0, 590.0, 330.0, 235.0, 640, 480)
    u = (np.arange(640) - wide.cx) / wide.fx
    rgb = np.repeat(np.clip(u * 100 + 128, 0, 255)[None, :, None], 480, 0).repeat(3, 2).round().astype(np.uint8)
    warp = RegisteredWarp(target, wide)
    expected = (np.arange(640) - target.cx) / target.fx * 100 + 128
    inside = warp.seen[240]
    assert np.abs(warp(rgb)[240, inside, 0] - expected[inside]).max() < 1.5


def test_wrong_size_is_named():
    with pytest.raises(ValueError, match="320x240 with intrinsics for 640x480"):
        RegisteredWarp(VGA, VGA)(np.zeros((240, 320, 3), np.uint8))


def test_quaternion_rotates():
    half_turn_about_y = Extrinsics.from_xyz_quaternion([0, 0, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(half_turn_about_y.rotation @ [1, 2, 3], [-1, 2, -3], atol=1e-12)


@pytest.mark.parametrize("bad", [[0, 0, 0, 0, 0, 0, 0], [0, 0, 0], [0, 0, 0, 0, 0, 0, np.nan]])
def test_bad_extrinsics_are_refused(bad):
    with pytest.raises(ValueError, match="extrinsics"):
        Extrinsics.from_xyz_quaternion(bad)


def test_warp_shifts_by_disparity():
    """A plane at Z seen from a camera b to the right moves by fx b / Z pixels."""
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (480, 640, 3), np.uint8)
    depth = np.full((480, 640), 2.0, np.float32)
    baseline = 2.0 * 20 / VGA.fx  # 20 pixels
    guide, seen = warp_guide(rgb, depth, VGA, VGA, Extrinsics(np.eye(3), np.array([-baseline, 0, 0])))
    assert np.abs(guide[:, 20:].astype(int) - rgb[:, :-20]).max() <= 1
    assert seen[:, 20:].all() and not seen[:, :19].any()
    assert (guide[~seen] == 0).all()


def test_warp_hides_what_the_rgb_camera_cannot_see():
    """A wall behind a box: beside the box lies a strip of wall that the shifted RGB camera does not see."""
    depth = np.full((480, 640), 4.0, np.float32)
    depth[100:300, 200:400] = 1.0
    rgb = np.full((480, 640, 3), 50, np.uint8)
    baseline = 0.1
    _, seen = warp_guide(rgb, depth, VGA, VGA, Extrinsics(np.eye(3), np.array([-baseline, 0, 0])))
    shift_box, shift_wall = VGA.fx * baseline / 1.0, VGA.fx * baseline / 4.0
    strip = round(shift_box - shift_wall)
    assert seen[150:250, 205:395].all()
    hidden_left = ~seen[200, 200 - strip : 200]
    hidden_right = ~seen[200, 400 : 400 + strip]
    # the RGB camera stands to the right: the box covers wall on one side only
    assert max(hidden_left.mean(), hidden_right.mean()) > 0.9
    assert min(hidden_left.mean(), hidden_right.mean()) < 0.1


def test_warp_of_holes_is_unseen():
    depth = np.full((480, 640), np.nan, np.float32)
    _, seen = warp_guide(np.zeros((480, 640, 3), np.uint8), depth, VGA, VGA, Extrinsics(np.eye(3), np.zeros(3)))
    assert not seen.any()
