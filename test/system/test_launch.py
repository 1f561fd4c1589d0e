"""launch/sr.launch.py for real: `ros2 launch`'s own machinery starts the node, frames go in over DDS, depth comes out.

Needs launch_testing and the package built by colcon and sourced, as on a ROS install; skipped elsewhere. Run it by
`launch_test test/system/test_launch.py`, by pytest, or by `colcon test`.
"""

import os
import time
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is not on PyPI: needs a ROS 2 install")
pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI: needs a ROS 2 install")

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

try:
    SHARE = Path(get_package_share_directory("depth_sr_ros"))
except PackageNotFoundError:
    pytest.skip("depth_sr_ros is not installed: colcon build it and source install/setup", allow_module_level=True)

import launch_testing.actions
import launch_testing.asserts
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rcl_interfaces.srv import GetParameters
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

SCALE, HEIGHT, WIDTH, DEPTH_M = 4, 240, 320, 1.25
FRAMES = 20
ARGUMENTS = {
    "namespace": "robot",
    "mode": "single",
    "scale": str(SCALE),
    "method_single": "bicubic",
    "camera": "orbbec",
    "depth_info": "/front/info",  # an argument of its own wins over the camera's
}


@pytest.mark.launch_test
def generate_test_description():
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        os.environ.pop(name, None)  # the launch file has to set it
    launch_file = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "sr.launch.py")), launch_arguments=ARGUMENTS.items()
    )
    return LaunchDescription([launch_file, launch_testing.actions.ReadyToTest()])


class TestRunningNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rclpy.init()
        cls.node = rclpy.create_node("test_launch")
        cls.images, cls.infos, cls.statuses, cls.sent = [], [], [], []
        listen = cls.node.create_subscription
        listen(Image, "/robot/depth_sr/image_raw", cls.images.append, qos_profile_sensor_data)
        listen(CameraInfo, "/robot/depth_sr/camera_info", cls.infos.append, qos_profile_sensor_data)
        listen(DiagnosticArray, "/diagnostics", lambda array: cls.statuses.extend(array.status), 10)
        cls.depth = cls.node.create_publisher(Image, "/camera/depth/image_raw", qos_profile_sensor_data)
        cls.info = cls.node.create_publisher(CameraInfo, "/front/info", qos_profile_sensor_data)

    @classmethod
    def tearDownClass(cls):
        cls.node.destroy_node()
        rclpy.shutdown()

    def spin_until(self, done, timeout=60.0, every=lambda: None):
        end = time.monotonic() + timeout
        while not done():
            self.assertLess(time.monotonic(), end, f"nothing within {timeout} s; diagnostics: {self.statuses[-1:]}")
            every()
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def wait_for_image(self, timeout):
        before, end = len(self.images), time.monotonic() + timeout
        while len(self.images) == before and time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def publish(self):
        stamp = self.node.get_clock().now().to_msg()
        self.sent.append((stamp.sec, stamp.nanosec))
        info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k = [300.0, 0.0, 159.5, 0.0, 300.0, 119.5, 0.0, 0.0, 1.0]
        info.p = [300.0, 0.0, 159.5, 0.0, 0.0, 300.0, 119.5, 0.0, 0.0, 0.0, 1.0, 0.0]
        image = Image(width=WIDTH, height=HEIGHT, encoding="32FC1", step=4 * WIDTH)
        image.data.frombytes(np.full((HEIGHT, WIDTH), DEPTH_M, np.float32).tobytes())
        for message, publisher in ((info, self.info), (image, self.depth)):
            message.header.stamp, message.header.frame_id = stamp, "camera_depth_optical_frame"
            publisher.publish(message)

    def test_1_frames_of_5_mb_come_out_best_effort_on_namespaced_topics(self):
        self.spin_until(lambda: self.depth.get_subscription_count() and self.info.get_subscription_count())
        self.spin_until(lambda: self.images and self.infos, every=self.publish)  # discovery is over
        for _ in range(FRAMES):
            self.publish()
            self.wait_for_image(1.0)
        stamps = {(image.header.stamp.sec, image.header.stamp.nanosec) for image in self.images}
        came = len(stamps & set(self.sent[-FRAMES:]))
        self.assertGreaterEqual(came, FRAMES - 1, f"{FRAMES - came} of {FRAMES} frames were lost")
        image, info = self.images[-1], self.infos[-1]
        self.assertEqual((image.width, image.height, image.encoding), (SCALE * WIDTH, SCALE * HEIGHT, "32FC1"))
        self.assertEqual(image.header.frame_id, "camera_depth_optical_frame")
        np.testing.assert_allclose(np.frombuffer(image.data, np.float32), DEPTH_M, rtol=1e-5)
        self.assertEqual((info.width, info.height), (SCALE * WIDTH, SCALE * HEIGHT))
        # half-pixel centres: (159.5 + 0.5) * 4 - 0.5
        np.testing.assert_allclose(np.reshape(info.k, (3, 3)), [[1200, 0, 639.5], [0, 1200, 479.5], [0, 0, 1]])
        self.assertIn(info.header.stamp, [message.header.stamp for message in self.images])

    def test_2_parameters_come_from_file_and_arguments(self):
        client = self.node.create_client(GetParameters, "/robot/depth_sr/get_parameters")
        self.assertTrue(client.wait_for_service(timeout_sec=20))
        names = ["scale", "mode", "method_single", "sync_slop", "extrinsics", "use_sim_time"]
        future = client.call_async(GetParameters.Request(names=names))
        self.spin_until(future.done, 20)
        values = [rclpy.parameter.parameter_value_to_python(value) for value in future.result().values]
        self.assertEqual(values, [SCALE, "single", "bicubic", 0.02, type(values[4])(), False])

    def test_3_diagnostics_name_the_node(self):
        def found():
            return any("/robot/depth_sr" in status.name for status in self.statuses)

        self.spin_until(found, 20)


@launch_testing.post_shutdown_test()
class TestAfterShutdown(unittest.TestCase):
    def test_the_node_ends_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
