"""`depth-sr bench`: what it measures is what it says, on sizes small enough for a test."""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
import pytest
import torch

from depth_sr_ros import bench


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return bench.main(parser.parse_args(words))


def test_methods_and_json(capsys):
    assert run("--quick", "--only", "methods", "--methods", "bicubic,dada_rgb", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["machine"]["threads"] == torch.get_num_threads()
    bicubic, dada = result["methods"]
    assert bicubic["method"] == "bicubic" and bicubic["output"] == "320x240" and 0 < bicubic["seconds"] < 60
    assert dada["lr_error"] < 1e-5 < bicubic["lr_error"]
    assert 0 < dada["warm_iterations"] < dada["cold_iterations"] <= 200


def test_real_image_and_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    depth = np.full((250, 330), 2000, np.uint16)
    depth[60:180, 80:200] = 1000
    depth[100:120, 90:130] = 0
    cv2.imwrite(str(tmp_path / "kitchen.png"), depth)
    cv2.imwrite(str(tmp_path / "rgb.png"), rng.integers(0, 30, (250, 330, 3)) + (depth // 16)[..., None])
    words = ("--quick", "--only", "starts", "--image", str(tmp_path / "kitchen.png"))
    assert run(*words, "--guide", str(tmp_path / "rgb.png")) == 0
    table = capsys.readouterr().out
    assert "cold iterations" in table and table.count("kitchen") == 2 and table.count("room") == 2
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
