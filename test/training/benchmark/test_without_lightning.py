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

for words in sys.argv[1:]:
    try:
        code = main(words.split())
    except SystemExit as end:  # --help
        code = end.code
    if code:
        sys.exit(code)
"""


def run(*lines: str) -> subprocess.CompletedProcess:
    """The benchmark's command lines, one after the other in one process, until one fails."""
    command = [sys.executable, "-c", BLOCKED, *lines]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_data_set_is_scored_without_lightning(small2005):
    done = run(f"--dataset middlebury2005 --root {small2005} --methods bicubic --scales 4")
    assert done.returncode == 0, done.stderr
    assert "bicubic" in done.stdout


def test_networks_and_every_command_but_budget_are_imported_without_lightning(small2005):
    network = f"--dataset middlebury2005 --root {small2005} --methods dsrnet:clean --scales 4 --scenes Books"
    others = [f"{command} --help" for command in ("compare", "sensors", "page", "tune")]
    done = run(network, *others)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == len(others)
