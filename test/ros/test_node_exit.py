"""SIGINT, two SIGINTs (what `ros2 launch` and a terminal send together) and SIGTERM end the node cleanly."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
from frame_makers import scene

pytestmark = pytest.mark.ros

ENDINGS = {
    "sigint": [(signal.SIGINT, 0.0)],
    "two_sigints": [(signal.SIGINT, 0.0), (signal.SIGINT, 0.0)],
    "two_sigints_apart": [(signal.SIGINT, 0.02), (signal.SIGINT, 0.0)],
    "sigterm": [(signal.SIGTERM, 0.0)],
}


def test_clean_exits_while_frames_flow(start_node):
    depth, rgb = scene()
    nodes = {
        name: start_node(name, "-p", "method_single:=bicubic", "-p", "method_guided:=dada_rgb") for name in ENDINGS
    }
    for name, (node, peer) in nodes.items():
        node.wait_for_log("single depth:", timeout=90)
        peer.wait_connected()
        peer.wait_served(depth)
        for _ in range(4):  # keep the worker busy while the signal comes
            peer.send(depth, rgb=rgb)
        for number, pause in ENDINGS[name]:
            node.process.send_signal(number)
            time.sleep(pause)
    for name, (node, _) in nodes.items():
        try:
            status = node.process.wait(30)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name}: the node hangs\n{node.text()}")
        assert status == 0, f"{name}: exit status {status}\n{node.text()}"
        assert "Traceback" not in node.text() and "terminate called" not in node.text(), node.text()


def test_exit_while_a_slow_frame_is_computed(start_node):
    """The frame in progress is finished, nothing aborts."""
    node, peer = start_node("slow_exit", "-p", "mode:=guided", "-p", "method_guided:=dada_rgb", "-p", "scale:=8")
    depth, rgb = scene(160, 120, scale=4)
    node.wait_for_log("with RGB:", timeout=90)
    peer.wait_connected()
    for _ in range(3):
        peer.send(depth, rgb=rgb)
    peer.spin(0.3)
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(60) == 0, node.text()
    assert "Traceback" not in node.text() and "terminate called" not in node.text(), node.text()
