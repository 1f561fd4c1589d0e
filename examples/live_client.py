"""A ROS 2 client: publishes depth and RGB frames as a camera does, and receives high-resolution depth.

.venv/bin/python examples/live_client.py                # starts the node itself
python3 examples/live_client.py --no-node               # on a ROS install, with `ros2 run depth_sr_ros sr_node`
"""

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

DATA = Path(__file__).parent / "data"
FOCAL = 207.85  # of the colour image, pixels


def messages(name: str, encoding: str, focal: float) -> tuple[Image, CameraInfo]:
    pixels = cv2.imread(str(DATA / name), cv2.IMREAD_UNCHANGED)
    assert pixels is not None, f"cannot read {DATA / name}"
    height, width, *_ = pixels.shape
    image = Image(height=height, width=width, encoding=encoding, step=pixels.strides[0], data=pixels.tobytes())
    info = CameraInfo(height=height, width=width, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
    return image, info


def main(frames: int = 5) -> None:
    rclpy.init()
    node = rclpy.create_node("live_client")
    received: list[Image] = []
    outputs: dict[str, Image | CameraInfo] = {}
    outputs["rgb/image_raw"], outputs["rgb/camera_info"] = messages("rgb.jpg", "bgr8", FOCAL)
    outputs["depth/image_raw"], outputs["depth/camera_info"] = messages("depth.png", "16UC1", FOCAL / 4)  # REP 118
    publishers = {topic: node.create_publisher(type(message), topic, 10) for topic, message in outputs.items()}
    node.create_subscription(Image, "depth_sr/image_raw", received.append, qos_profile_sensor_data)
    while len(received) < frames:
        stamp = node.get_clock().now().to_msg()
        for topic, message in outputs.items():
            message.header.stamp, message.header.frame_id = stamp, "camera_optical"
            publishers[topic].publish(message)
        rclpy.spin_once(node, timeout_sec=0.5)
    for message in received:
        depth_hr = np.frombuffer(message.data, np.uint16)  # the encoding of the input
        nearest, farthest = depth_hr[depth_hr > 0].min(), depth_hr.max()
        print(f"{message.width} x {message.height} {message.encoding}, {nearest} to {farthest} mm")
    rclpy.shutdown()


if __name__ == "__main__":
    if "--no-node" in sys.argv[1:]:
        main()
        sys.exit()
    parameters = ["--ros-args", "-p", "scale:=4", "-p", "method_guided:=dada_rgb"]
    with subprocess.Popen([sys.executable, "-m", "depth_sr_ros.ros.node", *parameters]) as server:
        try:
            main()
        finally:
            server.send_signal(signal.SIGINT)
