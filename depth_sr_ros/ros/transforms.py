"""tf as the source of extrinsics: how the depth camera lies in the RGB camera's frame, by the images' frame_ids."""

from __future__ import annotations

from types import ModuleType

from rclpy.lifecycle import LifecycleNode
from rclpy.time import Time

from ..camera import Extrinsics


class TransformError(ValueError):
    """tf cannot tell: tf2_ros is missing, or the transform is. Says what came, what was expected and what to do."""


class Transforms:
    """Listens to tf while it is wanted, and answers from what has come so far; it never waits.

    Static transforms are all that two cameras of one housing need: where tf2_ros has a listener for them alone
    (Kilted and later), the robot's stream of moving ones is left unheard.

    Args:
        node: owner of the subscriptions.
    """

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._buffer = self._listener = None

    def listen(self, wanted: bool) -> None:
        """Subscribe to tf, or no longer.

        Raises:
            TransformError: wanted, and tf2_ros is not installed.
        """
        if wanted and self._listener is None:
            tf2_ros = require_tf2_ros()
            listener = getattr(tf2_ros, "StaticTransformListener", tf2_ros.TransformListener)
            self._buffer = tf2_ros.Buffer()
            self._listener = listener(self._buffer, self._node)
        elif not wanted and self._listener is not None:
            self._listener.unregister()
            self._buffer = self._listener = None

    def extrinsics(self, rgb_frame: str, depth_frame: str) -> Extrinsics:
        """The motion that takes a point from the depth camera's coordinates to the RGB camera's. From any thread.

        Raises:
            TransformError: no such transform has come yet, or a frame_id is none that tf knows.
        """
        buffer = self._buffer
        if buffer is None:
            raise TransformError("extrinsics_from_tf is being switched: tf is not listened to at this moment")
        tf2_ros = require_tf2_ros()
        try:
            # time 0: the latest, which for a static transform is the only one
            transform = buffer.lookup_transform(rgb_frame, depth_frame, Time()).transform
        except tf2_ros.TransformException as error:
            raise TransformError(
                f"tf has no transform from depth frame {depth_frame!r} to RGB frame {rgb_frame!r} ({error}), a static "
                "one was expected: start the camera driver's or robot's state publisher, or set extrinsics"
            ) from None
        shift, turn = transform.translation, transform.rotation
        return Extrinsics.from_xyz_quaternion([shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w])


def require_tf2_ros() -> ModuleType:
    """The module tf2_ros.

    Raises:
        TransformError: when it is not installed.
    """
    try:
        import tf2_ros
    except ImportError:
        raise TransformError(
            "extrinsics_from_tf needs the ROS package tf2_ros, which is not installed here: "
            "apt install ros-$ROS_DISTRO-tf2-ros-py, or set extrinsics by hand"
        ) from None
    return tf2_ros
