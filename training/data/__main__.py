"""What training data is there (`check ROOT`), and how it looks in numbers (`statistics --root ROOT`)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from ..markdown_blocks import check_blocks, write_blocks
from .check import as_json, check, show
from .sample import existing_root
from .statistics_table import BLOCK, FOLDERS, markdown, open_real, rows, synthetic


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when it was done, 1 when `check` finds no usable data set, 2 for a ROOT or page not there or no
    real data to write into the page."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("check", help="say which data sets lie under ROOT, and which files are missing")
    command.add_argument("root", metavar="ROOT", help="folder that holds data sets, or one data set")
    command.add_argument("--json", action="store_true", help="print a JSON list instead of tables")
    command.add_argument("--all", action="store_true", help="show every missing file")
    command.set_defaults(run=_check)
    command = commands.add_parser("statistics", help="measure edges, thin things and slopes, real and synthetic")
    command.add_argument("--root", required=True, metavar="ROOT", help=f"folder that holds any of {', '.join(FOLDERS)}")
    command.add_argument("--scenes", type=int, default=16, help="synthetic scenes per row, default %(default)s")
    command.add_argument("--seed", type=int, default=0, help="of the first of them, default %(default)s")
    command.add_argument("--write", type=Path, metavar="PAGE", help=f"Markdown page with a block {BLOCK} to renew")
    command.set_defaults(run=_statistics)
    return parser


def _check(options: argparse.Namespace) -> int:
    findings = check(options.root)
    if options.json:
        print(json.dumps(as_json(findings), indent=2))
    else:
        show(findings, Console(), options.all)
    return 0 if any(finding.samples for finding in findings) else 1


def _statistics(options: argparse.Namespace) -> int:
    root = existing_root(options.root, f"a folder that holds any of {', '.join(FOLDERS)}", "statistics")
    if options.write:
        check_blocks(options.write, [BLOCK])
    real, absent = open_real(root)
    for line in absent:
        print(line, file=sys.stderr)
    if options.write and not real:
        raise FileNotFoundError(
            f"no real data under {root.absolute()}: {options.write} is left as it is, since synthetic rows alone "
            f"compare with nothing. Give the folder that holds any of {', '.join(FOLDERS)} as --root"
        )
    text = markdown(list(rows(real | synthetic(options.scenes, options.seed))))
    print(text)
    if options.write:
        write_blocks(options.write, {BLOCK: text})
    return 0


if __name__ == "__main__":
    sys.exit(main())
