"""Choose the classical filters' settings by grid search on Middlebury 2006 scenes, and write tuned.json."""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
from pathlib import Path

import numpy as np
from rich.progress import Progress

from depth_sr_ros.atomic import write_file
from depth_sr_ros.evaluation import metrics
from depth_sr_ros.lr_kernels import downsample

from .datasets import Scene
from .other_datasets import tuning2006
from .protocols import crop_to_multiple
from .rows import TUNED_FILE, apply_filter

GRIDS: dict[str, dict[str, list[float]]] = {
    "guided_filter": {"radius": [0.25, 0.5, 1.0, 2.0], "eps": [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]},
    "joint_bilateral": {"sigma_space": [0.25, 0.5, 1.0, 1.5], "sigma_colour": [0.005, 0.01, 0.02, 0.04, 0.08]},
    "fast_global_smoother": {"strength": [0.03, 0.1, 0.3, 1.0, 3.0], "sigma_colour": [0.005, 0.01, 0.02, 0.04]},
}


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the tune command."""
    parser.add_argument("--root", type=Path, required=True, help="folder of third-size Middlebury 2006 scenes")
    parser.add_argument("--scales", type=lambda text: [int(s) for s in text.split(",")], default=[2, 4, 8, 16])
    parser.add_argument("--count", type=int, default=6, help="number of scenes to tune on, default 6")
    parser.add_argument("--out", type=Path, default=TUNED_FILE, help="file to write")


def tune_command(arguments: argparse.Namespace) -> int:
    """Tune every filter at every scale; scales that are not asked for keep their settings."""
    scenes = list(itertools.islice(tuning2006(arguments.root), arguments.count))
    document = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {"settings": {}}
    with Progress(transient=True) as progress:
        task = progress.add_task("tuning", total=len(GRIDS) * len(arguments.scales))
        for name in GRIDS:
            for scale in arguments.scales:
                best, error = tune_filter(name, scenes, scale)
                document["settings"].setdefault(name, {})[str(scale)] = best
                progress.console.print(f"{name} x{scale}: {best}, mean MAD {error:.3f}")
                progress.advance(task)
    document["date"] = datetime.date.today().isoformat()
    document["scenes"] = [scene.name for scene in scenes]
    document["lr_kernel"] = "bicubic"
    write_file(arguments.out, json.dumps(document, indent=1) + "\n")
    print(f"{arguments.out} written")
    return 0


def tune_filter(name: str, scenes: list[Scene], scale: int) -> tuple[dict[str, float], float]:
    """The grid's settings with the lowest MAD, averaged over the scenes, and that MAD."""
    prepared = []
    for scene in scenes:
        truth = crop_to_multiple(scene.depth, scale)
        if scene.guide is None:
            raise ValueError(f"{scene.name} has no colour, and {name} is a guided filter")
        guide = np.ascontiguousarray(crop_to_multiple(scene.guide, scale))
        prepared.append((truth, downsample(truth, scale, "bicubic").astype(np.float32), guide))
    grid = GRIDS[name]
    best, best_error = {}, float("inf")
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values))
        errors = [metrics.mad(apply_filter(name, lr, guide, scale, settings), truth) for truth, lr, guide in prepared]
        if np.mean(errors) < best_error:
            best, best_error = settings, float(np.mean(errors))
    return best, best_error
