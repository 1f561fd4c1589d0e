"""Arrays and calibrations to the ROS messages that the node publishes."""

from __future__ import annotations

import array
import sys
from types import ModuleType

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from ..camera import Intrinsics
from ..inference.calibration import Calibration
from ..inference.frames import DepthImage
from ..messages.images import DEPTH_DTYPES


class MissingPackageError(ValueError):
    """An option needs a ROS package that is not installed."""


def header_of(image: DepthImage) -> Header:
    """Stamp and frame_id of `image`."""
    header = Header(frame_id=image.frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(image.stamp_ns, 1_000_000_000)
    return header


def image_message(pixels: np.ndarray, header: Header) -> Image:
    """(H, W) uint16 or float32 to a 16UC1 or 32FC1 message with `header`.

    Raises:
        ValueError: for another dtype.
    """
    encodings = {dtype: name for name, dtype in DEPTH_DTYPES.items()}
    if pixels.dtype not in encodings or pixels.ndim != 2:
        raise ValueError(f"depth is sent as (H, W) uint16 or float32, got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape
    msg = Image(header=header, height=height, width=width, encoding=encodings[pixels.dtype])
    msg.step = width * pixels.itemsize
    msg.is_bigendian = int(sys.byteorder == "big")
    # rclpy takes an array('B') as it is; anything else it copies element by element, a thousand times slower
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    msg.data = data
    return msg


def camera_info_message(calibration: Calibration, header: Header) -> CameraInfo:
    """`calibration`, which has no ROI (see `Calibration.scaled`), as a message with `header`."""
    msg = CameraInfo(header=header, height=calibration.height, width=calibration.width)
    msg.distortion_model, msg.d = calibration.distortion_model, list(calibration.d)
    msg.k, msg.r, msg.p = calibration.k, calibration.r, calibration.p
    msg.binning_x, msg.binning_y = calibration.binning_x, calibration.binning_y
    return msg


def points_array(depth: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """(H, W) float32 metres to (H, W, 3) float32 x, y, z in the optical frame (REP 103); NaN where depth is."""
    x = (np.arange(camera.width, dtype=np.float32) - np.float32(camera.cx)) / np.float32(camera.fx)
    y = (np.arange(camera.height, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    return cv2.merge([depth * x, depth * y[:, None], depth])


def points_message(depth: np.ndarray, camera: Intrinsics, header: Header) -> PointCloud2:
    """An organised cloud of `depth` (H, W) float32 metres, as large as the image.

    Raises:
        MissingPackageError: when sensor_msgs_py is not installed.
    """
    point_cloud2 = require_sensor_msgs_py()
    height, width = depth.shape
    cloud = point_cloud2.create_cloud_xyz32(header, points_array(depth, camera).reshape(-1, 3))
    cloud.height, cloud.width = height, width
    cloud.row_step = cloud.point_step * width
    cloud.is_dense = bool(np.isfinite(depth).all())
    return cloud


def require_sensor_msgs_py() -> ModuleType:
    """The module sensor_msgs_py.point_cloud2.

    Raises:
        MissingPackageError: when it is not installed.
    """
    try:
        from sensor_msgs_py import point_cloud2
    except ImportError:
        raise MissingPackageError(
            "publish_points needs the ROS package sensor_msgs_py, which is not installed here: "
            "apt install ros-$ROS_DISTRO-sensor-msgs-py, or set publish_points to false"
        ) from None
    return point_cloud2
