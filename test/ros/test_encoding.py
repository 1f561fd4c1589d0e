"""Arrays and calibrations to messages, and back through the decoder."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from std_msgs.msg import Header

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.inference.calibration import Calibration
from depth_sr_ros.inference.frames import DepthImage
from depth_sr_ros.messages.camera_info import decode_camera_info
from depth_sr_ros.messages.images import decode_depth
from depth_sr_ros.ros.encoding import (
    MissingPackageError,
    camera_info_message,
    header_of,
    image_message,
    points_array,
    points_message,
)

CAMERA = Intrinsics(70.0, 72.0, 40.5, 28.0, 80, 60)
DEPTHS = {
    "16UC1": (np.arange(12).reshape(3, 4) * 54321 % 65536).astype(np.uint16),
    "32FC1": np.linspace(-1, 5, 12, dtype=np.float32).reshape(3, 4),
}


@pytest.mark.parametrize("encoding", DEPTHS)
def test_output_goes_round(encoding):
    header = Header(frame_id="camera")
    header.stamp.sec = 7
    msg = image_message(DEPTHS[encoding], header)
    assert (msg.encoding, msg.header, msg.height, msg.width) == (encoding, header, 3, 4)
    np.testing.assert_array_equal(decode_depth(msg).pixels, DEPTHS[encoding])


def test_output_of_another_type_is_refused():
    with pytest.raises(ValueError, match="float64"):
        image_message(np.zeros((2, 2)), Header())


def test_stamp_and_frame_are_those_of_the_image():
    image = DepthImage(1_700_000_000_123_456_789, "camera", DEPTHS["16UC1"])
    header = header_of(image)
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (1_700_000_000, 123_456_789, "camera")
    back = decode_depth(image_message(image.pixels, header))
    assert (back.stamp_ns, back.frame_id) == (image.stamp_ns, image.frame_id)


def test_calibration_goes_round():
    calibration = Calibration(
        stamp_ns=7_000_000_005,
        frame_id="camera",
        width=320,
        height=240,
        k=(280.0, 0.0, 163.5, 0.0, 288.0, 113.5, 0.0, 0.0, 1.0),
        d=(0.1, 0.0, -0.2, 0.0, 0.0),
        distortion_model="plumb_bob",
        r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        p=(280.0, 0.0, 163.5, -14.0, 0.0, 288.0, 113.5, 0.0, 0.0, 0.0, 1.0, 0.0),
    )
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 7, 5
    assert decode_camera_info(camera_info_message(calibration, header)) == calibration


def test_points_are_rays_times_depth():
    camera = CAMERA
    depth = np.full((60, 80), 2.0, np.float32)
    depth[3, 4] = np.nan
    points = points_array(depth, camera)
    assert points.shape == (60, 80, 3) and points.dtype == np.float32 and np.isnan(points[3, 4]).all()
    pixels, _ = cv2.projectPoints(
        points[10:12, 20:23].reshape(-1, 1, 3), np.zeros(3), np.zeros(3), camera.matrix(), None
    )
    np.testing.assert_allclose(
        pixels.reshape(2, 3, 2), np.stack(np.meshgrid(np.arange(20, 23), np.arange(10, 12)), -1), atol=1e-4
    )


def test_points_name_the_package_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "sensor_msgs_py", None)
    camera = CAMERA
    with pytest.raises(MissingPackageError, match="sensor_msgs_py"):
        points_message(np.ones((60, 80), np.float32), camera, Header())
