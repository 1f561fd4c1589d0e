import json

import numpy as np
import pytest

from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.choice import weights_path
from training.benchmark.blocks import write_blocks
from training.benchmark.cli import main
from training.benchmark.compare import FULL_SIZE, HELD_OUT, _matching_constraints, _rows
from training.benchmark.datasets import DatasetError
from training.benchmark.rows import Entry, Options, shipped_entries

BLOCK = "<!-- benchmark:{0} -->\nold\n<!-- /benchmark:{0} -->\n"


def test_one_command_writes_all_tables(data, tmp_path, capsys):
    readme, page, file = tmp_path / "README.md", tmp_path / "benchmarks.md", tmp_path / "numbers.json"
    readme.write_text("# Ours\n\n" + BLOCK.format("accuracy") + "\nafter\n" + BLOCK.format("foreign"))
    page.write_text("".join(BLOCK.format(name) for name in ("books-laundry", "validation", "cost", "consistency")))
    command = ["compare", "--root", str(data), "--methods", "bicubic,dada_rgb", "--scales", "4", "--json", str(file)]
    assert main([*command, "--write", str(readme), str(page)]) == 0
    numbers = json.loads(file.read_text())
    results = numbers["results"]
    assert {r["method"] for r in numbers["consistency"]} == {
        *("bicubic", "bicubic (consistent)", "bicubic (consistent, multiplicative)")
    }
    by_name = {(r["dataset"], r["scene"], r["kernel"], r["method"]): r["scores"]["mad"] for r in results}
    held_to_bicubic = "dada_rgb (bicubic constraint)"
    assert {m for *_, m in by_name} == {"bicubic", "dada_rgb", held_to_bicubic}
    assert {s for d, s, *_ in by_name if d == "validation2006"} == {"Rocks2", "Rocks2-view5"}
    assert not any(m == held_to_bicubic and kernel == "block mean" for _, _, kernel, m in by_name)
    # the constraint that made the image serves best
    assert (
        by_name["middlebury2005", "Books", "imresize", held_to_bicubic]
        < (by_name["middlebury2005", "Books", "imresize", "dada_rgb"])
    )
    text = readme.read_text()
    books, laundry = (
        by_name["middlebury2005", scene, kernel, "bicubic"]
        for scene, kernel in (("Books", "imresize"), ("Laundry", "imresize uint8"))
    )
    row = f"| bicubic, measured | depth | {books:.3f} / {laundry:.3f} |".replace(" 0.", " .")
    assert row in text and "| CTKT DSRNet, published | depth | .11 / .16 |" in text
    assert "| PGSR, its published weights, measured | depth + RGB | .088 / .229 |" in text
    shown = "python -m training.benchmark compare --root $DEPTH_SR_DATA --methods bicubic,dada_rgb --scales 4 --write"
    assert f"Written by `{shown} README.md benchmarks.md`." in text and str(tmp_path) not in text
    assert text.startswith("# Ours\n\n<!-- benchmark:accuracy -->\n| Books") and text.endswith(BLOCK.format("foreign"))
    text = page.read_text()
    assert "old" not in text and "### block-mean LR" in text and "| dada_rgb | x4 | 0 |" in text
    assert "| bicubic (consistent, multiplicative) | measured | block mean |" in text
    assert "(consistent)" not in text[: text.index("benchmark:consistency")]
    means = [np.mean([by_name["validation2006", s, "block mean", "bicubic"] for s in ("Rocks2", "Rocks2-view5")])]
    assert f"| bicubic | measured | block mean | {means[0]:.3f} |" in text
    before = page.read_text()
    assert main([*command, "--write", str(page)]) == 0 and page.read_text().count("| x4 |") == before.count("| x4 |")


def test_pages_without_a_block_are_refused_before_the_run(data, tmp_path, capsys):
    page = tmp_path / "page.md"
    command = ["compare", "--root", str(data), "--write", str(page)]
    assert main(command) == 2 and "no page" in capsys.readouterr().err
    page.write_text("# Nothing\n")
    assert main(command) == 2
    assert "has no block for these numbers (accuracy, books-laundry" in capsys.readouterr().err


def test_blocks_are_renewed_and_the_rest_is_left(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n" + BLOCK.format("one") + "b\n" + BLOCK.format("two"))
    assert write_blocks(page, {"one": r"new \1", "three": "-"}) == ["one"]
    assert page.read_text() == "a\n" + BLOCK.format("one").replace("old", r"new \1") + "b\n" + BLOCK.format("two")
    with pytest.raises(DatasetError, match="put '<!-- benchmark:three -->'"):
        write_blocks(page, {"three": "-"})


def test_shipped_is_what_runs_as_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    assert {entry.spec for entry in shipped_entries()} == {"bicubic", "dada_rgb"}
    card = {"method": "dsrnet", "data": "-", "lr_kernel": "-", "steps": 1, "date": "-"}
    for scale, size, variant in ((2, "lite", ""), (4, "lite", ""), (4, "lite", "robust"), (4, "paper", "")):
        path = weights_path("dsrnet", scale, size, variant).with_suffix(".json")
        path.write_text(ModelCard(scale=scale, size=size, variant=variant, **card).model_dump_json())
    assert shipped_entries()[2:] == [
        Entry("dsrnet"),
        Entry("dsrnet:robust"),
        Entry("dsrnet", Options(size="paper")),
    ]


def test_weights_made_for_the_bicubic_kernel_get_no_second_row():
    entries = [Entry("dsrnet"), Entry("dada"), Entry("dada:bicubic")]
    held = Entry("dada", Options(constraint="bicubic"))
    assert _matching_constraints(entries) == [entries[0], entries[1], held, entries[2]]


def test_weights_made_for_the_bicubic_kernel_are_also_averaged_over_flips():
    entries = [Entry("dsrnet"), Entry("dada"), Entry("dada:bicubic")]
    averaged = Entry("dada:bicubic", Options(self_ensemble=True))
    assert _rows(entries, FULL_SIZE, "protocol") == [*_matching_constraints(entries), averaged]
    assert _rows([averaged], FULL_SIZE, "protocol") == [averaged]
    assert _rows(entries, HELD_OUT, "protocol") == _matching_constraints(entries)
    assert _rows(entries, FULL_SIZE, "block") == entries
