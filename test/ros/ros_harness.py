"""Helpers of the ROS tests: sr_node in a process of its own, and a peer that plays camera and user over DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from depth_sr_ros.messages.images import decode_depth
from depth_sr_ros.ros.encoding import image_message

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "config" / "fastdds_large_data.xml"
DOMAIN = 20 + os.getpid() % 80


def ros_environment(profile: bool = True) -> dict[str, str]:
    """This process's environment for a child on our domain, loopback only."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment["OMP_NUM_THREADS"] = "1"  # two cores, several processes: more threads only wait for each other
    environment.pop("FASTDDS_DEFAULT_PROFILES_FILE", None)
    if profile and PROFILE.is_file():
        environment["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    return environment


class NodeProcess:
    """sr_node as a user starts it; its log goes to a file."""

    def __init__(
        self,
        log: Path,
        *arguments: str,
        namespace: str = "/",
        profile: bool = True,
        program: tuple[str, ...] = ("-m", "depth_sr_ros.ros.node"),
    ):
        self.log = log
        self._mark = 0
        command = [sys.executable, *program, "--ros-args", "-r", f"__ns:={namespace}"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=ros_environment(profile),
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def text(self) -> str:
        return self.log.read_text()

    def mark_log(self) -> None:
        """What `news` returns begins here."""
        self._mark = len(self.text())

    def news(self) -> str:
        """The log since the last `mark_log`."""
        return self.text()[self._mark :]

    def wait_for_log(self, words: str, timeout: float = 30.0) -> None:
        end = time.monotonic() + timeout
        while words not in self.text():
            assert self.process.poll() is None, f"the node ended:\n{self.text()}"
            assert "cannot configure" not in self.text(), self.text()
            assert time.monotonic() < end, f"no {words!r} within {timeout} s:\n{self.text()}"
            time.sleep(0.05)

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> int:
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Peer:
    """The other side: publishes the four inputs, collects the outputs by stamp, calls the node's services."""

    def __init__(self, context: Context, namespace: str = ""):
        self.node = Node("peer", namespace=namespace or "/", context=context, enable_rosout=False)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.images: dict[int, Image] = {}
        self.infos: dict[int, CameraInfo] = {}
        self.order: list[int] = []
        self.statuses: list = []
        self._status_times: list[float] = []
        self._stamp = 1_000_000_000_000
        inputs = {"depth/image_raw": Image, "depth/camera_info": CameraInfo}
        inputs |= {"rgb/image_raw": Image, "rgb/camera_info": CameraInfo}
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, QoSProfile(depth=10)) for topic, kind in inputs.items()
        }
        self.node.create_subscription(Image, "depth_sr/image_raw", self._on_image, QoSProfile(depth=50))
        self.node.create_subscription(CameraInfo, "depth_sr/camera_info", self._on_info, QoSProfile(depth=50))
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))
        self._clients: dict = {}

    def _on_image(self, msg: Image) -> None:
        self.images[nanoseconds(msg)] = msg
        self.order.append(nanoseconds(msg))

    def _on_info(self, msg: CameraInfo) -> None:
        self.infos[nanoseconds(msg)] = msg

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        prefix = self.node.get_namespace().rstrip("/") + "/depth_sr:"
        mine = [status for status in msg.status if status.name.startswith(prefix)]
        self.statuses += mine
        self._status_times += [msg.header.stamp.sec + 1e-9 * msg.header.stamp.nanosec] * len(mine)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def spin_until(self, condition, timeout: float = 20.0, what: str = "") -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"timeout after {timeout} s: {what or condition}"
            self.executor.spin_once(timeout_sec=0.02)

    def wait_connected(self, rgb: bool = True) -> None:
        topics = [topic for topic in self.publishers if rgb or topic.startswith("depth")]
        self.spin_until(
            lambda: (
                all(self.publishers[topic].get_subscription_count() for topic in topics)
                and self.node.count_publishers(self.node.resolve_topic_name("depth_sr/image_raw"))
            ),
            30.0,
            "the node subscribes and publishes",
        )
        self._settle()

    def wait_served(self, depth: np.ndarray, **options) -> Image:
        """Send the first frame that a node gets, up to three times, until it comes out; returns the output.

        Endpoints that know each other may still lose a best-effort message while their transport comes up.
        """
        sent: dict[int, float] = {}

        def served() -> bool:
            if not sent or (len(sent) < 3 and time.monotonic() - max(sent.values()) > 6.0):
                sent[self.send(depth, **options)] = time.monotonic()
            return bool(sent.keys() & self.images.keys())

        self.spin_until(served, 40.0, "the first output")
        return self.images[max(sent.keys() & self.images.keys())]

    def next_stamp(self, step_ns: int = 33_000_000) -> int:
        self._stamp += step_ns
        return self._stamp

    def publish(self, topic: str, msg) -> None:
        self.publishers[topic].publish(msg)

    def send(
        self,
        depth,
        stamp: int | None = None,
        info="fitting",
        rgb: Image | np.ndarray | None = None,
        rgb_info="fitting",
        rgb_stamp: int | None = None,
        frame: str = "camera",
        rgb_frame: str = "camera",
    ) -> int:
        """Publish one depth image (array or message) and what belongs to it; returns its stamp in nanoseconds."""
        stamp = self.next_stamp() if stamp is None else stamp
        if rgb is not None:
            self.send_rgb(rgb, stamp if rgb_stamp is None else rgb_stamp, rgb_info, rgb_frame)
            self.spin(0.01)  # RGB first; after a silence of RGB the node does not wait for it
        msg = image_message(depth, header(stamp, frame)) if isinstance(depth, np.ndarray) else depth
        msg.header = header(stamp, frame)
        if info == "fitting":
            info = camera_info(msg.width, msg.height)
        if info is not None:
            info.header = header(stamp, frame)
            self.publish("depth/camera_info", info)
        self.publish("depth/image_raw", msg)
        return stamp

    def send_rgb(self, rgb: Image | np.ndarray, stamp: int, info="fitting", frame: str = "camera") -> None:
        """Publish one RGB image and its camera_info."""
        msg = rgb_message(rgb, header(stamp, frame)) if isinstance(rgb, np.ndarray) else rgb
        msg.header = header(stamp, frame)
        if info == "fitting":
            info = camera_info(msg.width, msg.height)
        if info is not None:
            info.header = header(stamp, frame)
            self.publish("rgb/camera_info", info)
        self.publish("rgb/image_raw", msg)

    def receive(self, stamp: int, timeout: float = 30.0) -> Image:
        self.spin_until(lambda: stamp in self.images, timeout, f"output with stamp {stamp}")
        return self.images[stamp]

    def receive_info(self, stamp: int, timeout: float = 20.0) -> CameraInfo:
        self.spin_until(lambda: stamp in self.infos, timeout, f"camera_info with stamp {stamp}")
        return self.infos[stamp]

    def exchange(self, depth, **options) -> Image:
        """Send one frame and wait for its output."""
        return self.receive(self.send(depth, **options))

    def call(self, kind, name: str, request, timeout: float = 20.0):
        client = self._clients.get(name)
        if client is None:
            client = self.node.create_client(kind, name)
            self.spin_until(client.service_is_ready, timeout, f"service {name}")
            self._settle()
            self._clients[name] = client
        self.spin_until(client.service_is_ready, timeout, f"service {name}")
        future = client.call_async(request)
        self.spin_until(future.done, timeout, f"answer of {name}")
        return future.result()

    def _settle(self, timeout: float = 60.0) -> None:
        """Wait until the node knows every endpoint that this peer has made so far.

        The node's view of a match comes after this side's and is not to be seen from here; what it sends before is
        lost, answers of services too. But it learns of endpoints in the order in which they were made: once it answers
        a client made now, it knows all that came before.
        """
        name = "depth_sr/get_parameters"
        client = self.node.create_client(GetParameters, name)
        try:
            self.spin_until(client.service_is_ready, timeout, f"service {name}")
            answers, asked = [], -1.0

            def answered() -> bool:
                nonlocal asked
                if time.monotonic() - asked > 1.0:  # the first ones may be lost
                    asked = time.monotonic()
                    answers.append(client.call_async(GetParameters.Request(names=["use_sim_time"])))
                return any(future.done() for future in answers)

            self.spin_until(answered, timeout, f"answer of {name} to a new client")
        finally:
            self.node.destroy_client(client)

    def set_parameters(self, **values) -> list:
        messages = [
            Parameter(name, Parameter.Type.DOUBLE_ARRAY if isinstance(value, list) else None, value)
            if isinstance(value, list)
            else Parameter(name, value=value)
            for name, value in values.items()
        ]
        request = SetParameters.Request(parameters=[message.to_parameter_msg() for message in messages])
        return self.call(SetParameters, "depth_sr/set_parameters", request).results

    def set_raw_parameter(self, message: ParameterMessage):
        request = SetParameters.Request(parameters=[message])
        return self.call(SetParameters, "depth_sr/set_parameters", request).results[0]

    def get_parameters(self, *names: str) -> list:
        return self.call(GetParameters, "depth_sr/get_parameters", GetParameters.Request(names=list(names))).values

    def list_parameters(self) -> list[str]:
        return self.call(ListParameters, "depth_sr/list_parameters", ListParameters.Request()).result.names

    def describe(self, *names: str) -> list:
        request = DescribeParameters.Request(names=list(names))
        return self.call(DescribeParameters, "depth_sr/describe_parameters", request).descriptors

    def transition(self, label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, "depth_sr/change_state", request).success

    def state(self) -> str:
        return self.call(GetState, "depth_sr/get_state", GetState.Request()).current_state.label

    def enable(self, on: bool):
        return self.call(SetBool, "depth_sr/enable", SetBool.Request(data=on))

    def next_status(self, count: int = 1, timeout: float = 15.0) -> tuple:
        """(level, message, values) of the `count`-th diagnostics that the node sends from now on."""
        now = time.time()
        self.spin_until(
            lambda: sum(sent > now for sent in self._status_times[-20:]) >= count, timeout * count, "diagnostics"
        )
        status = self.statuses[-1]
        return status.level, status.message, {row.key: row.value for row in status.values}


def depth_array(msg: Image) -> np.ndarray:
    """The pixels of a depth message."""
    return decode_depth(msg).pixels


def nanoseconds(msg) -> int:
    return msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec


def header(stamp: int, frame: str = "camera") -> Header:
    result = Header(frame_id=frame)
    result.stamp.sec, result.stamp.nanosec = divmod(stamp, 1_000_000_000)
    return result


def rgb_message(pixels: np.ndarray, head: Header) -> Image:
    msg = Image(header=head, height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8", step=3 * pixels.shape[1])
    msg.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return msg


def camera_info(width: int, height: int, field: float = 1.0) -> CameraInfo:
    """A camera whose view depends on its aspect only, so that images of one scene at two sizes fit each other."""
    info = CameraInfo(width=width, height=height)
    focal = field * width
    info.k = [focal, 0.0, width / 2 - 0.5, 0.0, focal, height / 2 - 0.5, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, width / 2 - 0.5, 0.0, 0.0, focal, height / 2 - 0.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info
