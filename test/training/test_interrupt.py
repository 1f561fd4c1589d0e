"""Interrupted trainings can be resumed by the command they print; what cannot be resumed or written is one line."""

from __future__ import annotations

import os
import resource
import shlex
import signal
from pathlib import Path

import pytest
import torch

from training.cli import run
from training.interrupt import RESUME, resuming
from training.modules.supervised import Supervised

CONFIG = """
base: trainer.yaml
trainer:
  accelerator: cpu
  max_epochs: 3
  enable_progress_bar: false
  enable_model_summary: false
  logger: {init_args: {save_dir: %s, name: run}}
model:
  class_path: Supervised
  init_args: {method: dsrnet, size: lite, options: {width: 4, width_lr: 4, units: 1, lr_blocks: 0}}
data:
  scale: 2
  patch: 16
  batch_size: 2
  patches_per_epoch: 8
  sources: [{class_path: SyntheticScenes, init_args: {count: 1, width: 96, height: 64}}]
  validation_sources: [{class_path: SyntheticScenes, init_args: {count: 1, seed: 9, width: 96, height: 64}}]
"""


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG % tmp_path)
    return path


@pytest.fixture
def interrupted_at(monkeypatch):
    """Send SIGINT in the training step of a given number; Lightning ignores SIGINT after one."""
    handler, step = signal.getsignal(signal.SIGINT), Supervised.training_step

    def at(number: int) -> None:
        def training_step(self, batch, index):
            if self.global_step == number:
                os.kill(os.getpid(), signal.SIGINT)
            return step(self, batch, index)

        monkeypatch.setattr(Supervised, "training_step", training_step)

    yield at
    signal.signal(signal.SIGINT, handler)


def test_an_interrupt_saves_and_its_command_goes_on(config, tmp_path, capsys, interrupted_at):
    whole = ["fit", "--config", str(config)]
    assert run(whole) == 0
    ends = torch.load(next(tmp_path.glob("run/version_0/checkpoints/last.ckpt")), weights_only=True)
    interrupted_at(6)
    capsys.readouterr()
    assert run(whole) == 130
    error = capsys.readouterr().err
    path = tmp_path / "run/version_1/checkpoints" / RESUME
    assert torch.load(path, weights_only=True)["global_step"] == 7 and "Traceback" not in error
    command = shlex.split(error.strip().splitlines()[-1].partition("go on with: ")[2])
    assert command[:3] == ["python", "-m", "training"]
    interrupted_at(-1)
    assert run(command[3:]) == 0
    resumed = torch.load(next(tmp_path.glob("run/version_2/checkpoints/last.ckpt")), weights_only=True)
    assert resumed["global_step"] == ends["global_step"] == 12
    for key, value in ends["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][key])


def test_a_second_interrupt_ends_at_once(config, tmp_path, capsys, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)

    def training_step(self, batch, index):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Supervised, "training_step", training_step)
    try:
        assert run(["fit", "--config", str(config)]) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "nothing to save" in capsys.readouterr().err and not list(tmp_path.rglob(RESUME))


def test_the_command_replaces_an_older_checkpoint():
    for before in (["--ckpt_path", "old"], ["--ckpt_path=old"]):
        words = ["fit", *before, "--config", "a b.yaml"]
        assert resuming(words, Path("new")) == "python -m training fit --config 'a b.yaml' --ckpt_path new"


def test_a_full_disk_is_one_line(config, tmp_path, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        code = run(["fit", "--config", str(config)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert code == 1 and "error: " in error and "Traceback" not in error and not list(tmp_path.rglob("*.ckpt"))


def test_checkpoints_that_cannot_be_resumed_are_named(config, tmp_path, capsys):
    assert run(["fit", "--config", str(config), "--trainer.max_steps", "2"]) == 0
    good = next(tmp_path.glob("run/version_0/checkpoints/last.ckpt"))
    cut, diverged, foreign, bare = (tmp_path / f"{name}.ckpt" for name in ("cut", "diverged", "foreign", "bare"))
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    contents = torch.load(good, weights_only=True)
    next(iter(contents["state_dict"].values()))[...] = torch.nan
    torch.save(contents, diverged)
    torch.save({"a": 1}, foreign)
    torch.save(torch.zeros(3), bare)
    for path in (cut, diverged, foreign, bare, tmp_path / "absent.ckpt"):
        for command in ("fit", "validate"):
            capsys.readouterr()
            assert run([command, "--config", str(config), "--ckpt_path", str(path)]) == 1
            error = capsys.readouterr().err
            assert error.startswith("error: ") and path.name in error and "Traceback" not in error
