"""Start the real node as a process of its own, and end it as `ros2 launch` does: SIGINT, then harder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

PROFILE_VARIABLES = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def use_large_messages() -> None:
    """Let Fast DDS carry whole images in this process and its children, unless the user chose a transport.

    With its default transports a best-effort reader loses almost every message above about 0.5 MB, and a 640x480
    depth image has 0.6 MB. Must run before the first ROS context is made.
    """
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return
    root = Path(__file__).resolve().parents[2]
    # The checkout, or an install's share/ above its site-packages.
    shares = (root, *(root.parents[i] / "share" / "depth_sr_ros" for i in range(min(3, len(root.parents)))))
    for folder in shares:
        if (profile := folder / "config" / "fastdds_large_data.xml").is_file():
            os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
            return
    # The next best: it has no effect together with ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST.
    os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "LARGE_DATA"


class NodeProcess:
    """`sr_node` in a child process; its output goes to `log`.

    Args:
        parameters: ROS parameters by name.
        log: file for what the node prints.
        namespace: ROS namespace of the node.
    """

    def __init__(self, parameters: dict[str, object], log: Path, namespace: str = ""):
        self._log = Path(log)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "depth_sr_ros.ros.node", "--ros-args"]
        if namespace:
            arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={_yaml(value)}"]
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        with open(self._log, "wb") as file:
            # A session of its own: Ctrl-C in the terminal reaches the replay alone, which then ends the node.
            self._process = subprocess.Popen(
                arguments,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            )

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        try:
            with open(self._log, errors="replace") as file:
                return "".join(deque(file, lines)).strip()
        except OSError:
            return ""

    def stop(self) -> int:
        """End the node and return its exit code; 0 is a clean exit."""
        for number, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        return self._process.wait()


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
