"""The ROS side: everything that imports rclpy."""

from depth_sr_ros.inference.process import let_threads_sleep

let_threads_sleep()  # here, because it counts only before torch is imported
