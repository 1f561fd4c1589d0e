"""Bayer and YUV 4:2:2 images to RGB, by the library that is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from .errors import DecodeError

PACKED_BYTES = {
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
    "yuv422": 2,
    "uyvy": 2,
    "yuv422_yuy2": 2,
    "yuyv": 2,
}
"""Encoding to bytes per pixel."""

_LIBRARY_NAMES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}


def decode_packed(rows: np.ndarray, encoding: str) -> np.ndarray:
    """The image in `rows`, (H, W * bytes per pixel) uint8, as (H, W, 3) uint8 RGB.

    Decoded by cv_bridge where a working ROS 2 one is installed, else by rosbags-image.

    Raises:
        DecodeError: for a size that `encoding` cannot have, or when neither library works.
    """
    height, width = rows.shape[0], rows.shape[1] // PACKED_BYTES[encoding]
    if PACKED_BYTES[encoding] == 2 and width % 2:
        raise DecodeError(f"{encoding} image with an odd width of {width} pixels: expected an even one")
    if PACKED_BYTES[encoding] == 1 and min(width, height) < 2:
        raise DecodeError(f"Bayer image of {width}x{height} pixels: expected at least 2x2")
    tight = np.ascontiguousarray(rows)
    name = _LIBRARY_NAMES.get(encoding, encoding)
    bridge = _cv_bridge()
    if bridge is not None:
        return bridge.imgmsg_to_cv2(_ros_image(tight, width, name), "rgb8")
    message = SimpleNamespace(
        height=height, width=width, encoding=name, step=tight.shape[1], is_bigendian=0, data=tight.ravel()
    )
    return _rosbags_image()(message, "rgb8")


def _ros_image(rows: np.ndarray, width: int, encoding: str) -> Any:
    """A message of rclpy, which cv_bridge insists on; it is installed wherever cv_bridge works."""
    from sensor_msgs.msg import Image

    message = Image(height=rows.shape[0], width=width, encoding=encoding, step=rows.shape[1])
    message.data.frombytes(rows.tobytes())
    return message


@cache
def _cv_bridge() -> Any | None:
    """A ROS 2 CvBridge that works, or None. The package of that name on PyPI is a broken ROS 1 build."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        decoded = bridge.imgmsg_to_cv2(_ros_image(np.array([[1, 2]], np.uint8), 1, "16UC1"))
        return bridge if decoded.dtype == np.uint16 and decoded[0, 0] == 0x0201 else None
    except Exception:  # whatever a foreign build throws, the other decoder takes over
        return None


@cache
def _rosbags_image() -> Callable[..., np.ndarray]:
    try:
        from rosbags.image import image_to_cvimage
    except ImportError as error:
        raise DecodeError(
            "Bayer and YUV images need cv_bridge (a ROS 2 install) or rosbags-image (pip install rosbags-image), "
            f"neither of which works here: {error}"
        ) from None
    return image_to_cvimage
