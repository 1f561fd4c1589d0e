"""Which depth frame to process next, and with which RGB image. Pure Python: no ROS, no clock of its own.

Frames go in as they arrive; one worker takes them out. Three rules decide:

* **Newest frame wins.** Of the frames that became ready while the worker was busy, only the newest is kept; the others
  are counted as dropped. A worker that needs less than `KEEPS_UP` of a frame period gets every frame, in order:
  after a hiccup it catches up with up to `CATCH_UP` frames.
* **RGB is waited for, briefly.** A depth frame is ready at once when the RGB image nearest to it in time (within
  `slop`) is here, or when none can come any more. Otherwise it waits at most `slop` plus the lateness of RGB seen
  lately (never more than `max_lateness`). Nothing is waited for while RGB is silent or unusable; RGB that was
  unusable is given another chance every `RETRY` seconds, since one that comes after depth pairs only if waited for.
* **Stamps that jump back are a looped bag.** What was buffered belongs to the old loop and is forgotten.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from .calibration import Calibration
from .frames import ColourImage, DepthImage, FramePair

CATCH_UP = 3
KEEPS_UP = 0.8
RETRY = 1.0

LOOPED = "depth stamp earlier than the last one: expected growing stamps; taken for a looped bag, buffers are cleared"
"""What to tell the user where `Pairer.push_depth` returns True."""


@dataclass
class _Waiting:
    """A depth image that waits for its partners or for the worker; times are seconds on the pairer's clock."""

    depth: DepthImage
    arrival: float
    deadline: float = 0.0
    ready_at: float | None = None

    @property
    def stamp(self) -> float:
        return self.depth.stamp


class InfoBuffer:
    """The camera_infos of one camera: the one with an image's own stamp, else the latest."""

    def __init__(self, length: int = 32):
        self._infos: deque[Calibration] = deque(maxlen=length)

    def push(self, info: Calibration) -> None:
        if self._infos and info.stamp < self._infos[-1].stamp:
            self._infos.clear()
        self._infos.append(info)

    def exact(self, stamp: float) -> Calibration | None:
        """The info with exactly this stamp, or None."""
        return next((info for info in reversed(self._infos) if info.stamp == stamp), None)

    def find(self, stamp: float) -> Calibration | None:
        """The info with this stamp, else the latest, else None."""
        return self.exact(stamp) or (self._infos[-1] if self._infos else None)

    def clear(self) -> None:
        self._infos.clear()


class Pairer:
    """Pairs depth with RGB by stamp and hands frames to one worker (see the module's rules). Not thread-safe.

    Args:
        slop: seconds by which the stamps of a pair may differ.
        use_rgb: False pairs nothing and waits for nothing.
        need_rgb: True waits for RGB even while it is silent or unusable, since no frame is of use without it.
        info_wait: seconds that a depth image without any fitting camera_info may wait for its own.
        max_lateness: seconds beyond `slop` that RGB may be waited for.
        silence: seconds without RGB after which none is expected.
        newest_wins: False keeps every frame for the worker, however long it takes: for replays that have the time.

    Attributes:
        dropped: frames that were left out for newer ones.
        resets: how often depth stamps went back in time.
        rgb_usable: False after RGB could not serve as a guide: nothing waits for it until the next try (see RETRY).
        info_expected: True while somebody publishes depth camera_info, so that waiting for it makes sense.
    """

    def __init__(
        self,
        slop: float = 0.02,
        use_rgb: bool = True,
        need_rgb: bool = False,
        info_wait: float = 0.05,
        max_lateness: float = 0.05,
        silence: float = 0.5,
        newest_wins: bool = True,
    ):
        self.slop, self.use_rgb, self.need_rgb = slop, use_rgb, need_rgb
        self.info_wait, self.max_lateness, self.silence = info_wait, max_lateness, silence
        self.newest_wins = newest_wins
        self.dropped = 0
        self.resets = 0
        self.rgb_usable = True
        self.info_expected = False
        self.depth_infos, self.rgb_infos = InfoBuffer(), InfoBuffer()
        self._pending: deque[_Waiting] = deque()
        self._rgb: deque[ColourImage] = deque(maxlen=8)
        self._last_depth_stamp = float("-inf")
        self._last_rgb_arrival = float("-inf")
        self._retried_at = float("-inf")
        self._rgb_period: float | None = None
        self._lateness: deque[float] = deque(maxlen=30)
        self._recent_depth: deque[tuple[float, float]] = deque(maxlen=30)
        self._infos_missed = 0
        self._busy = False
        self._taken_at = 0.0
        self._work_times: deque[float] = deque(maxlen=15)

    def clear(self) -> None:
        """Forget every buffered message and what was thought of RGB; counters stay."""
        self.rgb_usable = True
        self._pending.clear()
        self._rgb.clear()
        self._recent_depth.clear()
        self.depth_infos.clear()
        self.rgb_infos.clear()
        self._last_depth_stamp = self._last_rgb_arrival = float("-inf")

    def push_depth(self, depth: DepthImage, now: float) -> bool:
        """A depth image arrived. Returns True when its stamp went back in time (a looped bag)."""
        stamp = depth.stamp
        jumped_back = stamp < self._last_depth_stamp
        if jumped_back:
            self.resets += 1
            self._finish_pending(now)
            self._recent_depth.clear()
            # RGB may have looped before depth did: keep what belongs to the new loop
            self._rgb = deque((rgb for rgb in self._rgb if rgb.stamp <= stamp + 0.5), maxlen=self._rgb.maxlen)
        self._last_depth_stamp = stamp
        frame = _Waiting(depth, arrival=now)
        if self.use_rgb and self._nearest_rgb(stamp) is not None:
            self._lateness.append(0.0)
        frame.deadline = now + max(self._rgb_wait(now), 0.0 if self._info_complete(frame) else self.info_wait)
        self._recent_depth.append((stamp, now))
        self._pending.append(frame)
        self._settle(now)
        return jumped_back

    def push_rgb(self, rgb: ColourImage, now: float) -> None:
        """An RGB image arrived."""
        stamp = rgb.stamp
        if self._rgb:
            step = stamp - self._rgb[-1].stamp
            if step < 0:
                self._rgb.clear()
            elif 0 < step < self.silence:
                self._rgb_period = step if self._rgb_period is None else 0.8 * self._rgb_period + 0.2 * step
        self._rgb.append(rgb)
        self._last_rgb_arrival = now
        if not self.rgb_usable and now - self._retried_at >= RETRY:
            self.rgb_usable, self._retried_at = True, now
        partner = min(self._recent_depth, key=lambda seen: abs(seen[0] - stamp), default=None)
        if partner is not None and abs(partner[0] - stamp) <= self.slop:
            self._lateness.append(now - partner[1])
        self._settle(now)

    def push_depth_info(self, info: Calibration, now: float) -> None:
        """A camera_info of the depth camera arrived."""
        self._infos_missed = 0
        self.depth_infos.push(info)
        self._settle(now)

    def push_rgb_info(self, info: Calibration, now: float) -> None:
        """A camera_info of the RGB camera arrived."""
        if self.rgb_infos.find(info.stamp) is None:
            self.rgb_usable = True  # what was missing has come
        self.rgb_infos.push(info)
        self._settle(now)

    def take(self, now: float) -> FramePair | None:
        """The next frame for the worker, which is thereby free for it; None while there is none."""
        self._settle(now)
        if self._busy:
            self._work_times.append(now - self._taken_at)
        self._busy = False
        if not self._pending or self._pending[0].ready_at is None:
            return None
        frame = self._pending.popleft()
        self._infos_missed += not self._info_complete(frame)
        self._busy = True
        self._taken_at = now
        return self._pair(frame, now)

    def learn(self, rgb_usable: bool | None) -> None:
        """What `FrameResult.rgb_usable` says of a frame that was taken: whether RGB is worth waiting for."""
        if rgb_usable is not None:
            self.rgb_usable = rgb_usable

    @property
    def next_deadline(self) -> float | None:
        """When a waiting frame becomes ready by itself; None when none waits."""
        return min((frame.deadline for frame in self._pending), default=None)

    def time_to_deadline(self, now: float) -> float | None:
        """Seconds until `next_deadline`; None when no frame waits."""
        deadline = self.next_deadline
        return None if deadline is None else max(0.0, deadline - now)

    def _pair(self, frame: _Waiting, now: float) -> FramePair:
        rgb = rgb_info = gap = None
        if self.use_rgb:
            rgb = self._nearest_rgb(frame.stamp)
            if rgb is not None:
                rgb_info = self.rgb_infos.find(rgb.stamp)
            elif self._rgb and now - self._last_rgb_arrival <= self.silence:
                gap = min(abs(candidate.stamp - frame.stamp) for candidate in self._rgb)
        return FramePair(frame.depth, frame.arrival, self.depth_infos.find(frame.stamp), rgb, rgb_info, gap)

    def _settle(self, now: float) -> None:
        """Mark frames that are ready, and drop what a busy worker will not get to."""
        newest_ready = None
        for index, frame in enumerate(self._pending):
            if frame.ready_at is None and (now >= frame.deadline or self._complete(frame, now)):
                frame.ready_at = now
            if frame.ready_at is not None:
                newest_ready = index
        if newest_ready is None:
            return
        for index in range(newest_ready):
            frame = self._pending[index]
            frame.ready_at = now if frame.ready_at is None else frame.ready_at
        if self._busy and self.newest_wins:
            for _ in range(newest_ready - self._backlog_allowed()):
                self._pending.popleft()
                self.dropped += 1

    def _backlog_allowed(self) -> int:
        """Frames beside the newest that may wait for a busy worker: none unless it is fast enough to catch up."""
        arrivals = [arrival for _, arrival in self._recent_depth]
        if len(self._work_times) < 5 or len(arrivals) < 5:
            return 2 * CATCH_UP  # the first frames take longer than those to come: caches and memory are cold
        period = median(later - earlier for earlier, later in pairwise(arrivals))
        # the lower quartile: what the work takes while nothing else claims the processor
        work = sorted(self._work_times)[len(self._work_times) // 4]
        return CATCH_UP if work < KEEPS_UP * period else 0

    def _complete(self, frame: _Waiting, now: float) -> bool:
        return self._info_complete(frame) and self._rgb_complete(frame, now)

    def _info_complete(self, frame: _Waiting) -> bool:
        hopeless = not self.info_expected or self._infos_missed >= 3
        if hopeless or self.depth_infos.exact(frame.stamp) is not None:
            return True
        latest = self.depth_infos.find(frame.stamp)
        return latest is not None and latest.fits(frame.depth.width, frame.depth.height)

    def _rgb_complete(self, frame: _Waiting, now: float) -> bool:
        if self._rgb_wait(now) == 0.0:
            return True
        match = self._nearest_rgb(frame.stamp)
        if match is None:
            # RGB stamps only grow: one beyond the window means that none inside it will come
            return bool(self._rgb) and self._rgb[-1].stamp > frame.stamp + self.slop
        later_may_be_nearer = match is self._rgb[-1] and match.stamp < frame.stamp
        if not later_may_be_nearer:
            return True
        half_period = 0.5 * self._rgb_period if self._rgb_period is not None else 0.0
        return frame.stamp - match.stamp < half_period

    def _rgb_wait(self, now: float) -> float:
        hopeless = now - self._last_rgb_arrival > self.silence or not self.rgb_usable
        if not self.use_rgb or (hopeless and not self.need_rgb):
            return 0.0
        lateness = max(self._lateness, default=self.max_lateness)
        return self.slop + min(max(1.25 * lateness, 0.005), self.max_lateness)

    def _nearest_rgb(self, stamp: float) -> ColourImage | None:
        match = min(self._rgb, key=lambda rgb: abs(rgb.stamp - stamp), default=None)
        return match if match is not None and abs(match.stamp - stamp) <= self.slop + 1e-9 else None

    def _finish_pending(self, now: float) -> None:
        for frame in self._pending:
            frame.ready_at = now if frame.ready_at is None else frame.ready_at
