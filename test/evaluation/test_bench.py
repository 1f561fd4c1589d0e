"""`depth-sr bench`: what it measures is what it says, on sizes small enough for a test."""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
import pytest
import torch

from depth_sr_ros.evaluation import bench
from depth_sr_ros.models import create_model
from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return bench.main(parser.parse_args(words))


def test_methods_and_json(capsys):
    assert run("--quick", "--only", "methods", "--methods", "bicubic,dada_rgb,dsrnet", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["machine"]["threads"] == torch.get_num_threads()
    bicubic, dada, dsrnet = result["methods"]
    assert bicubic["method"] == "bicubic" and bicubic["output"] == "320x240" and 0 < bicubic["seconds"] < 60
    assert (bicubic["weights"], dsrnet["weights"]) == (None, "dsrnet_lite_x8_robust")
    assert dada["lr_error"] < 1e-5 < bicubic["lr_error"]


def test_a_frame_cold_and_warm(capsys, monkeypatch):
    monkeypatch.setattr(bench, "SMALL", (120, 160))
    assert run("--quick", "--only", "frames", "--methods", "dada_rgb", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["frames"]
    assert [(row["method"], row["scene"]) for row in rows] == [("dada_rgb", s) for s in ("room", "shapes", "desk")]
    for row in rows:
        assert row["relative_residual"] <= 1e-3 and row["lr_error"] < 1e-5
        assert 0 < row["still_iterations"] < row["cold_iterations"] <= 200
        assert row["warm_iterations"] <= row["cold_iterations"]  # the guard: a start without worth is not taken


def test_networks_without_weights(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(bench, "SMALL", (96, 128))
    assert run("--quick", "--only", "frames", "methods", "--methods", "dada,dsrnet") == 0
    table = capsys.readouterr().out
    assert table.count("dada left out: no weights at dada_lite_x8.safetensors") == 2  # no iterations of fresh weights
    assert "fresh" in table  # a network's time is the same
    card = ModelCard(method="dada", scale=8, size="lite", data="none", lr_kernel="-", steps=0, date="-")
    torch.manual_seed(0)
    save_weights(create_model("dada", 8), tmp_path / "dada_lite_x8.safetensors", card)
    assert run("--quick", "--only", "frames", "--methods", "dada", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["frames"]
    assert len(rows) == 3 and all(row["lr_error"] < 1e-5 and row["relative_residual"] <= 1e-3 for row in rows)


def test_real_image_and_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    depth = np.full((250, 330), 2000, np.uint16)
    depth[60:180, 80:200] = 1000
    depth[100:120, 90:130] = 0
    cv2.imwrite(str(tmp_path / "kitchen.png"), depth)
    cv2.imwrite(str(tmp_path / "rgb.png"), rng.integers(0, 30, (250, 330, 3)) + (depth // 16)[..., None])
    words = ("--quick", "--methods", "dada_rgb", "--only", "frames", "--image", str(tmp_path / "kitchen.png"))
    assert run(*words, "--guide", str(tmp_path / "rgb.png")) == 0
    table = capsys.readouterr().out
    assert "320x240: a frame from scratch" in table and table.count("kitchen") == table.count("room") == 1
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(ValueError, match="--guide is 100x100, --image 330x250"):
        run(*words, "--guide", str(tmp_path / "small.png"))
    with pytest.raises(ValueError, match="belong together"):
        run(*words)
    with pytest.raises(ValueError, match="needs 641x480 or more: --quick"):
        run(*words[1:], "--guide", str(tmp_path / "rgb.png"))


def test_solver_is_measured_against_the_loop():
    scenes = bench._Scenes(None, None, torch.device("cpu"))
    row = bench._against_loop(scenes.problem("room", 4, 48, 64), iterations=1500)
    assert row["relative_difference"] < 1e-4
    assert row["solver_to_limit"] < 1e-4 and row["loop_to_limit"] < 1e-4
    assert row["speedup"] == row["loop_s"] / row["solver_s"] > 1


@pytest.mark.parametrize("scheme", ["implicit", "unrolled"])
def test_gradient_step(scheme):
    scenes = bench._Scenes(None, None, torch.device("cpu"))
    problem = [t.numpy() for t in scenes.problem("room", 8, 32, 32)]
    seconds, peak = bench._gradient_step(scheme, problem, problem, 4, torch.get_num_threads())
    assert seconds > 0 and peak >= 0


def test_unknown_method():
    with pytest.raises(ValueError, match="unknown method nonsense"):
        run("--methods", "nonsense,bicubic")
