"""``python -m training job --out DIR``: train every entry for a fixed time, one after the other, and export them.

Run it again after an interruption: finished entries are skipped, an interrupted one goes on from its last checkpoint
with the time it had left. Arguments that are not the job's own (``--trainer.precision 32``) go to every training.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from depth_sr_ros.atomic import write_file

from ..cli import launch, run
from ..data.sample import DATA_ROOT, data_root
from .deliver import export
from .entries import ENTRIES, JobEntry, chosen
from .pack import check_pack, pack
from .slice import Slice

SAVE_EVERY = 60.0  # seconds between checkpoints
MAX_WORKERS = 16


def main(arguments: list[str] | None = None, entries: Iterable[JobEntry] = ENTRIES) -> int:
    """The command; returns the exit code (1: an entry failed; 2: nothing could be started)."""
    given, overrides = parse(arguments)
    try:
        wanted = chosen(entries, given.only)
        if given.data is not None:
            os.environ[DATA_ROOT] = str(given.data)
        if given.pack is not None:
            size = pack(wanted, data_root(), given.pack, given.max_pack_mb)
            print(f"packed {size / 1e6:.1f} MB into {given.pack}: carry it along and give it as --data")
            return 0
        check_pack(data_root())
        report = Report(given.out)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.set_float32_matmul_precision("high")  # TF32 where a GPU has it
    try:
        failed = [
            entry.name for entry in wanted if not report.holds(entry) and not attempt(entry, given, overrides, report)
        ]
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    show(wanted, report, failed)
    return 1 if failed else 0


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The job's own arguments, and those for the trainings."""
    parser = argparse.ArgumentParser(prog="python -m training job", description=__doc__, allow_abbrev=False)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="train; runs, weights and report.json go here")
    what.add_argument("--pack", type=Path, metavar="FOLDER", help="copy the files that the entries read to FOLDER")
    parser.add_argument("--only", type=lambda names: names.split(","), metavar="A,B", help="these entries only")
    parser.add_argument("--slice", type=float, default=540.0, metavar="S", help="seconds of training of an entry")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="data root or packed folder; default: $DEPTH_SR_DATA")
    parser.add_argument("--accelerator", choices=("auto", "gpu", "cpu"), default="auto")
    parser.add_argument(
        "--max-file-mb",
        type=float,
        default=16.0,
        help="split larger weight files into parts that `cat` joins, for hosts that limit file sizes (%(default)s)",
    )
    parser.add_argument("--max-pack-mb", type=float, default=64.0, help="refuse to pack more")
    given, overrides = parser.parse_known_args(arguments)
    if given.slice <= 0 or given.max_file_mb <= 0:
        parser.error(f"--slice and --max-file-mb must be positive, got {given.slice} and {given.max_file_mb}")
    if given.pack is not None and overrides:
        parser.error(f"unrecognized arguments: {' '.join(overrides)}")
    return given, overrides


class Report:
    """DIR/report.json: what every finished entry gave."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "report.json"
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            try:
                self.entries = json.loads(self.path.read_text())
            except json.JSONDecodeError as error:
                raise ValueError(f"{self.path} is no report of this job ({error}): move it away") from None

    @property
    def weights(self) -> Path:
        """The folder of weights and cards."""
        return self.folder / "weights"

    def holds(self, entry: JobEntry) -> bool:
        """Whether the entry is finished and all its files are there."""
        done = self.entries.get(entry.name)
        return done is not None and all((self.weights / part).is_file() for part in done["weights"]["parts"])

    def add(self, entry: JobEntry, result: dict[str, Any]) -> None:
        """Write the entry's result, in one move."""
        self.entries[entry.name] = result
        write_file(self.path, json.dumps(self.entries, indent=2) + "\n")


def attempt(entry: JobEntry, given: argparse.Namespace, overrides: list[str], report: Report) -> bool:
    """`train`, where no error but an interruption ends the job: others may have their slices."""
    try:
        return train(entry, given, overrides, report)
    except Exception:
        traceback.print_exc()
        return False


def train(entry: JobEntry, given: argparse.Namespace, overrides: list[str], report: Report) -> bool:
    """Train (or go on with), validate, export and report an entry; False when it failed, with a message printed."""
    cuda = given.accelerator != "cpu" and torch.cuda.is_available()
    folder = given.out / entry.name
    checkpoint = folder / "last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "entry.yaml"
    write_file(config, yaml.safe_dump(entry.merged(settings(entry.name, given, cuda)), sort_keys=False))
    resume = ["--ckpt_path", str(checkpoint)] if checkpoint.is_file() else []
    print(f"{entry.name}: {'going on from ' + str(checkpoint) if resume else 'starting'}", flush=True)
    code = run(["fit", "--config", str(config), *overrides, *resume])
    if code > 128:
        raise KeyboardInterrupt
    if code != 0:
        return False
    validated = launch(["validate", "--config", str(config), *overrides, "--ckpt_path", str(checkpoint)])
    scores = {name: float(value) for name, value in validated.trainer.callback_metrics.items()}
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    seconds = saved["callbacks"][Slice.__qualname__]["time_elapsed"]["train"]
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    precision = validated.trainer.precision
    how = f"{entry.config} with `python -m training job`: {seconds:.0f} s on {device}, {precision}"
    weights = export(entry, checkpoint, report.weights, scores["val_mad"], how, given.max_file_mb)
    report.add(
        entry,
        {
            "mad": scores["val_mad"],
            "mad_bicubic": scores["val_mad_bicubic"],
            "steps": saved["global_step"],
            "seconds": round(seconds, 1),
            "device": device,
            "precision": precision,
            "weights": weights,
        },
    )
    return True


def settings(name: str, given: argparse.Namespace, cuda: bool) -> dict[str, Any]:
    """What the job lays over every entry's config."""
    logger = {"save_dir": str(given.out), "name": name, "version": ""}
    clock = {
        "class_path": f"{Slice.__module__}.{Slice.__qualname__}",
        "init_args": {
            "seconds": given.slice,
            "checkpoint": str(given.out / name / "last.ckpt"),
            "save_every": SAVE_EVERY,
        },
    }
    trainer = {
        "accelerator": given.accelerator,
        "precision": "bf16-mixed" if cuda else "32-true",
        "logger": {"init_args": logger},
        "callbacks": [clock, {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}],
        "enable_checkpointing": False,
    }
    # on a CPU, processes that make patches would take the training's cores
    workers = max(0, len(os.sched_getaffinity(0)) - 1) if cuda else 0
    return {"trainer": trainer, "data": {"num_workers": min(workers, MAX_WORKERS)}}


def show(entries: Iterable[JobEntry], report: Report, failed: list[str]) -> None:
    """Print the table of all entries, done now or earlier."""
    table = Table("entry", "MAD", "bicubic", "steps", "s", "weights", "MB", "files", box=SIMPLE)
    for entry in entries:
        if entry.name in failed:
            table.add_row(entry.name, "failed")
            continue
        done = report.entries[entry.name]
        scores = (f"{done['mad']:.3f}", f"{done['mad_bicubic']:.3f}", str(done["steps"]), f"{done['seconds']:.0f}")
        file = done["weights"]
        table.add_row(
            entry.name, *scores, Path(file["file"]).stem, f"{file['bytes'] / 1e6:.1f}", str(len(file["parts"]))
        )
    console = Console()
    console.print(table)
    console.print("MAD on the validation scenes, in 8-bit disparity levels. Weights:", report.weights, soft_wrap=True)
