"""Fixtures of the ROS tests: one DDS context, and nodes that tests share because starting one takes seconds."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import rclpy
from frame_makers import scene
from rclpy.context import Context

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves test folders off the path

from ros_harness import DOMAIN, NodeProcess, Peer


@pytest.fixture(scope="session")
def ros_context():
    """One rclpy context for all peers, on our domain and loopback only, whatever the shell has set."""
    saved = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    yield context
    context.try_shutdown()
    if saved is None:
        os.environ.pop("ROS_AUTOMATIC_DISCOVERY_RANGE")
    else:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = saved


@pytest.fixture(scope="session")
def start_node(ros_context, tmp_path_factory):
    """Starts (NodeProcess, Peer) pairs, each in a namespace of its own; ends them at the end of the session."""
    started = []

    def start(name: str, *arguments: str, **options) -> tuple[NodeProcess, Peer]:
        log = tmp_path_factory.mktemp(name) / "node.log"
        process = NodeProcess(log, *arguments, namespace=f"/{name}", **options)
        peer = Peer(ros_context, f"/{name}")
        started.append((process, peer))
        return process, peer

    yield start
    for process, peer in started:
        peer.close()
        if process.alive():
            process.process.send_signal(signal.SIGINT)
    for process, _ in started:
        process.stop()


@pytest.fixture(scope="session")
def shared(start_node):
    """The node that most tests share, with methods that need no weights; see `node` and `peer`."""
    process, peer = start_node("shared", "-p", "method_single:=bicubic", "-p", "method_guided:=dada_rgb")
    process.wait_for_log("single depth:", timeout=60)
    peer.wait_connected()
    peer.wait_served(scene()[0])
    return process, peer


@pytest.fixture
def node(shared) -> NodeProcess:
    process, _ = shared
    assert process.alive(), process.text()
    return process


@pytest.fixture
def peer(shared) -> Peer:
    _, peer = shared
    peer.images.clear()
    peer.infos.clear()
    peer.order.clear()
    return peer
