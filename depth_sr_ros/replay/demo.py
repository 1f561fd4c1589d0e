"""The demo: a synthetic recording (or yours) through the real node, guided and single, with metrics and a picture."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace as with_changes
from pathlib import Path

import numpy as np

from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.replay.evaluate import Progress, Replay, evaluate
from depth_sr_ros.replay.metrics_file import ordered, write_metrics
from depth_sr_ros.replay.panel import draw_panel
from depth_sr_ros.replay.reading import open_bag
from depth_sr_ros.replay.writing import BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene

SEED = 11
DURATION_S = 2.0
SIZE = (320, 240)
"""Width and height of the demo's RGB and ground truth, pixels."""

RATES_HZ = (15, 10, 5, 3, 2)
"""Frame rates of the synthetic camera; `sustainable_rate` picks the one that suits the machine."""

MARGIN = 1.4
"""Period of the camera over the time of a frame: the node also converts and publishes, beside the player."""

START_NS = 1_700_000_000_000_000_000


def make_demo_bag(
    path: str | Path,
    scale: int = 4,
    seed: int = SEED,
    rate_hz: float = 5,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Write two seconds of a synthetic room with moving camera: noisy depth, RGB, camera_infos and exact depth.

    Args:
        path: folder to create (rosbag2, MCAP).
        scale: the depth is `scale` times smaller than the RGB, whose `SIZE` it must divide.
        seed: of the scene and the noise.
        rate_hz: frames per second.
        progress: see `evaluate.Progress`.

    Returns:
        `path`.

    Raises:
        ValueError: `scale` does not divide `SIZE`.
    """
    _check_scale(scale)
    scene, camera, sensor = random_scene(seed), default_camera(*SIZE), DepthCamera(scale)
    frames = round(rate_hz * DURATION_S)
    with BagWriter(path) as bag:
        for index in range(frames):
            frame = scene.render(camera, index / rate_hz)
            depth_lr = sensor.observe_frame(frame, seed)
            stamp = START_NS + round(index * 1e9 / rate_hz)
            bag.write_frame(stamp, depth_lr, camera.scaled(1 / scale), frame.rgb, camera, frame.depth)
            progress("rendering the demo's scene", index + 1, frames)
    return Path(path)


def sustainable_rate(networks: Iterable[str], scale: int) -> float:
    """The highest of `RATES_HZ` whose period is at least `MARGIN` times what the slowest network takes for a frame.

    The demo shows a camera that this machine can follow; how fast each network is, `depth-sr bench` tells.
    """
    camera = default_camera(*SIZE)
    frame = random_scene(SEED).render(camera)
    depth_lr, rgb = DepthCamera(scale).observe_frame(frame, SEED), frame.rgb
    seconds = 0.0
    for network in networks:
        upsampler = DepthUpsampler(network, scale=scale)
        guide = rgb if upsampler.requires_guide else None
        upsampler.upsample(depth_lr, guide)  # fills caches, as the node's own warm-up does
        # the lower quartile, by which the node judges itself too: what it takes while nothing else claims the processor
        seconds = max(seconds, sorted(_seconds(upsampler, depth_lr, guide) for _ in range(8))[2])
    return fitting_rate(seconds)


def fitting_rate(seconds: float) -> float:
    """The highest of `RATES_HZ` that leaves `MARGIN` times `seconds` for a frame; the lowest where none does."""
    return next((rate for rate in RATES_HZ if MARGIN * seconds * rate <= 1), RATES_HZ[-1])


def _seconds(upsampler: DepthUpsampler, depth_lr: np.ndarray, guide: np.ndarray | None) -> float:
    start = time.perf_counter()
    upsampler.upsample(depth_lr, guide)
    return time.perf_counter() - start


def run_demo(
    bag: str | Path | None,
    out: str | Path,
    method: str = "auto",
    scale: int = 4,
    progress: Progress = lambda what, done, total: None,
) -> dict:
    """Play a recording live through the node; write OUT/metrics.json and OUT/panel.png.

    Args:
        bag: rosbag2 folder or file; None or "" for the synthetic one.
        out: folder for the results.
        method: auto, single, guided or a network's name. On the synthetic recording all but a single-depth method
            also run the single-depth default, whose metrics stand under "single" (picture: panel_single.png).
        scale: upsampling factor.
        progress: see `evaluate.Progress`.

    Returns:
        The metrics, as written.

    Raises:
        BagError, PlayError, ValueError: as `evaluate.replay`.
    """
    out, request = Path(out), Replay(method=method, scale=scale, live=True)
    with tempfile.TemporaryDirectory(prefix="depth_sr_demo_") as folder:
        played, synthetic = bag or "", not bag
        also_single = synthetic and request.settings().mode != "single"
        if synthetic:
            _check_scale(scale)
            if method == "auto":
                request = with_changes(request, method="guided")
            networks = _networks(request)
            if also_single:
                networks |= _networks(with_changes(request, method="single"))
            progress("measuring this machine", 0, 1)
            rate = sustainable_rate(networks, scale)
            progress("measuring this machine", 1, 1)
            played = make_demo_bag(Path(folder) / "demo_bag", scale, rate_hz=rate, progress=progress)
        metrics = _run(played, out, request, "panel.png", progress)
        if also_single:
            metrics["single"] = _run(played, out, with_changes(request, method="single"), "panel_single.png", progress)
    write_metrics(metrics, out / "metrics.json")
    return ordered(metrics)


def _networks(request: Replay) -> set[str]:
    """The method that a replay runs; not of mode auto, which may run two."""
    settings = request.settings()
    return {(settings.guided_method() if settings.mode == "guided" else settings.single_method())[0]}


def _check_scale(scale: int) -> None:
    if scale < 1 or SIZE[0] % scale or SIZE[1] % scale:
        raise ValueError(f"the demo's pictures are {SIZE[0]}x{SIZE[1]}: scale must divide both, got {scale}")


def _run(bag: str | Path, out: Path, request: Replay, picture: str, progress: Progress) -> dict:
    with open_bag(bag) as opened:
        metrics, example = evaluate(opened, out, request, progress)
    if example is not None:
        draw_panel(example, out / picture, metrics["method"], metrics["scale"], metrics)
    return ordered(metrics)
