"""`python -m training.data check ROOT`."""

from __future__ import annotations

import json

import pytest

from training.data.__main__ import main
from training.data.check import check


@pytest.fixture
def root(writer):
    writer.disparity("mb/Aloe/disp1.png")
    writer.colour("mb/Aloe/view1.png")
    writer.disparity("cones/disp2.png")
    writer.disparity("conesH/disp2.png")
    return writer.root


def test_it_finds_nested_layouts_and_names_missing_files(root, capsys):
    assert main(["check", str(root), "--json"]) == 0
    findings = {finding["layout"]: finding for finding in json.loads(capsys.readouterr().out)}
    aloe = findings["middlebury2006"]
    assert aloe["path"] == str(root / "mb") and aloe["samples"] == 1 and aloe["colour"]
    assert f"{root}/mb/Aloe/disp5.png: disparity of this view" in aloe["missing"]
    assert f"{root}/mb/Wood2: the scene's folder" in aloe["missing"]
    assert findings["middlebury2003"]["samples"] == 2 and not findings["middlebury2003"]["colour"]
    assert findings["sintel"]["path"] is None and findings["middlebury2005"]["use"] == "test only"


def test_the_table_for_people(root, capsys):
    assert main(["check", str(root)]) == 0
    text = capsys.readouterr().out
    assert "middlebury2006" in text and "and 13 more (--all shows them)" in text
    assert "Not found" in text and "nyu_depth_v2_labeled.mat" in text
    main(["check", str(root), "--all"])
    assert "Wood2" in capsys.readouterr().out


def test_a_broken_file_of_a_known_layout_is_a_problem_not_a_crash(root, writer):
    writer.path("nyu/nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB 5.0")
    finding = next(f for f in check(root) if f.layout == "nyuv2")
    assert finding.samples == 0 and "v7.3" in finding.problem


def test_exit_status_without_data(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 1
    assert "none of the known data sets" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "absent")]) == 2
    assert "absent" in capsys.readouterr().err
