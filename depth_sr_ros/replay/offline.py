"""Replay without ROS: the node's pairing and pipeline on a recording's messages, with recording time as the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator

from depth_sr_ros.depth import to_metres
from depth_sr_ros.inference.calibration import seconds
from depth_sr_ros.inference.counts import FrameCounts
from depth_sr_ros.inference.frames import FramePair, Problem, ProblemKind, Severity
from depth_sr_ros.inference.pairing import LOOPED, Pairer
from depth_sr_ros.inference.pipeline import Pipeline
from depth_sr_ros.inference.settings import AUTO, Settings
from depth_sr_ros.messages.camera_info import decode_camera_info
from depth_sr_ros.messages.errors import DecodeError
from depth_sr_ros.messages.images import decode_colour, decode_depth
from depth_sr_ros.replay.reading import Bag, BagError, RawMessage, cdr_stamp
from depth_sr_ros.replay.scoring import ReplayedFrame

_KIND_OF_DAMAGE = {
    "depth": ProblemKind.REJECTED,
    "depth_info": ProblemKind.CAMERA_INFO,
    "rgb": ProblemKind.GUIDE,
    "rgb_info": ProblemKind.CAMERA_INFO,
}


class OfflineReplay:
    """Feeds a recording to the node's `Pairer` and `Pipeline` in recorded order; no frame is dropped.

    A frame is taken when its partners are there or its deadline in recorded time has passed, so that the same
    recording always gives the same pairs.

    Args:
        bag: see `reading`.
        settings: as the node's parameters.

    Attributes:
        pipeline: the methods that run.
        counts: of the frames so far.

    Raises:
        BagError: mode guided, and the recording lacks RGB or a camera_info.
        ValueError: a method cannot be built (no such scale, missing weights, ...).
    """

    def __init__(self, bag: Bag, settings: Settings):
        self._bag, self._settings = bag, settings
        roles = ("depth", "depth_info", "rgb", "rgb_info")
        missing = [role for role in roles if not bag.count(role)]
        if settings.mode == "guided" and missing:
            raise BagError(
                f"{bag.path.name} has no RGB that can guide: it needs calibrated RGB, but there are no messages for "
                f"{', '.join(missing)} in {bag.topics}"
            )
        self.pipeline = Pipeline(settings)
        self.counts = FrameCounts()
        self._roles = roles if settings.mode != "single" else roles[:2]
        self._pairer = Pairer(
            settings.sync_slop, settings.mode != "single", settings.mode == "guided", newest_wins=False
        )
        self._pairer.info_expected = "depth_info" not in missing
        self._first: dict[ProblemKind, tuple[int, str]] = {}
        self._gaps: list[float] = []

    def frames(self) -> Iterator[ReplayedFrame]:
        """Super-resolve the recording as it is read; a frame that cannot be read or fails is counted and skipped.

        Raises:
            BagError: the recording is damaged as a whole; or mode guided, and RGB could guide no frame.
        """
        self.pipeline.warm_up()
        start_ns: int | None = None
        for message in self._bag.raw(*self._roles):
            start_ns = message.time_ns if start_ns is None else start_ns
            now = 1e-9 * (message.time_ns - start_ns)
            while (deadline := self._pairer.next_deadline) is not None and deadline < now:
                yield from self._serve(deadline)
            self._push(message, now)
            yield from self._serve(now)
        while (deadline := self._pairer.next_deadline) is not None:
            yield from self._serve(deadline)
        if self._settings.mode == "guided" and not self.counts.out and ProblemKind.UNGUIDED in self._first:
            raise BagError(
                f"{self._bag.path.name} has no RGB that can guide: {self._first[ProblemKind.UNGUIDED][1]} (how RGB "
                "lies: options --extrinsics and --assume-registered)"
            )

    def notes(self) -> list[str]:
        """What to tell the user of the frames so far: each kind of problem once, with its count and its first text."""
        total = self.counts.received
        notes = []
        for kind, (stamp_ns, text) in self._first.items():
            share = f"{self.counts.problems[kind]} of {total} frames, the first at {seconds(stamp_ns):.3f} s"
            notes.append(text if kind.severity is Severity.NOTE else f"{kind.label} ({share}): {text}")
        slop = self._settings.sync_slop
        if self._gaps:
            notes.append(
                f"no RGB for {len(self._gaps)} of {total} frames: depth pairs with the nearest RGB stamp within "
                f"sync_slop {slop} s, and the nearest was {min(self._gaps):.3f} to {max(self._gaps):.3f} s away"
            )
        single = self.pipeline.single
        if self._settings.lr_kernel != AUTO and self.counts.single and single is not None:
            notes.append(f"{single.method} does not diffuse: lr_kernel is not used for {self.counts.single} frames")
        return notes

    def _push(self, message: RawMessage, now: float) -> None:
        """Decode a message and hand it to the pairer, as the node's callbacks do."""
        if message.role == "depth":
            self.counts.received += 1
        try:
            decoded = self._bag.decode(message)
            if message.role == "depth":
                if self._pairer.push_depth(decode_depth(decoded), now):
                    self._add(Problem(ProblemKind.LOOPED, LOOPED), cdr_stamp(message.cdr))
            elif message.role == "rgb":
                self._pairer.push_rgb(decode_colour(decoded), now)
            elif message.role == "depth_info":
                self._pairer.push_depth_info(decode_camera_info(decoded), now)
            else:
                self._pairer.push_rgb_info(decode_camera_info(decoded), now)
        except (BagError, DecodeError) as error:
            problem = Problem(_KIND_OF_DAMAGE[message.role], f"{message.role} message rejected: {error}")
            self._add(problem, cdr_stamp(message.cdr))

    def _serve(self, now: float) -> Iterator[ReplayedFrame]:
        """Run the frames that are ready at `now`, as the node's worker does."""
        while (pair := self._pairer.take(now)) is not None:
            frame = self._run(pair)
            if frame is not None:
                yield frame

    def _run(self, pair: FramePair) -> ReplayedFrame | None:
        began = time.perf_counter()
        stamp_ns = pair.depth.stamp_ns
        try:
            result = self.pipeline.run(pair)
        except Exception as error:  # one frame must not end the replay, as it does not end the node
            self._add(Problem(ProblemKind.FAILED, f"a frame failed: {type(error).__name__}: {error}"), stamp_ns)
            return None
        for problem in result.problems:
            self._add(problem, stamp_ns)
        self._pairer.learn(result.rgb_usable)
        if pair.rgb_gap is not None:
            self._gaps.append(pair.rgb_gap)
        if result.depth is None:
            return None
        self.counts.add_output(result.guided)
        # scored is what the node would publish, in the camera's encoding
        published = to_metres(pair.depth.encode(result.depth))
        return ReplayedFrame(stamp_ns, published, time.perf_counter() - began)

    def _add(self, problem: Problem, stamp_ns: int) -> None:
        self.counts.add_problems([problem.kind])
        self._first.setdefault(problem.kind, (stamp_ns, problem.text))
