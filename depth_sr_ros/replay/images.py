"""Image and CameraInfo messages of a bag to arrays and back; works on rosbags' message objects, without ROS."""

from __future__ import annotations

import cv2
import numpy as np

from depth_sr_ros.camera import Intrinsics, intrinsics_of_info
from depth_sr_ros.depth import to_metres

DEPTH_ENCODINGS = {"16UC1": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}
"""Encodings of depth: millimetres and metres (REP 118)."""


class ImageError(ValueError):
    """An image message that does not hold what it says."""


def decode_depth(message) -> np.ndarray:
    """sensor_msgs/Image with a depth encoding -> (H, W) float32 metres, NaN invalid.

    Raises:
        ImageError: another encoding, or fewer bytes than height * step.
    """
    dtype = DEPTH_ENCODINGS.get(message.encoding)
    if dtype is None:
        raise ImageError(f"depth has encoding {message.encoding!r}; expected one of {', '.join(DEPTH_ENCODINGS)}")
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(memoryview(message.data), np.uint8)
    if height * width == 0 or step < width * dtype.itemsize or data.size < height * step:
        raise ImageError(
            f"depth image of {width}x{height}, step {step}, has {data.size} bytes; expected at least "
            f"{height * max(step, width * dtype.itemsize)}"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * dtype.itemsize]
    order = ">" if message.is_bigendian else "<"
    image = np.ascontiguousarray(rows).view(dtype.newbyteorder(order))
    return to_metres(image.astype(dtype, copy=False))


def decode_colour(message) -> np.ndarray:
    """sensor_msgs/Image in any colour encoding (also Bayer and YUV) -> (H, W, 3) uint8 RGB.

    Raises:
        ImageError: an encoding without colour, or fewer bytes than the size needs.
    """
    from rosbags.image import ImageError as RosbagsImageError
    from rosbags.image import message_to_cvimage

    try:
        return np.ascontiguousarray(message_to_cvimage(message, "rgb8"))
    except (RosbagsImageError, ValueError, TypeError, cv2.error) as error:
        raise ImageError(
            f"colour image of {message.width}x{message.height} with encoding {message.encoding!r} "
            f"cannot be read: {error}"
        ) from error


def decode_intrinsics(message, width: int, height: int) -> Intrinsics:
    """sensor_msgs/CameraInfo -> the camera of its image of `width` x `height`, from K as the node reads it.

    Raises:
        ImageError: K is not set, ROI or binning leave no image, or the sizes do not belong together.
    """
    try:
        return intrinsics_of_info(message, width, height)
    except ValueError as error:
        raise ImageError(str(error)) from None


def stamp_of(message) -> int:
    """The header's stamp in nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
