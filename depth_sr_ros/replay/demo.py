"""The demo: a synthetic recording (or yours) through the real node, guided and single, with metrics and a picture.

    python -m depth_sr_ros.replay.demo [--bag BAG] [--out DIR] [--method auto] [--scale 4]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace as with_changes
from pathlib import Path

from depth_sr_ros.replay.evaluate import Progress, Replay, evaluate
from depth_sr_ros.replay.methods import MethodChoice
from depth_sr_ros.replay.panel import draw_panel
from depth_sr_ros.replay.reading import open_bag
from depth_sr_ros.replay.report import ordered, write_metrics
from depth_sr_ros.replay.writing import BagWriter
from depth_sr_ros.synthetic import DepthCamera, default_camera, random_scene

SEED = 11
RATE_HZ = 10
DURATION_S = 2.0
SIZE = (640, 480)
"""Width and height of the demo's RGB and ground truth, pixels."""

START_NS = 1_700_000_000_000_000_000


def make_demo_bag(
    path: str | Path, scale: int = 4, seed: int = SEED, progress: Progress = lambda what, done, total: None
) -> Path:
    """Write two seconds of a synthetic room with moving camera: noisy depth, RGB, camera_infos and exact depth.

    Args:
        path: folder to create (rosbag2, MCAP).
        scale: the depth is `scale` times smaller than the RGB of 640x480, which it must divide.
        seed: of the scene and the noise.
        progress: see `evaluate.Progress`.

    Returns:
        `path`.

    Raises:
        ValueError: `scale` does not divide 640 and 480.
    """
    if scale < 1 or SIZE[0] % scale or SIZE[1] % scale:
        raise ValueError(f"the demo's pictures are {SIZE[0]}x{SIZE[1]}: scale must divide both, got {scale}")
    scene, camera, sensor = random_scene(seed), default_camera(*SIZE), DepthCamera(scale)
    frames = round(RATE_HZ * DURATION_S)
    with BagWriter(path) as bag:
        for index in range(frames):
            frame = scene.render(camera, index / RATE_HZ)
            depth_lr = sensor.observe_frame(frame, seed)
            stamp = START_NS + index * 1_000_000_000 // RATE_HZ
            bag.write_frame(stamp, depth_lr, camera.scaled(1 / scale), frame.rgb, camera, frame.depth)
            progress("rendering the demo's scene", index + 1, frames)
    return Path(path)


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
    choice, out = MethodChoice.parse(method), Path(out)
    settings = Replay(method=method, scale=scale, live=True)
    with tempfile.TemporaryDirectory(prefix="depth_sr_demo_") as folder:
        synthetic = not bag
        if synthetic:
            bag = make_demo_bag(Path(folder) / "demo_bag", scale, progress=progress)
            if choice.mode == "auto":
                settings = with_changes(settings, method="guided")
        metrics = _run(bag, out, settings, "panel.png", progress)
        if synthetic and choice.mode != "single":
            metrics["single"] = _run(bag, out, with_changes(settings, method="single"), "panel_single.png", progress)
    write_metrics(metrics, out / "metrics.json")
    return ordered(metrics)


def _run(bag: str | Path, out: Path, settings: Replay, picture: str, progress: Progress) -> dict:
    with open_bag(bag) as opened:
        metrics, example = evaluate(opened, out, settings, progress)
    if example is not None:
        draw_panel(example, out / picture, metrics["method"], metrics["scale"], metrics)
    return ordered(metrics)


if __name__ == "__main__":
    from depth_sr_ros.cli import main

    sys.exit(main(["demo", *sys.argv[1:]]))
