"""Plays a camera against a running node and counts what comes back; a process of its own, for its own DDS profile.

Usage: stream_client.py NAMESPACE WIDTH HEIGHT RATE COUNT -> one JSON line.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from depth_sr_ros.ros.encoding import image_message


def main() -> None:
    namespace, (width, height, rate, count) = sys.argv[1], (int(text) for text in sys.argv[2:6])
    rclpy.init()
    node = rclpy.create_node("stream_client", namespace=namespace)
    received: dict[int, float] = {}
    sizes = set()

    def on_image(msg: Image) -> None:
        received[msg.header.stamp.nanosec] = time.monotonic()
        sizes.add((msg.width, msg.height, msg.encoding))

    # best-effort like any viewer; ten deep, so that a pause of this process is not taken for a loss by DDS
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "depth_sr/image_raw", on_image, qos)
    camera = node.create_publisher(Image, "depth/image_raw", QoSProfile(depth=5))
    depth = np.full((height, width), 1.5, np.float32)
    depth[:, width // 2 :] = 3.0
    end = time.monotonic() + 60
    while not (camera.get_subscription_count() and node.count_publishers(f"{namespace}/depth_sr/image_raw")):
        rclpy.spin_once(node, timeout_sec=0.05)
        assert time.monotonic() < end, "the node does not appear"
    settle = time.monotonic() + 1.0
    while time.monotonic() < settle:
        rclpy.spin_once(node, timeout_sec=0.05)
    start, sent = time.monotonic(), {}
    for i in range(count):
        header = Header(frame_id="camera")
        header.stamp.sec, header.stamp.nanosec = 100, i * 1000
        message = image_message(depth, header)
        while (left := start + i / rate - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)
        sent[i * 1000] = time.monotonic()
        camera.publish(message)
    last = time.monotonic()
    end = last + 2.0
    while time.monotonic() < end and len(received) < count:
        rclpy.spin_once(node, timeout_sec=0.05)
    latencies = [1000 * (received[stamp] - sent[stamp]) for stamp in received]
    report = {
        "sent": count,
        "received": len(received),
        "sizes": sorted(sizes),
        "rate_hz": (count - 1) / (last - start),
        "latency_ms_p50": float(np.median(latencies)) if latencies else None,
        "latency_ms_max": max(latencies, default=None),
    }
    print(json.dumps(report))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
