"""The ROS side: everything that imports rclpy."""

from depth_sr_ros.process import prepare_process

prepare_process()  # here, because OpenMP's part counts only before torch is imported
