"""Fine-tune bundled weights on pairs of your own, export them, and use them.

    .venv/bin/python examples/fine_tune.py [OUTPUT_FOLDER] [STEPS]

The one pair here is the example image, so the new weights learn it by heart. With your own camera use some hundred
pairs, some thousand steps, and judge on pairs that were not trained on: docs/training.md.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.files import read_depth
from depth_sr_ros.zoo.choice import choose_weights

HERE = Path(__file__).parent


def training(*arguments: str | Path, **variables: str) -> None:
    """`python -m training`, as from a shell."""
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, **variables})


def main(folder: Path, steps: int) -> None:
    pairs, runs, tuned = folder / "pairs", folder / "runs", folder / "my_camera_x4.safetensors"
    for source, name in (("truth.png", "depth/desk.png"), ("rgb.jpg", "color/desk.jpg")):
        (pairs / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "data" / source, pairs / name)

    start = choose_weights("dsrnet", 4, "lite")
    options: list[str | Path] = ["--model.init_args.weights", start, "--trainer.max_steps", str(steps)]
    options += ["--trainer.logger.init_args.save_dir", runs, "--trainer.logger.init_args.name", "my_camera"]
    training("fit", "--config", HERE / "fine_tune.yaml", *options, PAIRS=str(pairs.resolve()))
    checkpoint = max(runs.rglob("last.ckpt"), key=os.path.getmtime)
    training("export", checkpoint, "-o", tuned, "--data", "one desk", "--lr-kernel", "block mean with noise")

    depth, truth = read_depth(HERE / "data" / "depth.png"), read_depth(HERE / "data" / "truth.png")
    for name, weights in (("bundled weights", "auto"), ("fine-tuned weights", tuned)):
        result = DepthUpsampler("dsrnet", 4, weights=weights).upsample(depth)
        print(f"{name}: mean error {1000 * np.nanmean(np.abs(result - truth)):.1f} mm")


if __name__ == "__main__":
    folder, steps = [*sys.argv[1:], *("examples_out", "20")[len(sys.argv) - 1 :]]
    main(Path(folder), int(steps))
