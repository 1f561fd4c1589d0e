"""`python -m training.data check ROOT`: what training data is there, and what is missing."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from .check import as_json, check, show


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when at least one data set is usable, 1 when none is, 2 when ROOT does not exist."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("check", help="say which data sets lie under ROOT, and which files are missing")
    command.add_argument("root", metavar="ROOT", help="folder that holds data sets, or one data set")
    command.add_argument("--json", action="store_true", help="print a JSON list instead of tables")
    command.add_argument("--all", action="store_true", help="show every missing file")
    options = parser.parse_args(arguments)
    try:
        findings = check(options.root)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(as_json(findings), indent=2))
    else:
        show(findings, Console(), options.all)
    return 0 if any(finding.samples for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
