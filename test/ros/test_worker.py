"""The worker's thread outlives whatever fails in it."""

from __future__ import annotations

import threading
import time

import numpy as np

from depth_sr_ros.inference.frames import DepthImage
from depth_sr_ros.inference.pairing import Pairer
from depth_sr_ros.ros.worker import Worker


def depth_image(stamp: float, name: str) -> DepthImage:
    return DepthImage(round(stamp * 1e9), name, np.ones((3, 4), np.float32))


def run(pairer: Pairer, process, feed) -> tuple[list, list[Exception]]:
    """Start a worker, let `feed(worker)` push to it, and wait for a frame that comes through."""
    done, frames, errors = threading.Event(), [], []

    def take(frame) -> None:
        process(frame)
        frames.append(frame.depth.frame_id)
        done.set()

    worker = Worker(pairer, take, errors.append)
    worker.start()
    try:
        feed(worker)
        assert done.wait(5), errors
    finally:
        worker.stop()
    return frames, errors


def test_a_frame_that_fails_is_followed_by_the_next():
    def process(frame) -> None:
        if frame.depth.frame_id == "bad":
            raise RuntimeError("out of memory")

    def feed(worker) -> None:
        worker.push(lambda pairer: pairer.push_depth(depth_image(1.0, "bad"), 0.0))
        worker.push(lambda pairer: pairer.push_depth(depth_image(2.0, "good"), 0.0))

    frames, errors = run(Pairer(), process, feed)
    assert frames == ["good"] and [str(error) for error in errors] == ["out of memory"]


def test_a_frame_that_cannot_even_be_taken_is_followed_by_the_next():
    """The pairer calls back into the node from the worker's thread, too; an error there must not end the thread."""
    failed = threading.Event()

    class Fragile(Pairer):
        def take(self, now):
            if self._pending and self._pending[0].depth.frame_id == "bad":
                failed.set()
                raise RuntimeError("malformed")
            return super().take(now)

    def feed(worker) -> None:
        worker.push(lambda pairer: pairer.push_depth(depth_image(1.0, "bad"), 0.0))
        assert failed.wait(5)
        while worker.pairer._pending:
            time.sleep(0.001)
        worker.push(lambda pairer: pairer.push_depth(depth_image(2.0, "good"), 0.0))

    frames, errors = run(Fragile(), lambda frame: None, feed)
    assert frames == ["good"] and [str(error) for error in errors] == ["malformed"], "reported once, not in a loop"
