"""``python -m training.benchmark``: one data set's table; the commands beside it have files of their own."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from depth_sr_ros.atomic import write_file

from ..markdown_blocks import PageError
from . import tables as report
from .arguments import add_method_options, check_choices, entries_of, floats, integers, names, progress_bar
from .cards import cards_command, cards_parser
from .compare import compare_command, compare_parser
from .datasets import DatasetError
from .other_datasets import DATASETS
from .page import page_command, page_parser
from .pictures import draw
from .protocols import KERNEL_CHOICES, PROTOCOL
from .runner import CaseOutputs, evaluate
from .scores import SCORES
from .sensor_command import sensor_command, sensor_parser
from .tune import add_tune_arguments, tune_command


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 nothing could run, 2 wrong usage or data)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["sensors"]:
            return sensor_command(sensor_parser().parse_args(argv[1:]))
        if argv[:1] == ["compare"]:
            return compare_command(compare_parser().parse_args(argv[1:]))
        if argv[:1] == ["budget"]:
            from .budget import budget_command, budget_parser  # it trains: the others need no Lightning

            return budget_command(*budget_parser().parse_known_args(argv[1:]))
        if argv[:1] == ["cards"]:
            return cards_command(cards_parser().parse_args(argv[1:]))
        if argv[:1] == ["page"]:
            return page_command(page_parser().parse_args(argv[1:]))
        if argv[:1] == ["tune"]:
            return tune_command(_tune_parser().parse_args(argv[1:]))
        return run_command(_run_parser().parse_args(argv), argv)
    except (DatasetError, PageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark",
        description="Score methods by a paper's protocol; published rows stand beside the measured ones.",
        epilog="Commands of their own, with --help each: 'compare' runs all methods that ship, 'budget' trains all "
        "networks alike and compares them, 'sensors' scores on real depth cameras' frames, 'page' makes the documents' "
        "table and figure of the results files that these write, 'cards' measures the scores in the cards of shipped "
        "weights, 'tune' tunes the classical filters.",
    )
    parser.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    parser.add_argument("--root", type=Path, help="folder of the data set (synthetic needs none)")
    parser.add_argument("--scenes", type=names, help="comma-separated; default: all that are there")
    add_method_options(parser, ["bicubic"])
    parser.add_argument("--scales", type=integers, default=[4, 8], help="comma-separated, default 4,8")
    parser.add_argument(
        "--lr-kernel",
        type=names,
        default=[PROTOCOL],
        help=f"comma-separated from {', '.join(KERNEL_CHOICES)}; '{PROTOCOL}' is the data set's own",
    )
    parser.add_argument(
        "--noise",
        type=floats,
        default=[0.0],
        help="comma-separated standard deviations of Gaussian noise on the LR depth, in the data set's unit; default 0",
    )
    parser.add_argument("--metrics", type=names, help=f"tables to show, from {', '.join(SCORES)}")
    parser.add_argument("--no-published", action="store_true", help="leave the published rows out")
    parser.add_argument("--output", type=Path, help="folder for benchmark.md and a picture per scene and scale")
    parser.add_argument("--pictures", type=int, default=8, help="draw the first so many scenes only, default 8")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


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
    entries = entries_of(arguments)
    check_choices("--lr-kernel", arguments.lr_kernel, KERNEL_CHOICES)
    check_choices("--metrics", arguments.metrics or [], SCORES)
    if arguments.root is None and arguments.dataset != "synthetic":
        raise DatasetError(f"{arguments.dataset} lies in a folder: give it with --root")
    scenes = DATASETS[arguments.dataset](arguments.root, arguments.scenes)
    steps = len(scenes) * len(arguments.scales) * len(arguments.lr_kernel) * len(arguments.noise)
    pictures: list[Path] = []

    def keep(case: CaseOutputs) -> None:
        if case.results and case.scene.name in scenes.names[: arguments.pictures]:
            pictures.append(draw(case, arguments.output))

    with progress_bar() as progress:
        task = progress.add_task("benchmark", total=steps * len(entries))
        results, problems = evaluate(
            arguments.dataset,
            scenes,
            entries,
            arguments.scales,
            arguments.lr_kernel,
            arguments.noise,
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
        page = arguments.output / "benchmark.md"
        write_file(page, report.markdown(tables, costs, command, problems))
        console.print(f"{page} and {len(pictures)} pictures written")
    if arguments.json:
        report.write_json(arguments.json, results, tables, command, problems)
        console.print(f"{arguments.json} written")
    return 0
