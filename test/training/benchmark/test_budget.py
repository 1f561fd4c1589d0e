"""The comparison of networks trained alike."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from training.benchmark import budget
from training.benchmark.budget import Run
from training.benchmark.cli import main
from training.benchmark.results import read_results
from training.cli import run as train

TINY = """
base: trainer.yaml
trainer: {accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}
model: {class_path: %s, init_args: {size: lite, options: %s}}
data:
  with_guide: false
  patches_per_epoch: 64
  sources: [{class_path: SyntheticScenes, init_args: {count: 2, width: 160, height: 144}}]
  validation_sources: [{class_path: SyntheticScenes, init_args: {count: 1, seed: 9, width: 96, height: 64}}]
"""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Tiny networks in place of the real ones, trained in this process; the list of trainings so far."""
    networks = {"dsrnet": ("Supervised", "{width: 4, width_lr: 4, units: 2}"), "csan": ("CSAN", "{attention: false}")}
    for name, network in networks.items():
        (tmp_path / f"{name}.yaml").write_text(TINY % network)
    monkeypatch.setattr(budget, "BUDGET_CONFIGS", {name: str(tmp_path / f"{name}.yaml") for name in networks})
    monkeypatch.setattr(budget, "PATCHES", {2: (32, 2), 4: (32, 2)})
    calls = []

    def in_this_process(command, check, env):
        calls.append(command[3:])
        assert env["DEPTH_SR_DATA"] == str(tmp_path / "data")  # what --root says, for the training too
        return SimpleNamespace(returncode=train(command[3:]))

    monkeypatch.setattr(budget.subprocess, "run", in_this_process)
    return calls


def test_networks_are_trained_once_and_compared(data, tmp_path, trained, capsys):
    folder, numbers = tmp_path / "results", tmp_path / "numbers.json"
    command = ["budget", "--root", str(data), "--steps", "2", "--runs", str(tmp_path / "runs"), "--scales", "2,4"]
    command += ["--methods", "dsrnet,csan", "--json", str(numbers)]
    command += ["--results", str(folder), "--trainer.precision", "32"]
    assert main(command) == 0
    assert len(trained) == 4 and all(call[-2:] == ["--trainer.precision", "32"] for call in trained)
    results = json.loads(numbers.read_text())["results"]
    assert {(r["method"], r["scale"]) for r in results} == {
        (method, scale) for method in ("bicubic", "dada_rgb", "dsrnet", "csan") for scale in (2, 4)
    }
    assert {r["scene"] for r in results} == {"Books", "Laundry", "Rocks2", "Rocks2-view5"}
    score = {(r["method"], r["scale"], r["scene"]): r["scores"]["mad"] for r in results}
    held = (score["dsrnet", 2, "Rocks2"] + score["dsrnet", 2, "Rocks2-view5"]) / 2
    rows, origin = read_results(folder, "budget")
    (row,) = (row for row in rows if (row["method"], row["scale"]) == ("dsrnet", "2"))
    expected = (score["dsrnet", 2, "Books"], score["dsrnet", 2, "Laundry"], held)
    assert [row[column] for column in ("Books", "Laundry", "validation2006")] == [f"{value:.3f}" for value in expected]
    assert (row["steps"], row["patch"], row["batch"], row["input"]) == ("2", "32", "2", "depth")
    assert origin.command.endswith("--results results --trainer.precision 32") and str(tmp_path) not in origin.command
    assert len(rows) == 8
    assert main(command) == 0
    assert len(trained) == 4  # nothing was left to train
    capsys.readouterr()
    assert main(command[:-2]) == 2  # these were not trained so
    assert "holds a training made with" in capsys.readouterr().err


@pytest.mark.parametrize("method", list(budget.BUDGET_CONFIGS))
@pytest.mark.parametrize("scale", list(budget.PATCHES))
def test_the_parser_knows_every_argument(method, scale, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DEPTH_SR_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        train([*Run(method, scale, 600, tmp_path).arguments(), "--print_config"])
    assert stop.value.code in (None, 0)
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["data"]["scale"] == scale and shown["trainer"]["max_steps"] == 600
    assert shown["model"]["init_args"]["size"] == "lite"


def test_an_interrupted_training_goes_on(data, tmp_path, trained):
    command = ["budget", "--root", str(data), "--runs", str(tmp_path / "runs"), "--scales", "2", "--methods", "dsrnet"]
    assert main([*command, "--steps", "2"]) == 0
    short, long = (Run("dsrnet", 2, steps, tmp_path / "runs") for steps in (2, 4))
    shutil.copytree(short.folder, long.folder)  # as if the longer one had been killed after two steps
    (long.folder / "checkpoints" / "broken.ckpt").write_bytes(b"cut")
    assert short.finished() and not long.finished()
    assert main([*command, "--steps", "4"]) == 0
    assert trained[-1][-2] == "--ckpt_path" and Path(trained[-1][-1]).parent == long.folder / "checkpoints"
    assert long.finished()
    first, second = (torch.load(run.checkpoint(), weights_only=True) for run in (short, long))
    assert (first["global_step"], second["global_step"]) == (2, 4)


def test_a_failed_training_is_named(data, tmp_path, trained, monkeypatch, capsys):
    monkeypatch.setattr(budget.subprocess, "run", lambda command, check, env: SimpleNamespace(returncode=1))
    command = ["budget", "--root", str(data), "--runs", str(tmp_path / "runs"), "--scales", "2", "--methods", "dsrnet"]
    assert main(command) == 1
    assert "dsrnet_x2_600_steps: the training ended with 1" in capsys.readouterr().err
    assert main([*command, "--steps", "0"]) == 2
    assert main([*command[:-1], "bicubic"]) == 2
    assert "--methods: unknown bicubic; choose from dsrnet, csan" in capsys.readouterr().err
