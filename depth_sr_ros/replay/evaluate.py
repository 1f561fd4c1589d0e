"""Replay a recording, live through the node or offline, and say how good the result is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depth_sr_ros.inference.counts import FrameCounts
from depth_sr_ros.inference.settings import AUTO, Settings, parameter_table
from depth_sr_ros.models import diffuses, list_models
from depth_sr_ros.replay.methods import method_settings
from depth_sr_ros.replay.metrics_file import latency_metrics, ordered, write_metrics
from depth_sr_ros.replay.node_process import NodeProcess, use_large_messages
from depth_sr_ros.replay.panel import draw_panel
from depth_sr_ros.replay.reading import Bag, open_bag
from depth_sr_ros.replay.scoring import Example, ReplayedFrame, Scorer, most_telling

if TYPE_CHECKING:
    from depth_sr_ros.replay.playing import Recording

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total."""


@dataclass(frozen=True)
class Replay:
    """What to replay and how.

    Attributes:
        method: auto, single, guided or a network's name.
        scale: upsampling factor; of an external node it must be the node's.
        live: through the node over DDS; else the upsampler is called directly.
        external: use a node that already runs, as it is configured; else one is started.
        namespace: the node's namespace.
        rate: speed of a live replay, 1 is as recorded.
        startup_s: how long the node may take to become active.
        assume_registered: take RGB for registered to depth although their frame_ids differ.
        extrinsics: x y z (metres) qx qy qz qw, depth to RGB camera; empty: the pair is registered.
        lr_kernel: what a diffusion method holds its result to, see `DepthUpsampler`; None: what its weights were
            trained for.

        sigma: noise of depth in metres, see `DepthUpsampler`; None: estimated from each frame.

    Raises:
        ValueError: for extrinsics that are none, an `lr_kernel` for a method that does not diffuse, a sigma below 0, or
            any of these for an external node, which has its own.
    """

    method: str = "auto"
    scale: int = 4
    live: bool = False
    external: bool = False
    namespace: str = ""
    rate: float = 1.0
    startup_s: float = 120.0
    assume_registered: bool = False
    extrinsics: tuple[float, ...] = ()
    lr_kernel: str | None = None
    sigma: float | None = None

    def __post_init__(self) -> None:
        settings = self.settings()
        if self.lr_kernel is not None and not settings.uses_lr_kernel:
            raise ValueError(
                f"lr_kernel {self.lr_kernel!r} with method {self.method!r}, which does not diffuse and is held to no "
                f"kernel: leave it out, or choose one of auto, guided, {', '.join(filter(diffuses, list_models()))}"
            )
        if self.assume_registered and self.extrinsics:
            raise ValueError("--assume-registered and --extrinsics contradict: give the one that holds for this camera")
        for name in ("assume_registered", "extrinsics"):
            if getattr(self, name) and settings.mode == "single":
                raise ValueError(
                    f"--{name.replace('_', '-')} says how RGB lies, and method {self.method!r} takes none: leave it "
                    "out, or choose auto, guided or a guided network"
                )
        if self.sigma is not None and not self.sigma >= 0:
            raise ValueError(f"--sigma must be at least 0, got {self.sigma}")
        if self.external:
            for name in ("assume_registered", "extrinsics", "lr_kernel", "sigma"):
                value = getattr(self, name)
                if value is not None and value is not False and value != ():
                    raise ValueError(
                        f"--{name.replace('_', '-')} with --external: the running node has its own; set its "
                        f"parameter {name}"
                    )

    def settings(self) -> Settings:
        """What these options set, checked.

        Raises:
            ValueError: no such method or scale, or options that do not go together.
        """
        settings = Settings(
            scale=self.scale,
            assume_registered=self.assume_registered,
            extrinsics=tuple(float(value) for value in self.extrinsics),
            lr_kernel=AUTO if self.lr_kernel is None else self.lr_kernel,
            sigma=-1.0 if self.sigma is None else float(self.sigma),
            **method_settings(self.method),
        )
        settings.check()
        return settings

    def node_parameters(self) -> dict[str, object]:
        """The node's parameters that carry these settings: those that differ from their defaults, and the method."""
        settings = self.settings()
        named = {spec.name: (getattr(settings, spec.name), spec.default) for spec in parameter_table()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in named.items()
            if value != default or name in ("mode", "scale")
        }


def replay(
    path: str | Path,
    out: str | Path,
    settings: Replay,
    progress: Progress = lambda what, done, total: None,
    **topics: str | None,
) -> dict:
    """Replay a recording; write OUT/metrics.json and OUT/panel.png.

    Args:
        path: rosbag2 folder or file.
        out: folder for the results; made if missing.
        settings: see `Replay`.
        progress: see `Progress`.
        topics: topic names by role where the guess would be wrong, see `reading.open_bag`.

    Returns:
        The metrics, as written.

    Raises:
        BagError: the recording cannot be used.
        PlayError: live, and the node did not come up or died.
        ValueError: no such method or scale.
    """
    out = Path(out)
    with open_bag(path, **topics) as bag:
        metrics, example = evaluate(bag, out, settings, progress)
    write_metrics(metrics, out / "metrics.json")
    if example is not None:
        draw_panel(example, out / "panel.png", metrics["method"], metrics["scale"], metrics)
    return ordered(metrics)


@dataclass(frozen=True)
class _Run:
    """A replay under way.

    Attributes:
        scale: upsampling factor.
        total: frames to be scored, at most.
        frames: what comes out.
        metrics: what is known once `frames` is at its end.
    """

    scale: int
    total: int
    frames: Iterator[ReplayedFrame]
    metrics: Callable[[], dict[str, Any]]


def evaluate(bag: Bag, out: Path, settings: Replay, progress: Progress) -> tuple[dict[str, Any], Example | None]:
    """Replay an open recording; the metrics, and the frame for the picture (None when nothing came out)."""
    run = _live(bag, out, settings, progress) if settings.live else _offline(bag, settings)
    scorer = Scorer(bag, run.scale)
    latencies: list[float] = []

    def scored() -> Iterator[Example]:
        for done, frame in enumerate(run.frames, start=1):
            latencies.append(frame.latency_s)
            example = scorer.add(frame)
            progress("scoring" if settings.live else "upsampling", done, run.total)
            if example is not None:
                yield example

    example = most_telling(scored())
    metrics = run.metrics()
    metrics |= latency_metrics(latencies)
    metrics["frames_lost"] = metrics["frames_in"] - metrics["frames_out"]
    metrics |= scorer.summary()
    metrics["notes"] = [*bag.notes, *metrics.get("notes", []), *scorer.notes]
    return metrics, example


def _offline(bag: Bag, request: Replay) -> _Run:
    from depth_sr_ros.replay.offline import OfflineReplay

    settings = request.settings()
    offline = OfflineReplay(bag, settings)

    def metrics() -> dict[str, Any]:
        counts = offline.counts
        guided_share = counts.guided / counts.out if counts.out else None
        running = offline.pipeline.running(guided_share)
        return {
            **counts.rows(),
            "method": running.method,
            "weights": running.weights,
            "scale": settings.scale,
            "mode": settings.mode,
            "bag": bag.path.name,
            "live": False,
            "guided_share": guided_share,
            "notes": offline.notes(),
        }

    return _Run(settings.scale, bag.count("depth"), offline.frames(), metrics)


def _live(bag: Bag, out: Path, request: Replay, progress: Progress) -> _Run:
    use_large_messages()
    from depth_sr_ros.replay.playing import Player, PlayError

    node, log = None, out / f"node_{request.method}.log"
    if not request.external:
        node = NodeProcess(request.node_parameters(), log, request.namespace)

    def alive() -> None:
        code = None if node is None else node.exit_code()
        if node is not None and code is not None:
            raise PlayError(f"the node ended with code {code}; its last words ({log}):\n{node.last_words()}")

    exit_code = None
    try:
        with Player(bag, request.namespace, alive) as player:
            progress("waiting for the node", 0, 1)
            player.wait_for_node(request.startup_s)
            total = bag.count("depth")
            recording = player.play(request.rate, lambda sent, received: progress("playing", sent, total))
    finally:
        if node is not None:
            exit_code = node.stop()
    metrics = _live_metrics(bag, request, recording, exit_code)
    return _Run(metrics["scale"], recording.frames_out, recording.results(), lambda: metrics)


def _live_metrics(bag: Bag, request: Replay, recording: Recording, exit_code: int | None) -> dict[str, Any]:
    parameters, told, duration = recording.parameters, recording.diagnostics, recording.duration_s
    mode = parameters.get("mode", request.settings().mode)
    guided = _number(told.get("guided_percent"))
    # a node that ran before this replay has counted more than its frames
    counts = {} if request.external else {name: _count(told.get(name)) for name in FrameCounts().rows()}
    return {
        **counts,
        "frames_in": recording.frames_in,
        "frames_out": recording.frames_out,
        "method": told.get("method") or request.method,
        "weights": None if told.get("weights") == "none" else told.get("weights"),
        "scale": int(parameters.get("scale", request.scale)),
        "mode": mode,
        "bag": bag.path.name,
        "live": True,
        "frames_dropped_by_node": _count(told.get("frames_dropped")),
        "guided_share": None if guided is None else guided / 100,
        "infos_out": recording.infos_out,
        "duplicates": recording.duplicates,
        "strangers": recording.strangers,
        "input_rate_hz": (recording.frames_in - 1) / duration if duration else None,
        "diagnostics": dict(told),
        "node_exit_code": exit_code,
    }


def _count(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
