"""Scoring needs no Lightning: only training does."""

import subprocess
import sys

BLOCKED = """
import sys

class NoLightning:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("lightning", "lightning_fabric", "pytorch_lightning"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, NoLightning())
import training.benchmark
from training.benchmark.cli import main

sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BLOCKED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_data_set_is_scored_without_lightning(small2005):
    done = run(*f"--dataset middlebury2005 --root {small2005} --methods bicubic --scales 4".split())
    assert done.returncode == 0, done.stderr
    assert "bicubic" in done.stdout


def test_networks_and_every_command_but_budget_are_imported_without_lightning(small2005):
    done = run(*f"--dataset middlebury2005 --root {small2005} --methods dsrnet:clean --scales 4 --scenes Books".split())
    assert done.returncode == 0, done.stderr
    for command in ("compare", "sensors", "page", "tune"):
        done = run(command, "--help")
        assert done.returncode == 0, done.stderr
