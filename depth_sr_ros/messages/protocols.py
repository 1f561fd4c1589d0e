"""The fields of ROS messages that are read here; messages of rclpy and of rosbags have them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class TimeMessage(Protocol):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class HeaderMessage(Protocol):
    """std_msgs/Header."""

    stamp: TimeMessage
    frame_id: str


class StampedMessage(Protocol):
    """Any message with a header."""

    header: HeaderMessage


class ImageMessage(StampedMessage, Protocol):
    """sensor_msgs/Image; `data` supports the buffer protocol (array.array of rclpy, ndarray of rosbags)."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class RegionOfInterestMessage(Protocol):
    """sensor_msgs/RegionOfInterest."""

    x_offset: int
    y_offset: int
    width: int
    height: int


class CameraInfoMessage(StampedMessage, Protocol):
    """sensor_msgs/CameraInfo."""

    height: int
    width: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    r: Sequence[float]
    p: Sequence[float]
    binning_x: int
    binning_y: int
    roi: RegionOfInterestMessage


def stamp_ns(message: StampedMessage) -> int:
    """header.stamp in nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
