"""The one decoder of sensor_msgs/Image and CameraInfo, for messages of rclpy and of rosbags alike; needs no ROS."""
