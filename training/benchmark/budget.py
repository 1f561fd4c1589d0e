"""``python -m training.benchmark budget``: every network trained from random weights by the same number of steps on
patches of the same size, then scored side by side.

What ships has been trained for as long as there was time, one network longer than another. This compares what an equal
budget gives; a small one also tells which network starts fast. LR maps are MATLAB's bicubic ones everywhere. Each
network learns from what its own config names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from depth_sr_ros.atomic import write_file
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.weight_files import save_weights

from ..config_files import CONFIGS
from ..export import card_of, read_checkpoint
from .arguments import check_choices, integers, names, progress_bar, shown_command
from .datasets import DatasetError, middlebury2005
from .other_datasets import validation2006
from .results import Origin, today, write_results
from .rows import RowSpec
from .runner import RowResult, evaluate
from .tables import machine

RESULTS = "budget"
BUDGET_CONFIGS = {
    "dsrnet": "dsrnet_lite.yaml",
    "csan": "csan_lite.yaml",
    "bridgenet": "bridgenet_lite.yaml",
    "dada": "dada_lite_bicubic_no_prior.yaml",
}
PATCHES = {2: (128, 8), 4: (128, 8), 8: (128, 8), 16: (192, 4)}
"""Side in HR pixels and batch size by scale: at x16 a smaller patch has too few LR pixels."""
SCENES = ("Books", "Laundry")
MADE_WITH = "budget.json"
HELD_OUT = "validation2006"
REFERENCES = ("bicubic", "dada_rgb")
"""Methods without weights, which need no budget."""


@dataclass(frozen=True)
class Run:
    """One training of the comparison, in a folder of its own."""

    method: str
    scale: int
    steps: int
    runs: Path

    @property
    def folder(self) -> Path:
        """Where its checkpoints are, and the weights made of the last one."""
        return self.runs / f"{self.method}_x{self.scale}_{self.steps}_steps"

    def checkpoint(self) -> Path | None:
        """The checkpoint that got furthest."""
        steps = {}
        for path in self.folder.glob("checkpoints/*.ckpt"):
            try:
                steps[path] = read_checkpoint(path)[1]["global_step"]
            except WeightsError:  # written when the run was killed
                continue
        return max(steps, key=lambda path: steps[path], default=None)

    def finished(self) -> bool:
        """Whether a checkpoint has all the steps."""
        found = self.checkpoint()
        return found is not None and read_checkpoint(found)[1]["global_step"] >= self.steps

    def train(self, overrides: list[str], root: Path) -> int:
        """Train, or go on (`check` first); the exit status. `root` holds the data."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / MADE_WITH, json.dumps(self.made_with(overrides), indent=1) + "\n")
        environment = {**os.environ, "DEPTH_SR_DATA": str(root.resolve())}
        command = [sys.executable, "-m", "training", *self.arguments(overrides)]
        return subprocess.run(command, check=False, env=environment).returncode

    def made_with(self, overrides: list[str]) -> dict:
        """What two trainings that may stand for each other have in common."""
        return {"config": BUDGET_CONFIGS[self.method], "overrides": overrides}

    def check(self, overrides: list[str]) -> None:
        """Raise DatasetError where a training in this folder was made with other overrides or another config."""
        if self.checkpoint() is None:
            return
        note, wanted = self.folder / MADE_WITH, self.made_with(overrides)
        found = json.loads(note.read_text()) if note.is_file() else None
        if found != wanted:
            raise DatasetError(
                f"{self.folder} holds a training made with {found}, and this command asks for {wanted}: give the same "
                "options, move the folder away, or choose another with --runs"
            )

    def arguments(self, more: Iterable[str] = ()) -> list[str]:
        """Of ``python -m training``: this run, from its last checkpoint where it has one."""
        patch, batch = PATCHES[self.scale]
        logger = "--trainer.logger.init_args."
        given = {
            "--config": CONFIGS / BUDGET_CONFIGS[self.method],
            "--data.scale": self.scale,
            "--data.patch": patch,
            "--data.batch_size": batch,
            "--trainer.max_steps": self.steps,
            "--trainer.max_epochs": -1,
            "--trainer.val_check_interval": self.steps,
            "--trainer.check_val_every_n_epoch": "null",
            f"{logger}save_dir": self.runs,
            f"{logger}name": "",
            f"{logger}version": self.folder.name,
        }
        parts = ["fit", *(str(part) for pair in given.items() for part in pair), *more]
        resumed = self.checkpoint()
        return parts if resumed is None else [*parts, "--ckpt_path", str(resumed)]

    def weights(self) -> Path:
        """The finished run's weights as a file that the benchmark loads."""
        last = self.checkpoint()
        if last is None:
            raise FileNotFoundError(f"no checkpoint in {self.folder}: the run has not begun")
        model, checkpoint = read_checkpoint(last)
        path = self.folder / f"{self.method}_x{self.scale}.safetensors"
        config = BUDGET_CONFIGS[self.method]
        card = card_of(model, checkpoint, data=config, lr_kernel="MATLAB bicubic", date="", notes="same budget")
        save_weights(model, path, card)
        return path


def budget_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark budget",
        description="Train every network by the same number of steps and score them. Finished trainings are kept and "
        "an interrupted one goes on from its last checkpoint (one every 500 steps). Other arguments, such as "
        "--trainer.precision bf16-mixed, go to every training.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        help="folder that holds middlebury2005/, middlebury2006_third/ and msgnet_depth/; in place of $DEPTH_SR_DATA",
    )
    parser.add_argument("--steps", type=int, default=600, help="of every training, default 600")
    parser.add_argument("--methods", type=names, default=list(BUDGET_CONFIGS), help=f"of {', '.join(BUDGET_CONFIGS)}")
    parser.add_argument("--scales", type=integers, default=list(PATCHES), help="comma-separated, default 2,4,8,16")
    parser.add_argument("--runs", type=Path, default=Path("runs/budget"), help="folder for the trainings")
    parser.add_argument("--results", type=Path, help=f"folder for {RESULTS}.csv")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


def budget_command(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Train what is not trained yet, score, print, write; 0 done, 1 a training failed."""
    check_choices("--methods", arguments.methods, BUDGET_CONFIGS)
    check_choices("--scales", map(str, arguments.scales), map(str, PATCHES))
    if arguments.steps < 1:
        raise DatasetError(f"--steps must be at least 1, got {arguments.steps}")
    data = {
        "middlebury2005": middlebury2005(arguments.root / "middlebury2005", list(SCENES)),
        HELD_OUT: validation2006(arguments.root / "middlebury2006_third", None),
    }
    runs = [
        Run(method, scale, arguments.steps, arguments.runs)
        for scale in arguments.scales
        for method in arguments.methods
    ]
    for run in runs:
        run.check(overrides)
    for run in runs:
        if not run.finished():
            print(f"{run.folder.name}: training", flush=True)
            status = run.train(overrides, arguments.root)
            if status != 0:
                print(f"error: {run.folder.name}: the training ended with {status}", file=sys.stderr)
                return 1
    results = score(runs, data)
    command = " ".join([shown_command("budget", budget_parser(), arguments), *overrides])
    rows = budget_records(results, arguments.steps)
    show(rows, Console())
    if arguments.results:
        unit = (
            "Books, Laundry, validation2006: mean absolute difference in 8-bit disparity levels, MATLAB bicubic LR; "
            "steps from random weights; patch: side in HR pixels; batch: patches a step; seconds: of a full-size image"
        )
        path = write_results(arguments.results, RESULTS, rows, Origin(command, today(), machine(), unit))
        print(f"{path} written")
    if arguments.json:
        records = [result.as_json() for result in results]
        write_file(arguments.json, json.dumps({"command": command, "machine": machine(), "results": records}, indent=1))
    return 0


def score(runs: list[Run], data: dict) -> list[RowResult]:
    """`REFERENCES` and every run's network on all scenes, LR by MATLAB's bicubic; methods under their plain names."""
    results = []
    with progress_bar() as progress:
        task = progress.add_task("budget", total=None)
        for scale in dict.fromkeys(run.scale for run in runs):
            entries = {RowSpec(name): name for name in REFERENCES}
            entries |= {RowSpec(f"{run.method}:{run.weights()}"): run.method for run in runs if run.scale == scale}
            for dataset, scenes in data.items():
                for entry, name in entries.items():
                    found, problems = evaluate(
                        dataset,
                        scenes,
                        [entry],
                        [scale],
                        ["protocol"],
                        [0.0],
                        on_step=lambda text: progress.update(task, advance=1, description=text),
                    )
                    if problems:
                        raise DatasetError("; ".join(problems))
                    results += [replace(result, method=name) for result in found]
    return results


def budget_records(results: list[RowResult], steps: int) -> list[dict]:
    """A record per scale and method: learned values, time of a full-size image, MAD on Books, Laundry and the held-out
    scenes' mean."""
    rows: dict[tuple[int, str], list[RowResult]] = {}
    for result in results:
        rows.setdefault((result.scale, result.method), []).append(result)
    records = []
    for (scale, method), found in sorted(rows.items(), key=lambda item: item[0][0]):
        side, batch = PATCHES[scale]
        full = [result for result in found if result.scene in SCENES]
        record = {
            "scale": scale,
            "method": method,
            "input": "depth + RGB" if found[0].guided else "depth",
            "steps": steps,
            "patch": side,
            "batch": batch,
            "parameters": found[0].parameters,
            "seconds": f"{np.median([result.seconds for result in full]):.2f}",
            "times_bicubic": f"{np.median([result.time_ratio for result in full]):.0f}",
        }
        records.append(record | {column: f"{value:.3f}" for column, value in _means(found).items()})
    return records


def show(records: list[dict], console: Console) -> None:
    """Print the records as one table."""
    grid = Table(title="MAD in 8-bit disparity levels, MATLAB bicubic LR", title_justify="left", box=box.SIMPLE_HEAD)
    for column in records[0]:
        grid.add_column(column, justify="left" if column in ("method", "input") else "right")
    for record in records:
        grid.add_row(*(str(value) for value in record.values()))
    console.print(grid)


def _means(results: list[RowResult]) -> dict[str, float]:
    by_column: dict[str, list[float]] = {}
    for result in results:
        by_column.setdefault(HELD_OUT if result.dataset == HELD_OUT else result.scene, []).append(result.scores["mad"])
    return {column: float(np.mean(values)) for column, values in by_column.items()}
