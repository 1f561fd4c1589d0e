"""Play a recording to the running node over DDS, in its own timing, and collect what the node publishes.

The recorded CDR bytes are published as they are; nothing is decoded on the way.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image

from depth_sr_ros.messages.images import decode_depth
from depth_sr_ros.replay.reading import Bag, cdr_stamp
from depth_sr_ros.replay.scoring import ReplayedFrame

NODE_NAME = "depth_sr"
INPUTS = {
    "depth": ("depth/image_raw", Image),
    "depth_info": ("depth/camera_info", CameraInfo),
    "rgb": ("rgb/image_raw", Image),
    "rgb_info": ("rgb/camera_info", CameraInfo),
}
"""The node's input topics by role, relative to its namespace."""

QUIET_S = 2.0
"""The replay is over when the node has published nothing for this long (or three times its slowest frame)."""


class PlayError(RuntimeError):
    """The replay could not be carried out: no node, or it died."""


@dataclass
class Recording:
    """What a replay gave.

    Attributes:
        frames_in: depth frames published.
        frames_out: output images received whose stamp is a published depth frame's; each stamp counts once.
        infos_out: output camera_infos received.
        duplicates, strangers: outputs whose stamp came before, or was never published.
        latencies_s: publishing to arrival, per output frame, in order of arrival.
        duration_s: first to last published message.
        diagnostics: the node's last diagnostics, name to value.
        diagnostics_count: how many came.
        parameters: the node's parameters mode, scale and size.
    """

    frames_in: int = 0
    frames_out: int = 0
    infos_out: int = 0
    duplicates: int = 0
    strangers: int = 0
    latencies_s: list[float] = field(default_factory=list)
    duration_s: float = 0.0
    diagnostics: dict[str, str] = field(default_factory=dict)
    diagnostics_count: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    _spool: IO[bytes] = field(default_factory=tempfile.TemporaryFile, repr=False)
    _index: list[tuple[int, int, int, float]] = field(default_factory=list, repr=False)

    def results(self) -> Iterator[ReplayedFrame]:
        """The output frames, decoded one at a time from the temporary file that holds them."""
        for stamp, offset, size, latency in self._index:
            self._spool.seek(offset)
            message = deserialize_message(self._spool.read(size), Image)
            yield ReplayedFrame(stamp, decode_depth(message).metres(), latency)

    def store(self, stamp: int, cdr: bytes, latency: float) -> None:
        """Keep one output frame on disc."""
        self._index.append((stamp, self._spool.seek(0, 2), len(cdr), latency))
        self._spool.write(cdr)
        self.latencies_s.append(latency)
        self.frames_out += 1


class Player:
    """A small node that publishes a recording on the depth node's inputs and listens to its outputs.

    Use as a context manager; the ROS context is its own, so several may live one after the other in a process.

    Args:
        bag: recording to play.
        namespace: the depth node's namespace.
        alive: called while waiting; raises when there is no hope (the node's process died).
    """

    def __init__(self, bag: Bag, namespace: str = "", alive: Callable[[], None] = lambda: None):
        self._bag, self._alive = bag, alive
        self._prefix = f"/{namespace.strip('/')}/" if namespace.strip("/") else "/"
        self._lock = threading.Lock()
        self._sent: dict[int, float] = {}
        self._seen: set[int] = set()
        self._last_output = 0.0
        self.recording = Recording()

    def __enter__(self) -> Player:
        self._context = Context()
        self._context.init()
        self._node = rclpy.create_node("depth_sr_replay", context=self._context)
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST)
        self._publishers = {
            role: self._node.create_publisher(kind, self._prefix + name, qos)
            for role, (name, kind) in INPUTS.items()
            if getattr(self._bag.topics, role)
        }
        deep = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST)
        listen = self._node.create_subscription
        listen(Image, self._prefix + "depth_sr/image_raw", self._on_output, deep, raw=True)
        listen(CameraInfo, self._prefix + "depth_sr/camera_info", self._on_info, deep, raw=True)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="replay_spin")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Shut down first, then join: a spinning thread that outlives the context aborts the process.
        self._context.try_shutdown()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_for_node(self, timeout_s: float = 120.0) -> None:
        """Return when the node is active and connected to the depth topic.

        Raises:
            PlayError: it is not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        state = self._client(GetState, "get_state")
        active = False
        while True:
            self._alive()
            connected = self._publishers["depth"].get_subscription_count() > 0
            listening = self._node.count_publishers(self._prefix + "depth_sr/image_raw") > 0
            if connected and listening and not active:
                reply = self._call(state, GetState.Request(), timeout_s=2.0)
                active = reply is not None and reply.current_state.id == State.PRIMARY_STATE_ACTIVE
            if active:
                break
            if time.monotonic() > deadline:
                raise PlayError(
                    f"no active node {self._prefix}{NODE_NAME} within {timeout_s:.0f} s: "
                    f"{'' if connected else 'nobody subscribes to ' + self._prefix + INPUTS['depth'][0] + ', '}"
                    f"{'' if listening else 'nobody publishes ' + self._prefix + 'depth_sr/image_raw, '}"
                    f"state {'active' if active else 'not active'}. Is it running, in this ROS_DOMAIN_ID?"
                )
            time.sleep(0.05)
        self.recording.parameters = self._parameters("mode", "scale", "size")
        # The other inputs are matched a moment later; a single-depth node does not ask for RGB.
        single = self.recording.parameters.get("mode") == "single"
        awaited = [p for role, p in self._publishers.items() if not (single and role.startswith("rgb"))]
        rest = time.monotonic() + 2.0
        while time.monotonic() < rest and not all(p.get_subscription_count() for p in awaited):
            time.sleep(0.02)
        time.sleep(0.2)

    def play(self, rate: float = 1.0, progress: Callable[[int, int], None] = lambda sent, received: None) -> Recording:
        """Publish the recording once and wait for the tail of the output.

        Args:
            rate: speed; 2 plays twice as fast as it was recorded.
            progress: called with depth frames sent and outputs received so far.
        """
        recording, start, first = self.recording, time.monotonic(), None
        for message in self._bag.raw():
            first = message.time_ns if first is None else first
            due = start + (message.time_ns - first) * 1e-9 / rate
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(left, 0.1))
            if message.role == "depth":
                self._alive()
                with self._lock:
                    self._sent[cdr_stamp(message.cdr)] = time.monotonic()
                    recording.frames_in += 1
            self._publishers[message.role].publish(message.cdr)
            progress(recording.frames_in, recording.frames_out)
        recording.duration_s = time.monotonic() - start
        self._last_output = max(self._last_output, time.monotonic())
        while recording.frames_out < len(self._sent):
            slowest = max(recording.latencies_s, default=0.0)
            if time.monotonic() - self._last_output > max(QUIET_S, 3 * slowest):
                break
            self._alive()
            progress(recording.frames_in, recording.frames_out)
            time.sleep(0.05)
        self._await_diagnostics()
        progress(recording.frames_in, recording.frames_out)
        return recording

    def _await_diagnostics(self) -> None:
        """Diagnostics come once a second: wait for the one that has counted the last frame."""
        with self._lock:
            before = self.recording.diagnostics_count
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline and self.recording.diagnostics_count == before:
            time.sleep(0.05)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_output(self, cdr: bytes) -> None:
        now, stamp = time.monotonic(), cdr_stamp(cdr)
        with self._lock:
            self._last_output = now
            if stamp not in self._sent:
                self.recording.strangers += 1
            elif stamp in self._seen:
                self.recording.duplicates += 1
            else:
                self._seen.add(stamp)
                self.recording.store(stamp, cdr, now - self._sent[stamp])

    def _on_info(self, cdr: bytes) -> None:
        if cdr_stamp(cdr) in self._sent:
            self.recording.infos_out += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._prefix}{NODE_NAME}:"):  # another namespace may have a node, too
                values = {item.key: item.value for item in status.values}
                with self._lock:
                    self.recording.diagnostics.update(values)
                    self.recording.diagnostics_count += 1

    def _client(self, kind: type, service: str) -> Client:
        return self._node.create_client(kind, f"{self._prefix}{NODE_NAME}/{service}")

    def _call(self, client: Client, request: object, timeout_s: float) -> Any | None:
        """The reply, or None when there is no such service or it does not answer in time."""
        if not client.service_is_ready():
            return None
        future, deadline = client.call_async(request), time.monotonic() + timeout_s
        while not future.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        return future.result() if future.done() else None

    def _parameters(self, *names: str) -> dict[str, Any]:
        client = self._client(GetParameters, "get_parameters")
        client.wait_for_service(2.0)
        reply = self._call(client, GetParameters.Request(names=list(names)), timeout_s=5.0)
        if reply is None or len(reply.values) != len(names):
            return {}
        return {name: parameter_value_to_python(value) for name, value in zip(names, reply.values)}
