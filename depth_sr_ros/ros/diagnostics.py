"""What the node knows about itself: counters, the verdict for /diagnostics, and warnings that do not flood the log.

Pure Python: times are seconds on one monotonic clock, and levels are names; the node turns them into messages.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from ..inference.counts import FrameCounts
from ..inference.frames import Problem, ProblemKind, Severity, SolveInfo

WINDOW = 5.0
"""Seconds over which rates, latencies and recent trouble are reported."""
SILENCE = 2.0
"""Seconds without an input after which it counts as stale."""


class Level(Enum):
    """Severity, as diagnostic_msgs/DiagnosticStatus has it."""

    OK = b"\x00"
    WARN = b"\x01"
    ERROR = b"\x02"
    STALE = b"\x03"


class PublishedFrame(NamedTuple):
    """A frame that went out at `at`, `latency` seconds after its depth image came in.

    Attributes:
        at: seconds.
        latency: seconds.
        invalid_share: of the input, in [0, 1].
        guided: whether RGB guided it.
        solve: how its diffusion ended; None when none ran.
    """

    at: float
    latency: float
    invalid_share: float
    guided: bool
    solve: SolveInfo | None = None


class FrameStatistics:
    """Counters and recent times, written from the executor and the worker, read by the diagnostics timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inputs: deque[float] = deque(maxlen=1000)
        self._rgb_inputs: deque[float] = deque(maxlen=1000)
        self._outputs: deque[PublishedFrame] = deque(maxlen=1000)
        self._problems: dict[ProblemKind, tuple[float, str]] = {}
        self._counts = FrameCounts()

    def depth_arrived(self, now: float) -> None:
        with self._lock:
            self._inputs.append(now)
            self._counts.received += 1

    def rgb_arrived(self, now: float) -> None:
        with self._lock:
            self._rgb_inputs.append(now)

    def published(self, frame: PublishedFrame) -> None:
        with self._lock:
            self._outputs.append(frame)
            self._counts.add_output(frame.guided)

    def add_problem(self, problem: Problem, now: float) -> None:
        """It is counted, and reported for the next WINDOW seconds."""
        with self._lock:
            self._problems[problem.kind] = (now, problem.text)
            self._counts.add_problems([problem.kind])

    def forget_problems(self) -> None:
        """What was wrong under other parameters says nothing about the new ones."""
        with self._lock:
            self._problems.clear()

    def summary(self, now: float) -> Summary:
        """The state over the last WINDOW seconds."""
        with self._lock:
            recent = [output for output in self._outputs if now - output.at <= WINDOW]
            latencies = [output.latency for output in recent]
            solves = [output.solve for output in recent if output.solve is not None]
            return Summary(
                input_rate=_rate(self._inputs, now),
                rgb_rate=_rate(self._rgb_inputs, now),
                output_rate=_rate([output.at for output in recent], now),
                latency_p50=float(np.median(latencies)) if latencies else None,
                latency_max=max(latencies, default=None),
                invalid_share=_mean([output.invalid_share for output in recent]),
                guided_share=_mean([output.guided for output in recent]),
                iterations_p50=float(np.median([solve.iterations for solve in solves])) if solves else None,
                residual_max=max((solve.relative_residual for solve in solves), default=None),
                warm_share=_mean([solve.warm for solve in solves]),
                budget_share=_mean([solve.budget_ended for solve in solves]),
                unconverged_share=_mean([not solve.converged for solve in solves]),
                since_input=now - self._inputs[-1] if self._inputs else None,
                problems=[
                    Problem(kind, text)
                    for kind, (at, text) in sorted(self._problems.items(), key=lambda item: item[1][0])
                    if now - at <= WINDOW
                ],
                counts=self._counts.copy(),
            )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rate(times: Iterable[float], now: float) -> float:
    recent = [at for at in times if now - at <= WINDOW]
    if len(recent) < 2 or now - recent[-1] > SILENCE:
        return 0.0
    return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)


@dataclass
class Summary:
    """`FrameStatistics` over the last WINDOW seconds: rates in Hz, times in seconds, shares in [0, 1]."""

    input_rate: float = 0.0
    rgb_rate: float = 0.0
    output_rate: float = 0.0
    latency_p50: float | None = None
    latency_max: float | None = None
    invalid_share: float | None = None
    guided_share: float | None = None
    iterations_p50: float | None = None
    """Of the diffusion's solver, as the next four."""
    residual_max: float | None = None
    warm_share: float | None = None
    budget_share: float | None = None
    """Share of solves that a budget ended."""
    unconverged_share: float | None = None
    """Share of solves that ended above their tolerance."""
    since_input: float | None = None
    problems: list[Problem] = field(default_factory=list)
    """The latest of each kind, the latest of all last."""
    counts: FrameCounts = field(default_factory=FrameCounts)

    def problem(self, kind: ProblemKind) -> Problem | None:
        """The latest problem of `kind`, if there was one."""
        return next((problem for problem in self.problems if problem.kind is kind), None)


@dataclass
class Surroundings:
    """What the verdict needs to know beside the counters."""

    state: str = "active"
    enabled: bool = True
    listening_for: float = 0.0
    """Seconds since the subscriptions were made."""
    depth_topic: str = "depth/image_raw"
    depth_publishers: int = 1
    incompatible_qos: dict[str, str] = field(default_factory=dict)
    """Topic to the QoS policy that a publisher there offers too little of."""
    large_data_profile: bool = True
    """Whether a Fast DDS profile for large messages is in use."""
    build_error: str = ""


LARGE_DATA_HINT = (
    "images above about 0.5 MB are lost on default Fast DDS with best-effort QoS (640x480 16UC1 has 614 kB): set "
    "FASTDDS_DEFAULT_PROFILES_FILE to config/fastdds_large_data.xml for camera and node alike (the launch file does)"
)


class Verdict(NamedTuple):
    """How the node does.

    Attributes:
        level: of the diagnostic status.
        text: what is wrong and what to do, in a sentence.
        silent: whether no depth image arrives although some should: worth a line in the log.
    """

    level: Level
    text: str
    silent: bool = False


def verdict(summary: Summary, around: Surroundings) -> Verdict:
    """Judge what `summary` and `around` say; the worst comes first."""
    if around.build_error:
        return Verdict(Level.ERROR, around.build_error)
    if around.state != "active":
        return Verdict(Level.OK, f"{around.state}: activate the node to run it")
    if not around.enabled:
        return Verdict(Level.OK, "disabled by ~/enable")
    silent = summary.since_input is None or summary.since_input > SILENCE
    if silent and around.listening_for > SILENCE:
        return _silence(summary, around)
    for severity, level in ((Severity.ERROR, Level.ERROR), (Severity.WARN, Level.WARN)):
        latest = [problem.text for problem in summary.problems if problem.kind.severity is severity]
        if latest:
            return Verdict(level, latest[-1])
    if around.incompatible_qos:
        return Verdict(Level.WARN, _qos_hint(around))
    if summary.problem(ProblemKind.DROPPED) and summary.output_rate < 0.9 * summary.input_rate:
        return Verdict(
            Level.WARN,
            f"{summary.input_rate:.1f} Hz come in, {summary.output_rate:.1f} Hz go out: the newest frame wins; a "
            "smaller scale, size lite or a CUDA device is faster",
        )
    if silent:
        return Verdict(Level.OK, f"waiting for {around.depth_topic}")
    return Verdict(Level.OK, f"{summary.output_rate:.1f} Hz")


def _silence(summary: Summary, around: Surroundings) -> Verdict:
    topic = around.depth_topic
    rejected = summary.problem(ProblemKind.REJECTED)
    if rejected:
        return Verdict(Level.ERROR, rejected.text)
    if topic in around.incompatible_qos:
        return Verdict(Level.ERROR, _qos_hint(around))
    if around.depth_publishers == 0:
        text = f"no messages: nobody publishes {topic}; start the camera or remap depth/image_raw"
        return Verdict(Level.STALE, text, silent=True)
    since = "yet" if summary.since_input is None else f"for {summary.since_input:.0f} s"
    text = f"no messages {since} although {around.depth_publishers} publish {topic}"
    if around.large_data_profile:
        hint = f"does the camera run? is ROS_DOMAIN_ID the same? (ros2 topic hz {topic})"
    else:
        hint = LARGE_DATA_HINT
    return Verdict(Level.STALE, f"{text}: {hint}", silent=True)


def _qos_hint(around: Surroundings) -> str:
    topic, policy = next(iter(around.incompatible_qos.items()))
    return (
        f"QoS mismatch on {topic}: a peer's {policy} does not fit ours, so nothing passes between us; set "
        f"qos_overrides.{topic}.*.{policy.lower()} of this node or of the peer"
    )


def key_values(summary: Summary, facts: dict[str, str]) -> dict[str, str]:
    """The rows of the diagnostic status: `facts` (method, device, ...) and the summary's numbers."""

    def milliseconds(value: float | None) -> str:
        return "n/a" if value is None else f"{1000 * value:.1f}"

    def percent(value: float | None) -> str:
        return "n/a" if value is None else f"{100 * value:.1f}"

    return {
        **facts,
        "input_rate_hz": f"{summary.input_rate:.2f}",
        "rgb_rate_hz": f"{summary.rgb_rate:.2f}",
        "output_rate_hz": f"{summary.output_rate:.2f}",
        "latency_ms_p50": milliseconds(summary.latency_p50),
        "latency_ms_max": milliseconds(summary.latency_max),
        "invalid_percent": percent(summary.invalid_share),
        "guided_percent": percent(summary.guided_share),
        "solver_iterations_p50": "n/a" if summary.iterations_p50 is None else f"{summary.iterations_p50:.0f}",
        "solver_residual_max": "n/a" if summary.residual_max is None else f"{summary.residual_max:.1e}",
        "solver_warm_percent": percent(summary.warm_share),
        "solver_budget_ended_percent": percent(summary.budget_share),
        "solver_unconverged_percent": percent(summary.unconverged_share),
        **{name: str(number) for name, number in summary.counts.rows().items()},
    }


class Throttle:
    """Lets one message of each kind through per period, and says how many it held back.

    Texts of one kind that differ in more than their numbers are different messages: an unknown encoding does not hide
    a truncated image.
    """

    def __init__(self, period: float = 5.0, capacity: int = 256):
        self.period, self.capacity = period, capacity
        self._lock = threading.Lock()
        self._last: dict[Hashable, float] = {}
        self._held: Counter[Hashable] = Counter()

    def __call__(self, kind: Hashable, text: str, now: float) -> str | None:
        """The text to log, or None while its like is throttled."""
        key = (kind, re.sub(r"[0-9.]+", "#", text))
        with self._lock:
            if now - self._last.get(key, float("-inf")) < self.period:
                self._held[key] += 1
                return None
            if len(self._last) >= self.capacity:
                self._last.clear()
                self._held.clear()
            self._last[key] = now
            held = self._held.pop(key, 0)
        return f"{text} ({held} more of this kind since the last warning)" if held else text
