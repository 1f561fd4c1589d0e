"""What the node publishes for a frame: the image, its camera_info with the same stamp, and points if asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from ..depth import from_metres
from ..inference.pairing import Frame
from .messages import (
    distortion,
    distortion_hint,
    image_message,
    intrinsics,
    is_calibrated,
    points_message,
    scaled_camera_info,
)


class Outputs:
    """The lifecycle publishers of `node`.

    Args:
        node: owner of the publishers.
        trouble: called with (kind, text) when something cannot be published.
        on_incompatible_qos: called with (topic, event) when a subscriber asks for more than we offer.
    """

    def __init__(
        self,
        node: LifecycleNode,
        trouble: Callable[[str, str], None],
        on_incompatible_qos: Callable[[str, object], None],
    ):
        self._node, self._trouble, self._on_incompatible_qos = node, trouble, on_incompatible_qos
        self._image = self._create(Image, "depth_sr/image_raw")
        self._info = self._create(CameraInfo, "depth_sr/camera_info")
        self._points = None
        self._distortion_told: tuple[float, ...] = ()

    def _create(self, message_type: type, topic: str):
        resolved = self._node.resolve_topic_name(topic)
        return self._node.create_lifecycle_publisher(
            message_type,
            topic,
            QoSProfile(depth=10),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=PublisherEventCallbacks(
                incompatible_qos=lambda event: self._on_incompatible_qos(resolved, event)
            ),
        )

    def offer_points(self, wanted: bool, active: bool) -> None:
        """Have a publisher of points, or none; `active` as the node is."""
        if wanted and self._points is None:
            self._points = self._create(PointCloud2, "depth_sr/points")
            if active:
                self._points.on_activate(None)
        elif not wanted and self._points is not None:
            publisher, self._points = self._points, None
            self._node.destroy_lifecycle_publisher(publisher)

    def destroy(self) -> None:
        """Destroy every publisher."""
        for publisher in filter(None, (self._image, self._info, self._points)):
            self._node.destroy_lifecycle_publisher(publisher)

    def publish(self, frame: Frame, depth_hr: np.ndarray) -> None:
        """Publish `depth_hr` (H * s, W * s) float32 metres in the encoding, stamp and frame_id of `frame`'s image."""
        message, raw = frame.depth
        scale = depth_hr.shape[0] // raw.shape[0]
        self._publish_info(frame.info, message, scale)
        self._image.publish(image_message(from_metres(depth_hr, raw.dtype), message.header))
        self._publish_points(depth_hr, frame.info, message, scale)

    def _publish_info(self, info: CameraInfo | None, depth: Image, scale: int) -> None:
        if info is None:
            self._trouble(
                "camera_info",
                f"no camera_info came on {self._node.resolve_topic_name('depth/camera_info')}, one per depth image was "
                "expected: the image goes out without one; publish or remap it",
            )
            return
        try:
            scaled = scaled_camera_info(info, depth.width, depth.height, scale, depth.header)
        except ValueError as error:  # whatever is wrong with a camera_info, its image goes out
            self._trouble("camera_info", f"no camera_info goes out: {error}")
            return
        if not is_calibrated(info):
            self._trouble(
                "camera_info",
                f"camera_info of {info.header.frame_id!r} came with K = 0 (uncalibrated), fx, fy > 0 were expected: "
                "it stays uncalibrated in the output, and RGB cannot guide; calibrate the camera",
            )
        self._info.publish(scaled)

    def _publish_points(self, depth_hr: np.ndarray, info: CameraInfo | None, depth: Image, scale: int) -> None:
        publisher = self._points
        if publisher is None or info is None:
            return
        try:
            camera = intrinsics(info, depth.width, depth.height).scaled(scale)
            publisher.publish(points_message(depth_hr, camera, depth.header))
        except ValueError as error:
            self._trouble("camera_info", f"no points go out: {error}")
            return
        lens = distortion(info)
        if lens and lens != self._distortion_told:
            self._distortion_told = lens
            self._trouble("distortion", distortion_hint("the point cloud", info))
