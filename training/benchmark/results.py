"""Measured numbers as data: one CSV file per benchmark in `results/`, with a JSON file that says what made it.

The commands write them (``--results results``), `page` makes the documents' short tables and figure of them. The first
row names the columns; an empty cell is a number that does not exist.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from depth_sr_ros.atomic import write_files

from .datasets import DatasetError

Value = str | int | float | None


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a CSV file come from.

    Attributes:
        command: that measures them, with `$DEPTH_SR_DATA` in place of the data's folder.
        date: on which it ran, ISO 8601.
        machine: processor, device, precision and library versions; "" where no number depends on them.
        unit: of the scores, and what the columns mean.
    """

    command: str
    date: str
    machine: str
    unit: str


def today() -> str:
    """The date for an `Origin` of a run that ends now."""
    return date.today().isoformat()


def write_results(folder: Path, name: str, rows: Sequence[Mapping[str, Value]], origin: Origin) -> Path:
    """Write ``folder/name.csv`` and ``folder/name.json`` anew.

    Args:
        folder: made where it is not there.
        name: of the benchmark.
        rows: of any keys; the columns are all keys in the order of their first appearance.
        origin: for the JSON file.

    Returns:
        The path of the CSV file.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = folder / f"{name}.csv"
    about = json.dumps(asdict(origin), indent=2) + "\n"
    write_files([(path, text.getvalue()), (path.with_suffix(".json"), about)])
    return path


def read_results(folder: Path, name: str) -> tuple[list[dict[str, str]], Origin]:
    """The rows of ``folder/name.csv``, as text, and what made them.

    Raises:
        DatasetError: one of the two files is missing.
    """
    path = folder / f"{name}.csv"
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        raise DatasetError(f"no results at {path} with its .json: expected a folder that the benchmark commands wrote")
    with path.open(newline="") as file:
        return list(csv.DictReader(file)), Origin(**json.loads(path.with_suffix(".json").read_text()))
