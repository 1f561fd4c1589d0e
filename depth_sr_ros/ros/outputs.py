"""What the node publishes for a frame: the image, its camera_info with the same stamp, and points if asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from lifecycle_msgs.msg import State
from rclpy.event_handler import PublisherEventCallbacks, QoSOfferedIncompatibleQoSInfo
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from ..inference.calibration import Calibration, distortion_hint
from ..inference.frames import DepthImage, FramePair, Problem, ProblemKind
from .encoding import camera_info_message, header_of, image_message, points_message


class Outputs:
    """The lifecycle publishers of `node`.

    Args:
        node: owner of the publishers.
        report: called with a problem when something cannot be published.
        on_incompatible_qos: called with (topic, event) when a subscriber asks for more than we offer.
    """

    def __init__(
        self,
        node: LifecycleNode,
        report: Callable[[Problem], None],
        on_incompatible_qos: Callable[[str, QoSOfferedIncompatibleQoSInfo], None],
    ):
        self._node, self._report, self._on_incompatible_qos = node, report, on_incompatible_qos
        self._image = self._create(Image, "depth_sr/image_raw")
        self._info = self._create(CameraInfo, "depth_sr/camera_info")
        self._points: LifecyclePublisher | None = None
        self._distortion_told: tuple[float, ...] = ()

    def _create(self, message_type: type, topic: str) -> LifecyclePublisher:
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
                self._points.on_activate(LifecycleState("active", State.PRIMARY_STATE_ACTIVE))
        elif not wanted and self._points is not None:
            publisher, self._points = self._points, None
            self._node.destroy_lifecycle_publisher(publisher)

    def destroy(self) -> None:
        """Destroy every publisher."""
        for publisher in filter(None, (self._image, self._info, self._points)):
            self._node.destroy_lifecycle_publisher(publisher)

    def publish(self, pair: FramePair, depth_hr: np.ndarray) -> None:
        """Publish `depth_hr` (H * s, W * s) float32 metres in the encoding, stamp and frame_id of the depth image."""
        depth = pair.depth
        scale = depth_hr.shape[0] // depth.height
        self._publish_info(pair.depth_info, depth, scale)
        self._image.publish(image_message(depth.encode(depth_hr), header_of(depth)))
        self._publish_points(depth_hr, pair.depth_info, depth, scale)

    def _publish_info(self, info: Calibration | None, depth: DepthImage, scale: int) -> None:
        if info is None:
            self._report_info(
                f"no camera_info on {self._node.resolve_topic_name('depth/camera_info')}: expected one per depth "
                "image; the image goes out without one; publish or remap it"
            )
            return
        try:
            scaled = info.scaled(depth.width, depth.height, scale)
        except ValueError as error:  # whatever is wrong with a camera_info, its image goes out
            self._report_info(f"no camera_info goes out: {error}")
            return
        if not info.is_calibrated:
            self._report_info(
                f"uncalibrated camera_info of {info.frame_id!r} (K = 0): expected fx, fy > 0; it stays uncalibrated "
                "in the output, and RGB cannot guide; calibrate the camera"
            )
        self._info.publish(camera_info_message(scaled, header_of(depth)))

    def _publish_points(self, depth_hr: np.ndarray, info: Calibration | None, depth: DepthImage, scale: int) -> None:
        publisher = self._points
        if publisher is None or info is None:
            return
        try:
            camera = info.intrinsics(depth.width, depth.height).scaled(scale)
            publisher.publish(points_message(depth_hr, camera, header_of(depth)))
        except ValueError as error:
            self._report_info(f"no points go out: {error}")
            return
        lens = info.distortion
        if lens and lens != self._distortion_told:
            self._distortion_told = lens
            self._report(Problem(ProblemKind.DISTORTION, distortion_hint("the point cloud", info)))

    def _report_info(self, text: str) -> None:
        self._report(Problem(ProblemKind.CAMERA_INFO, text))
