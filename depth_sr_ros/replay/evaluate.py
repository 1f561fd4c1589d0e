"""Replay a recording, live through the node or offline, and say how good the result is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from depth_sr_ros.camera import Extrinsics
from depth_sr_ros.replay.methods import MethodChoice
from depth_sr_ros.replay.metrics_file import latency_metrics, ordered, write_metrics
from depth_sr_ros.replay.node_process import NodeProcess, use_large_messages
from depth_sr_ros.replay.panel import draw_panel
from depth_sr_ros.replay.reading import Bag, open_bag
from depth_sr_ros.replay.scoring import Example, Scorer, most_telling

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

    Raises:
        ValueError: for extrinsics that are none, an `lr_kernel` for a method that does not diffuse, or any of the
            three for an external node, which has its own.
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

    def __post_init__(self):
        if self.extrinsics:
            Extrinsics.from_xyz_quaternion(self.extrinsics)
        MethodChoice.parse(self.method).check_kernel(self.lr_kernel)
        if self.assume_registered and self.extrinsics:
            raise ValueError("--assume-registered and --extrinsics contradict: give the one that holds for this camera")
        for name in ("assume_registered", "extrinsics"):
            if getattr(self, name) and not MethodChoice.parse(self.method).may_guide:
                raise ValueError(
                    f"--{name.replace('_', '-')} says how RGB lies, and method {self.method!r} takes none: leave it "
                    "out, or choose auto, guided or a guided network"
                )
        if self.external:
            for name in ("assume_registered", "extrinsics", "lr_kernel"):
                if getattr(self, name):
                    raise ValueError(
                        f"--{name.replace('_', '-')} came with --external, and the running node has its own: set its "
                        f"parameter {name}"
                    )

    def node_parameters(self) -> dict[str, object]:
        """The node's parameters that carry these settings."""
        parameters = {**MethodChoice.parse(self.method).node_parameters(), "scale": self.scale}
        parameters["assume_registered"] = self.assume_registered
        if self.extrinsics:
            parameters["extrinsics"] = [float(value) for value in self.extrinsics]
        if self.lr_kernel is not None:
            parameters["lr_kernel"] = self.lr_kernel
        return parameters


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


def evaluate(bag: Bag, out: Path, settings: Replay, progress: Progress) -> tuple[dict, Example | None]:
    """Replay an open recording; the metrics, and the frame for the picture (None when nothing came out)."""
    choice = MethodChoice.parse(settings.method)
    run = _live if settings.live else _offline
    metrics, results = run(bag, choice, out, settings, progress)
    scorer = Scorer(bag, metrics["scale"])
    total = metrics["frames_out"] if settings.live else metrics["frames_in"]
    latencies: list[float] = []

    def scored() -> Iterable[Example]:
        for done, result in enumerate(results, start=1):
            latencies.append(result.latency_s)
            example = scorer.add(result)
            progress("scoring" if settings.live else "upsampling", done, total)
            if example is not None:
                yield example

    example = most_telling(iter(scored()))
    if not settings.live:
        metrics["frames_out"] = len(latencies)
    metrics |= latency_metrics(latencies)
    metrics["frames_lost"] = metrics["frames_in"] - metrics["frames_out"]
    metrics |= scorer.summary()
    metrics["notes"] = [*metrics.get("notes", []), *scorer.notes]
    return metrics, example


def _offline(bag: Bag, choice: MethodChoice, out: Path, settings: Replay, progress: Progress):
    from depth_sr_ros.replay.offline import run_offline

    upsampler, results, notes = run_offline(
        bag, choice, settings.scale, settings.assume_registered, settings.extrinsics, settings.lr_kernel
    )
    metrics = {
        "frames_in": bag.count("depth"),
        "frames_out": 0,
        "method": upsampler.method,
        "weights": upsampler.weights,
        "scale": settings.scale,
        "bag": bag.path.name,
        "live": False,
        "notes": notes,
    }
    return metrics, results


def _live(bag: Bag, choice: MethodChoice, out: Path, settings: Replay, progress: Progress):
    use_large_messages()
    from depth_sr_ros.replay.playing import Player, PlayError

    node, log = None, out / f"node_{choice.network or choice.mode}.log"
    if not settings.external:
        node = NodeProcess(settings.node_parameters(), log, settings.namespace)

    def alive() -> None:
        code = None if node is None else node.exit_code()
        if code is not None:
            raise PlayError(f"the node ended with code {code}; its last words ({log}):\n{node.last_words()}")

    exit_code = None
    try:
        with Player(bag, settings.namespace, alive) as player:
            progress("waiting for the node", 0, 1)
            player.wait_for_node(settings.startup_s)
            total = bag.count("depth")
            recording = player.play(settings.rate, lambda sent, received: progress("playing", sent, total))
    finally:
        if node is not None:
            exit_code = node.stop()
    return _live_metrics(bag, choice, settings, recording, exit_code), recording.results()


def _live_metrics(bag: Bag, choice: MethodChoice, settings: Replay, recording, exit_code: int | None) -> dict:
    parameters, told, duration = recording.parameters, recording.diagnostics, recording.duration_s
    mode = parameters.get("mode", choice.mode)
    dropped, guided = _number(told.get("frames_dropped")), _number(told.get("guided_percent"))
    return {
        "frames_in": recording.frames_in,
        "frames_out": recording.frames_out,
        "method": told.get("method") or choice.network or mode,
        "weights": None if told.get("weights") == "none" else told.get("weights"),
        "scale": int(parameters.get("scale", settings.scale)),
        "mode": mode,
        "bag": bag.path.name,
        "live": True,
        "frames_dropped_by_node": None if dropped is None else int(dropped),
        "guided_share": None if guided is None else guided / 100,
        "infos_out": recording.infos_out,
        "duplicates": recording.duplicates,
        "strangers": recording.strangers,
        "input_rate_hz": (recording.frames_in - 1) / duration if duration else None,
        "diagnostics": dict(told),
        "node_exit_code": exit_code,
    }


def _number(text: str | None) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
