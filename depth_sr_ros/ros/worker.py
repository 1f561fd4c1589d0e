"""The one thread that super-resolves, so that callbacks never wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch

from ..inference.frames import FramePair
from ..inference.pairing import Pairer


class Worker:
    """Takes frames from a `Pairer` and hands them to `process`, one at a time, in a thread of its own.

    Args:
        pairer: every access to it goes through `push`, which locks.
        process: called with each frame in the worker's thread; what it raises goes to `on_error`.
        on_error: called with the exception.
    """

    def __init__(self, pairer: Pairer, process: Callable[[FramePair], None], on_error: Callable[[Exception], None]):
        self.pairer = pairer
        self._process, self._on_error = process, on_error
        self._condition = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; frames pushed from now on are processed."""
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="depth_sr_worker")
        self._thread.start()

    def stop(self) -> None:
        """Finish the frame in progress, then end the thread and forget what is buffered."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.pairer.clear()

    def push(self, change: Callable[[Pairer], object]) -> object:
        """Apply `change` to the pairer under the lock, wake the thread, and return what `change` returned."""
        with self._condition:
            answer = change(self.pairer)
            self._condition.notify()
        return answer

    def _loop(self) -> None:
        # activations of trained networks come close to zero, and denormal numbers are slow; set per thread
        torch.set_flush_denormal(True)
        while not self._stopping:
            frame = None
            try:
                frame = self._next()
                if frame is not None:
                    self._process(frame)
            except Exception as error:  # one frame must not end the node
                self._on_error(error)
                if frame is None:
                    self.push(Pairer.clear)  # what cannot be taken must not be met again

    def _next(self) -> FramePair | None:
        with self._condition:
            while not self._stopping:
                now = time.monotonic()
                frame = self.pairer.take(now)
                if frame is not None:
                    return frame
                self._condition.wait(self.pairer.time_to_deadline(now))
        return None
