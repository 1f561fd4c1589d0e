import json
from datetime import date

import numpy as np

from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.choice import weights_path
from training.benchmark.cli import main
from training.benchmark.compare import FULL_SIZE, HELD_OUT, RESULTS, _matching_constraints, _rows
from training.benchmark.results import read_results
from training.benchmark.rows import RowOptions, RowSpec, shipped_entries


def test_one_command_writes_all_results(data, tmp_path):
    folder, file = tmp_path / "results", tmp_path / "numbers.json"
    command = ["compare", "--root", str(data), "--methods", "bicubic,dada_rgb", "--scales", "4", "--json", str(file)]
    assert main([*command, "--results", str(folder)]) == 0
    numbers = json.loads(file.read_text())
    results = numbers["results"]
    assert {r["method"] for r in numbers["consistency"]} == {
        *("bicubic", "bicubic (consistent)", "bicubic (consistent, multiplicative)")
    }
    by_name = {(r["dataset"], r["scene"], r["kernel"], r["method"]): r["scores"]["mad"] for r in results}
    held_to_bicubic = "dada_rgb (bicubic constraint)"
    assert {m for *_, m in by_name} == {"bicubic", "dada_rgb", held_to_bicubic}
    assert {s for d, s, *_ in by_name if d == "validation2006"} == {"Rocks2", "Rocks2-view5"}
    assert not any(m == held_to_bicubic and kernel == "block_mean" for _, _, kernel, m in by_name)
    # the constraint that made the image serves best
    assert (
        by_name["middlebury2005", "Books", "bicubic", held_to_bicubic]
        < (by_name["middlebury2005", "Books", "bicubic", "dada_rgb"])
    )

    files = {name: read_results(folder, name) for name in RESULTS}
    assert {path.name for path in folder.iterdir()} == {f"{name}{end}" for name in RESULTS for end in (".csv", ".json")}
    for _, origin in files.values():
        assert origin.command == (
            "python -m training.benchmark compare --root $DEPTH_SR_DATA --methods bicubic,dada_rgb --scales 4 "
            "--results results"
        )
        assert date.fromisoformat(origin.date)
    full = {(r["method"], r["source"], r["lr_kernel"], r["scale"]): r for r in files["middlebury2005"][0]}
    row = full["bicubic", "measured", "bicubic", "4"]
    for scene, kernel in (("Books", "bicubic"), ("Laundry", "bicubic_uint8")):
        assert row[scene] == f"{by_name['middlebury2005', scene, kernel, 'bicubic']:.3f}"
    published = full["CTKT DSRNet", "CTKT, table 1", "bicubic", "4"]
    assert (published["Books"], published["Laundry"]) == ("0.11", "0.16")
    assert not any(kernel == "block_mean" and source != "measured" for _, source, kernel, _ in full)
    held_out = {(r["method"], r["lr_kernel"]): r for r in files["validation2006"][0]}
    mean = np.mean([by_name["validation2006", s, "block_mean", "bicubic"] for s in ("Rocks2", "Rocks2-view5")])
    assert held_out["bicubic", "block_mean"]["mean"] == f"{mean:.3f}"
    (cost,) = (r for r in files["cost"][0] if r["method"] == "dada_rgb")
    assert (cost["scale"], cost["parameters"]) == ("4", "0") and float(cost["seconds"]) > 0
    consistent = {(r["method"], r["lr_kernel"]): r for r in files["consistency"][0]}
    free, kept = (consistent[name, "block_mean"] for name in ("bicubic", "bicubic (consistent)"))
    assert float(kept["lr_consistency"]) < 1e-4 < float(free["lr_consistency"])
    assert free["mad"] == held_out["bicubic", "block_mean"]["mean"]


def test_shipped_is_what_runs_as_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    assert {entry.spec for entry in shipped_entries()} == {"bicubic", "dada_rgb"}
    card = {"method": "dsrnet", "data": "-", "lr_kernel": "-", "steps": 1, "date": "-"}
    for scale, size, variant in ((2, "lite", ""), (4, "lite", ""), (4, "lite", "robust"), (4, "paper", "")):
        path = weights_path("dsrnet", scale, size, variant).with_suffix(".json")
        path.write_text(ModelCard(scale=scale, size=size, variant=variant, **card).model_dump_json())
    assert shipped_entries()[2:] == [
        RowSpec("dsrnet"),
        RowSpec("dsrnet:robust"),
        RowSpec("dsrnet", RowOptions(size="paper")),
    ]


def test_weights_made_for_the_bicubic_kernel_get_no_second_row():
    entries = [RowSpec("dsrnet"), RowSpec("dada"), RowSpec("dada:bicubic")]
    held = RowSpec("dada", RowOptions(constraint="bicubic"))
    assert _matching_constraints(entries) == [entries[0], entries[1], held, entries[2]]


def test_weights_made_for_the_bicubic_kernel_are_also_averaged_over_flips():
    entries = [RowSpec("dsrnet"), RowSpec("dada"), RowSpec("dada:bicubic")]
    averaged = RowSpec("dada:bicubic", RowOptions(self_ensemble=True))
    assert _rows(entries, FULL_SIZE, "protocol") == [*_matching_constraints(entries), averaged]
    assert _rows([averaged], FULL_SIZE, "protocol") == [averaged]
    assert _rows(entries, HELD_OUT, "protocol") == _matching_constraints(entries)
    assert _rows(entries, FULL_SIZE, "block_mean") == entries
