"""``python -m training.benchmark``: run a benchmark, also on sensors' frames, or tune the classical filters."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import report, sensor_report, sensors
from .datasets import DatasetError
from .evaluate import Outputs, evaluate
from .methods import Options, available_methods
from .other_datasets import DATASETS
from .pictures import draw
from .protocols import LR_KERNELS
from .scores import SCORES
from .tune import add_tune_arguments, tune_command


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 nothing could run, 2 wrong usage or data)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["sensors"]:
            return sensors_command(_sensors_parser().parse_args(argv[1:]), argv)
        if argv[:1] == ["tune"]:
            return tune_command(_tune_parser().parse_args(argv[1:]))
        return run_command(_run_parser().parse_args(argv), argv)
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark",
        description="Score methods by a paper's protocol; published rows stand beside the measured ones.",
        epilog="'sensors --help': real depth cameras' frames; 'tune --help': tunes the classical filters.",
    )
    parser.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    parser.add_argument("--root", type=Path, help="folder of the data set (synthetic needs none)")
    parser.add_argument("--scenes", type=_names, help="comma-separated; default: all that are there")
    parser.add_argument(
        "--methods",
        type=_names,
        default=["bicubic"],
        help=f"'all', or comma-separated from {', '.join(available_methods())}; NAME:VARIANT takes other weights",
    )
    parser.add_argument("--scales", type=_integers, default=[4, 8], help="comma-separated, default 4,8")
    parser.add_argument(
        "--lr-kernel",
        type=_names,
        default=["protocol"],
        help=f"comma-separated from {', '.join(LR_KERNELS)}; 'protocol' is the data set's own",
    )
    parser.add_argument(
        "--noise",
        type=_floats,
        default=[0.0],
        help="comma-separated standard deviations of Gaussian noise on the LR depth, in the data set's unit; default 0",
    )
    parser.add_argument("--metrics", type=_names, help=f"tables to show, from {', '.join(SCORES)}")
    _add_method_options(parser)
    parser.add_argument("--no-published", action="store_true", help="leave the published rows out")
    parser.add_argument("--output", type=Path, help="folder for benchmark.md and a picture per scene and scale")
    parser.add_argument("--pictures", type=int, default=8, help="draw the first so many scenes only, default 8")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


def _sensors_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark sensors",
        description="Score methods on real depth cameras' frames, made small in six ways, against bicubic.",
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that holds the recordings' folders")
    parser.add_argument("--groups", type=_names, help="comma-separated folders under it; default: all with frames")
    parser.add_argument("--frames", type=int, default=4, help="at most so many of each folder, default 4")
    parser.add_argument("--methods", type=_names, default=["dsrnet"], help="comma-separated; NAME:VARIANT as elsewhere")
    parser.add_argument("--scales", type=_integers, default=[4, 8], help="comma-separated, default 4,8")
    _add_method_options(parser)
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", help="a .safetensors file or the name of a bundled variant")
    parser.add_argument("--size", choices=("paper", "lite"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--consistent", action="store_true", help="make the block mean of each result equal its input")
    parser.add_argument("--self-ensemble", action="store_true", help="average over flips and transpositions (8 runs)")


def _tune_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark tune",
        description="Choose the classical filters' settings on Middlebury 2006 scenes (never on 2005).",
    )
    add_tune_arguments(parser)
    return parser


def run_command(arguments: argparse.Namespace, argv: list[str]) -> int:
    """Run, print, and write what was asked for."""
    console = Console()
    if arguments.methods == ["all"]:
        arguments.methods = available_methods()
    _check_choices("--lr-kernel", arguments.lr_kernel, LR_KERNELS)
    _check_choices("--metrics", arguments.metrics or [], SCORES)
    _check_choices("--methods", [spec.partition(":")[0] for spec in arguments.methods], available_methods())
    if arguments.root is None and arguments.dataset != "synthetic":
        raise DatasetError(f"{arguments.dataset} lies in a folder: give it with --root")
    scenes = DATASETS[arguments.dataset](arguments.root, arguments.scenes)
    options = _options(arguments)
    steps = len(scenes) * len(arguments.scales) * len(arguments.lr_kernel) * len(arguments.noise)
    pictures: list[Path] = []

    def keep(case: Outputs) -> None:
        if case.results and case.scene.name in scenes.names[: arguments.pictures]:
            pictures.append(draw(case, arguments.output))

    with _progress() as progress:
        task = progress.add_task("benchmark", total=steps * len(arguments.methods))
        results, problems = evaluate(
            arguments.dataset,
            scenes,
            arguments.methods,
            arguments.scales,
            arguments.lr_kernel,
            arguments.noise,
            options,
            on_step=lambda text: progress.update(task, advance=1, description=text),
            on_outputs=keep if arguments.output else None,
        )
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if not results:
        print("error: no method could run", file=sys.stderr)
        return 1
    metrics = arguments.metrics or list(scenes.metrics)
    tables = [report.score_table(results, metric, not arguments.no_published) for metric in metrics]
    costs = report.cost_rows(results)
    report.print_report(tables, costs, console)
    command = "python -m training.benchmark " + shlex.join(argv)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        page = arguments.output / "benchmark.md"
        page.write_text(report.markdown(tables, costs, command, problems))
        console.print(f"{page} and {len(pictures)} pictures written")
    if arguments.json:
        report.write_json(arguments.json, results, tables, command, problems)
        console.print(f"{arguments.json} written")
    return 0


def sensors_command(arguments: argparse.Namespace, argv: list[str]) -> int:
    """Run on sensors' frames, print, and write what was asked for."""
    console = Console()
    _check_choices("--methods", [spec.partition(":")[0] for spec in arguments.methods], available_methods())
    groups = sensors.find_groups(arguments.root)
    _check_choices("--groups", arguments.groups or [], list(groups))
    wanted = arguments.groups or list(groups)
    groups = {name: sensors.evenly_spaced(groups[name], arguments.frames) for name in wanted}
    with _progress() as progress:
        task = progress.add_task("sensors", total=None)
        results, problems = sensors.evaluate(
            groups,
            arguments.methods,
            arguments.scales,
            _options(arguments),
            on_step=lambda text: progress.update(task, advance=1, description=text),
        )
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if not results:
        print("error: no method could run", file=sys.stderr)
        return 1
    made = sensor_report.tables(results)
    sensor_report.print_tables(made, console)
    command = "python -m training.benchmark " + shlex.join(argv)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(f"`{command}`\n\n{sensor_report.markdown(made)}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"command": command, "results": [r.as_json() for r in results], "problems": problems}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        arguments.size, arguments.weights, arguments.device, arguments.consistent, arguments.self_ensemble
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


def _check_choices(option: str, given: list[str], known: tuple[str, ...] | list[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise DatasetError(f"{option}: unknown {', '.join(unknown)}; choose from {', '.join(known)}")


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise argparse.ArgumentTypeError("expected at least one name")
    return names


def _integers(text: str) -> list[int]:
    return [int(part) for part in _names(text)]


def _floats(text: str) -> list[float]:
    return [float(part) for part in _names(text)]
