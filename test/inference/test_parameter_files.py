"""The files that are made from the table of parameters are up to date, and say what the table says."""

from pathlib import Path

import pytest
import yaml

from depth_sr_ros.inference import parameter_files
from depth_sr_ros.inference.parameter_files import COMMAND, CONFIG, PAGE, markdown_text, yaml_text
from depth_sr_ros.inference.settings import parameter_table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path, text", [(CONFIG, yaml_text), (PAGE, markdown_text)], ids=["yaml", "page"])
def test_the_file_is_what_the_table_gives(path, text):
    assert (ROOT / path).read_text() == text(), f"run '{COMMAND}'"


def test_the_yaml_has_every_default_with_its_type():
    written = yaml.safe_load(yaml_text())["/**"]["ros__parameters"]
    assert list(written) == [spec.name for spec in parameter_table()]
    for spec in parameter_table():
        expected = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        assert written[spec.name] == expected and type(written[spec.name]) is type(expected), spec.name


def test_the_page_has_a_row_of_five_cells_per_parameter():
    rows = [line for line in markdown_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(parameter_table())
    for row, spec in zip(rows, parameter_table()):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 5 and cells[0] == f"`{spec.name}`"
        assert all(choice in cells[3] for choice in spec.choices)
        if spec.maximum is not None:
            assert f"{spec.maximum:g}" in cells[3]


def test_the_command_writes_both_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert parameter_files.main() == 2 and "root of the repository" in capsys.readouterr().err
    for path in (CONFIG, PAGE):
        path.parent.mkdir()
    assert parameter_files.main() == 0
    assert CONFIG.read_text() == yaml_text() and PAGE.read_text() == markdown_text()
