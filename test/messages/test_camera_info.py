"""camera_info of rclpy and of rosbags: what is read, and the calibration of the upsampled image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.inference.calibration import Calibration, CalibrationError, RegionOfInterest, distortion_hint
from depth_sr_ros.messages.camera_info import decode_camera_info

STORE = get_typestore(Stores.ROS2_KILTED)


def make_calibration(
    width=80, height=60, fx=70.0, fy=72.0, cx=40.5, cy=28.0, baseline=0.0, frame="depth", **changes
) -> Calibration:
    calibration = Calibration(
        stamp_ns=7_000_000_005,
        frame_id=frame,
        width=width,
        height=height,
        k=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
        d=(0.1, 0.0, 0.0, 0.0, 0.0),
        distortion_model="plumb_bob",
        r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        p=(fx, 0.0, cx, -fx * baseline, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
    )
    return dataclasses.replace(calibration, **changes)


def rosbags_info(width: int, height: int, **changes):
    types = STORE.types
    time = types["builtin_interfaces/msg/Time"](sec=7, nanosec=5)
    fields = {
        "header": types["std_msgs/msg/Header"](stamp=time, frame_id="depth"),
        "width": width,
        "height": height,
        "distortion_model": "plumb_bob",
        "d": np.array([0.1, 0, 0, 0, 0]),
        "k": np.array([70.0, 0, 40.5, 0, 72.0, 28.0, 0, 0, 1]),
        "r": np.eye(3).ravel(),
        "p": np.array([70.0, 0, 40.5, -3.5, 0, 72.0, 28.0, 0, 0, 0, 1, 0]),
        "binning_x": 2,
        "binning_y": 3,
        "roi": types["sensor_msgs/msg/RegionOfInterest"](x_offset=1, y_offset=2, width=40, height=30, do_rectify=False),
    }
    return types["sensor_msgs/msg/CameraInfo"](**fields | changes)


def rclpy_info(width: int, height: int):
    message = pytest.importorskip("sensor_msgs.msg").CameraInfo(width=width, height=height)
    message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id = 7, 5, "depth"
    twin = rosbags_info(width, height)
    for name in ("distortion_model", "d", "k", "r", "p", "binning_x", "binning_y"):
        value = getattr(twin, name)
        setattr(message, name, value.tolist() if name == "d" else value)
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(message.roi, name, getattr(twin.roi, name))
    return message


@pytest.mark.parametrize("make", [rosbags_info, rclpy_info])
def test_every_field_is_read(make):
    expected = make_calibration(baseline=0.05, binning_x=2, binning_y=3, roi=RegionOfInterest(1, 2, 40, 30))
    read = decode_camera_info(make(80, 60))
    assert dataclasses.replace(read, p=expected.p) == expected
    np.testing.assert_allclose(read.p, expected.p)
    assert hash(read) == hash(decode_camera_info(make(80, 60)))


def test_calibration_is_scaled_with_half_pixel_centres():
    out = make_calibration(baseline=0.05).scaled(80, 60, 4)
    assert (out.width, out.height) == (320, 240)
    np.testing.assert_allclose(out.k, [280, 0, 163.5, 0, 288, 113.5, 0, 0, 1])
    np.testing.assert_allclose(out.p, [280, 0, 163.5, -280 * 0.05, 0, 288, 113.5, 0, 0, 0, 1, 0])
    assert out.d == (0.1, 0, 0, 0, 0) and out.distortion_model == "plumb_bob"


def test_a_point_projects_to_the_same_place_of_the_scaled_image():
    info = make_calibration()
    out = info.scaled(80, 60, 3)
    point = np.array([0.2, -0.1, 1.5])
    small, large = (np.reshape(k, (3, 3)) @ point / point[2] for k in (info.k, out.k))
    np.testing.assert_allclose(large[:2] + 0.5, 3 * (small[:2] + 0.5))


def test_binning_and_roi_are_folded_in():
    info = make_calibration(
        640,
        480,
        500.0,
        500.0,
        319.5,
        239.5,
        roi=RegionOfInterest(64, 32, 320, 240),
        binning_x=2,
        binning_y=2,
    )
    camera = info.intrinsics(160, 120)
    assert camera == Intrinsics(250, 250, (319.5 - 64 + 0.5) / 2 - 0.5, (239.5 - 32 + 0.5) / 2 - 0.5, 160, 120)
    out = info.scaled(160, 120, 4)
    expected = camera.scaled(4)
    np.testing.assert_allclose(np.reshape(out.k, (3, 3)), expected.matrix())
    np.testing.assert_allclose(np.reshape(out.p, (3, 4))[:, :3], expected.matrix())
    assert (out.width, out.height, out.binning_x, out.roi.width) == (640, 480, 0, 0)


def test_an_uncalibrated_camera_stays_uncalibrated():
    info = make_calibration(fx=0.0, fy=0.0, cx=0.0, cy=0.0)
    assert not info.is_calibrated and info.fits(1, 1)
    out = info.scaled(80, 60, 4)
    assert (out.width, out.height) == (320, 240) and not out.is_calibrated and out.k[2] == 0
    with pytest.raises(CalibrationError, match="uncalibrated"):
        info.intrinsics(80, 60)


UNFIT_WINDOWS = {
    "roi without width": ({"height": 10}, 0, "ROI of 0x10"),
    "roi without height": ({"width": 10}, 0, "ROI of 10x0"),
    "binning beyond the image": ({}, 81, "binning 81x81"),
    "binning beyond the roi": ({"width": 2, "height": 2}, 4, "ROI of 2x2 and binning 4x4"),
}


@pytest.mark.parametrize("case", UNFIT_WINDOWS)
def test_roi_and_binning_that_leave_no_image_are_rejected(case):
    roi, binning, words = UNFIT_WINDOWS[case]
    info = make_calibration(roi=RegionOfInterest(**roi), binning_x=binning, binning_y=binning)
    assert not info.fits(80, 60)
    for read in (lambda: info.intrinsics(80, 60), lambda: info.scaled(80, 60, 4)):
        with pytest.raises(CalibrationError, match=words):
            read()


def test_info_of_another_image_is_rejected():
    info = make_calibration()
    assert info.fits(80, 60) and not info.fits(40, 30)
    with pytest.raises(CalibrationError, match=r"80x60.*40x30"):
        info.intrinsics(40, 30)


def test_distortion_compares_without_trailing_zeros():
    assert make_calibration().distortion == (0.1,)
    straight = make_calibration(d=(0.0,) * 5, frame="rgb")
    assert straight.distortion == ()
    hint = distortion_hint("this use", make_calibration(), straight)
    assert "'depth'" in hint and "'rgb'" not in hint and "this use" in hint
