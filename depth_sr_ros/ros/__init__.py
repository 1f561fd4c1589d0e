"""The ROS side: everything that imports rclpy."""

import os

# Before torch loads OpenMP: threads that spin while they wait for each other starve a node that shares its cores
# (29 s instead of 0.7 s per frame were measured on two busy ones).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
