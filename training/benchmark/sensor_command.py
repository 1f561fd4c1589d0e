"""``python -m training.benchmark sensors``: methods on real depth cameras' frames."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from depth_sr_ros.atomic import write_file

from . import sensor_report, sensors
from .arguments import (
    SHIPPED,
    add_method_options,
    check_choices,
    entries_of,
    integers,
    names,
    progress_bar,
    shown_command,
)
from .results import Origin, today, write_results
from .tables import machine


def sensor_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark sensors",
        description="Score methods on real depth cameras' frames, made small in six ways, against bicubic.",
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that holds the recordings' folders")
    parser.add_argument("--groups", type=names, help="comma-separated folders under it; default: all with frames")
    parser.add_argument("--frames", type=int, default=2, help="at most so many of each folder, default 2")
    parser.add_argument("--scales", type=integers, default=[4, 8], help="comma-separated, default 4,8")
    add_method_options(parser, [SHIPPED])
    parser.add_argument("--results", type=Path, help="folder for sensors.csv and sensor_planes.csv")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


def sensor_command(arguments: argparse.Namespace) -> int:
    """Run, print, and write what was asked for; 0 done, 1 nothing could run."""
    entries = entries_of(arguments)
    groups = sensors.find_groups(arguments.root)
    check_choices("--groups", arguments.groups or [], groups)
    wanted = arguments.groups or list(groups)
    groups = {name: sensors.evenly_spaced(groups[name], arguments.frames) for name in wanted}
    with progress_bar() as progress:
        task = progress.add_task("sensors", total=None)
        results, problems = sensors.evaluate(
            groups,
            entries,
            arguments.scales,
            on_step=lambda text: progress.update(task, advance=1, description=text),
        )
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if not results:
        print("error: no method could run", file=sys.stderr)
        return 1
    made = sensor_report.tables(results)
    sensor_report.print_tables(made, Console())
    command = shown_command("sensors", sensor_parser(), arguments)
    if arguments.results:
        for name, (records, unit) in sensor_report.records(made).items():
            origin = Origin(command, today(), machine(), unit)
            print(f"{write_results(arguments.results, name, records, origin)} written")
    if arguments.json:
        document = {"command": command, "results": [r.as_json() for r in results], "problems": problems}
        write_file(arguments.json, json.dumps(document, indent=1) + "\n")
    return 0
