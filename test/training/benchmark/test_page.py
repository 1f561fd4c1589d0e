"""docs/benchmarks.md follows from results/, and results files say where they come from."""

import csv
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from training.benchmark.cli import main
from training.benchmark.compare import FULL_SIZE
from training.benchmark.datasets import DatasetError
from training.benchmark.page import FIGURE, SHOWN, methods_table
from training.benchmark.results import Origin, read_results, write_results
from training.markdown_blocks import BLOCK

ROOT = Path(__file__).parents[3]
RESULTS, PAGE = ROOT / "results", ROOT / "docs" / "benchmarks.md"
NAMES = sorted(path.stem for path in RESULTS.glob("*.csv"))


def test_the_page_has_the_table_that_the_results_give():
    (block,) = (match for match in BLOCK.finditer(PAGE.read_text()) if match["name"] == "methods")
    assert block["body"].strip() == methods_table(RESULTS), "run 'python -m training.benchmark page'"


def test_every_row_of_the_table_is_in_the_results():
    rows = {(row["method"], row["source"]) for row in read_results(RESULTS, FULL_SIZE)[0]}
    assert set(SHOWN) <= rows


def test_the_command_renews_table_and_figure(tmp_path):
    results, page = tmp_path / "results", tmp_path / "page.md"
    shutil.copytree(RESULTS, results)
    rows, origin = read_results(results, FULL_SIZE)
    for row in rows:
        if (row["method"], row["lr_kernel"], row["scale"]) == ("bicubic", "block_mean", "4"):
            row["mean"] = "0.001"
    write_results(results, FULL_SIZE, rows, origin)
    page.write_text("before\n<!-- benchmark:methods -->\nold\n<!-- /benchmark:methods -->\nafter\n")
    assert main(["page", "--results", str(results), "--page", str(page)]) == 0
    text = page.read_text()
    assert "| **0.001** |" in text and "old" not in text and text.startswith("before\n") and text.endswith("after\n")
    labels = {name for name, source in SHOWN if source == "measured" and name != "bicubic"}
    for figure in (tmp_path / FIGURE, PAGE.with_name(FIGURE)):
        assert labels <= set(re.findall(r">([^<>]+)</text>", figure.read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_a_results_file_names_its_command_and_date(name):
    rows, origin = read_results(RESULTS, name)
    assert rows and origin.command.startswith("python -m training.benchmark ") and origin.unit
    assert date.fromisoformat(origin.date)
    columns = set(next(csv.reader((RESULTS / f"{name}.csv").open())))
    if columns & {"seconds", "times_bicubic"}:
        assert origin.machine, "times depend on the machine"
    for row in rows:
        assert None not in row and None not in row.values()  # as many cells as columns


def test_results_are_read_as_they_were_written(tmp_path):
    origin = Origin("command", "2026-01-02", "", "metres")
    path = write_results(tmp_path / "new", "a", [{"x": 1, "y": "b, c"}, {"x": None, "z": 0.5}], origin)
    assert path == tmp_path / "new" / "a.csv"
    rows, read = read_results(tmp_path / "new", "a")
    assert rows == [{"x": "1", "y": "b, c", "z": ""}, {"x": "", "y": "", "z": "0.5"}] and read == origin
    path.with_suffix(".json").unlink()
    with pytest.raises(DatasetError):
        read_results(tmp_path / "new", "a")
