"""Each script of examples/ runs as it stands, and the images that they read are what make_data.py makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from depth_sr_ros.files import read_depth, read_guide

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DATA = EXAMPLES / "data"


def run(name: str, *arguments: str, cwd: Path, timeout: float = 150) -> str:
    """Standard output of an example, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 65, path.name


def test_data_is_what_make_data_makes(tmp_path):
    run("make_data.py", str(tmp_path), cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {path.name for path in DATA.iterdir()}
    for name in ("depth.png", "truth.png"):
        made, kept = read_depth(tmp_path / name), read_depth(DATA / name)
        assert made.shape == kept.shape
        same = np.isclose(made, kept, atol=0.002, equal_nan=True)  # 16 bits of millimetres, either way of rounding
        assert same.mean() > 0.999, name
    for name in ("rgb.jpg", "rgb_beside.jpg"):  # JPEG encoders differ
        difference = read_guide(tmp_path / name).astype(float) - read_guide(DATA / name)
        assert np.sqrt(np.mean(difference**2)) < 5, name


def test_upsample_file(tmp_path):
    lines = run("upsample_file.py", str(tmp_path), cwd=tmp_path).splitlines()
    errors = dict(
        re.fullmatch(r".*/(\w+)\.png: 240 x 180, mean error ([\d.]+) mm, .*", line).groups() for line in lines
    )
    assert list(errors) == ["bicubic", "dsrnet", "dada"]
    assert float(errors["dsrnet"]) < 0.7 * float(errors["bicubic"])
    assert float(errors["dada"]) < 0.7 * float(errors["bicubic"])
    assert read_depth(tmp_path / "dada.png").shape == (180, 240)


def test_upsample_video(tmp_path):
    lines = run("upsample_video.py", cwd=tmp_path).splitlines()
    starts = [re.search(r"(cold|warm) start", line)[1] for line in lines]
    assert starts == ["cold", "warm", "warm", "warm", "warm", "warm", "cold", "warm"]


def test_own_camera(tmp_path):
    output = run("own_camera.py", cwd=tmp_path)
    errors = {name: float(error) for name, error in re.findall(r"^(.*): mean error ([\d.]+) mm$", output, re.MULTILINE)}
    assert errors["RGB projected"] < 0.8 * errors["RGB as it is"] < errors["bicubic"]
    launch = output.splitlines()[-1]
    assert launch.startswith("ros2 launch depth_sr_ros sr.launch.py ") and "depth_image:=/my_camera/" in launch


def test_add_network(tmp_path):
    output = run("add_network.py", str(tmp_path), cwd=tmp_path)
    errors = dict(re.findall(r"^(\w+): mean error ([\d.]+) mm", output, re.MULTILINE))
    assert float(errors["tiny_net"]) < 0.9 * float(errors["bicubic"])
    assert (tmp_path / "tiny_net_lite_x4.safetensors").is_file()


@pytest.mark.ros
@pytest.mark.slow
def test_live_client(tmp_path):
    pytest.importorskip("rclpy")
    lines = run("live_client.py", cwd=tmp_path).splitlines()
    frames = [re.fullmatch(r"240 x 180 16UC1, (\d+) to (\d+) mm", line) for line in lines]
    assert len(frames) == 5 and all(frames)
    assert all(200 < int(frame[1]) < int(frame[2]) < 10_000 for frame in frames)


@pytest.mark.slow
def test_fine_tune(tmp_path):
    output = run("fine_tune.py", str(tmp_path), "4", cwd=tmp_path, timeout=175)
    errors = dict(re.findall(r"^(bundled|fine-tuned) weights: mean error ([\d.]+) mm$", output, re.MULTILINE))
    assert set(errors) == {"bundled", "fine-tuned"} and all(0 < float(error) < 30 for error in errors.values())
    card = json.loads((tmp_path / "my_camera_x4.json").read_text())
    assert (card["method"], card["scale"], card["steps"], card["data"]) == ("dsrnet", 4, 4, "one desk")
