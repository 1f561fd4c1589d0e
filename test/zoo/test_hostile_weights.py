"""Weights, cards and training checkpoints that must be refused in one typed error, before anything is built by them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.checked import build_network, specs_of
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.weight_files import read_tensors, save_weights
from training.export import main as export
from training.export import read_checkpoint

SMALL = {"width": 4, "width_lr": 4, "units": 1, "lr_blocks": 0}


@pytest.fixture
def weights(tmp_path) -> Path:
    card = ModelCard(
        method="dsrnet", scale=2, size="lite", options=SMALL, data="d", lr_kernel="k", steps=1, date="2026-01-01"
    )
    return save_weights(create_model("dsrnet", 2, "lite", **SMALL), tmp_path / "own.safetensors", card)


@pytest.mark.parametrize(
    "options",
    [
        {"units": 10**9},
        {"units": 1e9},
        {"units": 50_000},
        {"lr_blocks": 99_999},
        {"width": 10**9},
        {"width": 90_000, "width_lr": 90_000},
        {"width": -4},
        {"width": "wide"},
        {"width": [4]},
        {"units": None, "width": None, "width_lr": None},
        {"units": float("nan")},
        {"units": float("inf")},
        {"depth": 3},
        {"scale": 2},
        {"width": {"a": {"b": {"c": {"d": 1}}}}},
    ],
)
def test_absurd_options_are_refused_at_once(weights, options):
    card = json.loads(weights.with_suffix(".json").read_text())
    card["options"] |= options
    weights.with_suffix(".json").write_text(json.dumps(card))
    start = time.perf_counter()
    with pytest.raises(WeightsError, match="own"):
        load_model("dsrnet", 2, weights=weights)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "options",
    [{"prior_options": {"units": 10**9}}, {"prior": 5}, {"prior": ["csan"]}, {"prior_options": [1]}, {"trust": 3}],
)
def test_absurd_options_of_another_network(weights, options):
    with pytest.raises(WeightsError):
        build_network("f", "f", "dada", 2, "lite", {"prior": "dsrnet", **options}, specs_of(read_tensors(weights)))


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff", '{"method": 1}', "[" * 100_000, '{"scale": 1e999}'])
def test_cards_that_are_none(weights, text):
    weights.with_suffix(".json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsError, match="own"):
        load_model("dsrnet", 2, weights=weights)


def test_a_folder_for_a_card(weights):
    weights.with_suffix(".json").unlink()
    weights.with_suffix(".json").mkdir()
    with pytest.raises(WeightsError, match="own"):
        load_model("dsrnet", 2, weights=weights)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.to(torch.complex64),
        lambda t: t.to(torch.int64),
        lambda t: t.to(torch.bool),
        lambda t: t.to(torch.uint8),
        lambda t: torch.full_like(t, torch.nan),
        lambda t: torch.full_like(t, -torch.inf),
        lambda t: torch.full_like(t, 1e30),
        lambda t: torch.full_like(t, -2e6),
        lambda t: torch.full(t.shape, 1e300, dtype=torch.float64),
        lambda t: t[None],
        lambda t: t[:0],
    ],
)
def test_tensors_of_other_kinds(weights, change):
    tensors = load_file(weights)
    for name in (sorted(tensors)[0], sorted(tensors)[-1]):
        save_file({**tensors, name: change(tensors[name]).contiguous()}, weights)
        with pytest.raises(WeightsError, match="own"):
            load_model("dsrnet", 2, weights=weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_widths_load(weights, dtype):
    save_file({name: tensor.to(dtype) for name, tensor in load_file(weights).items()}, weights)
    assert load_model("dsrnet", 2, weights=weights).model.head[0][0].weight.dtype == torch.float32


def test_damaged_weights_never_give_another_error(weights):
    whole, rng = weights.read_bytes(), np.random.default_rng(0)
    for number in range(150):
        damaged = bytearray(whole[: int(rng.integers(len(whole)))] if number % 3 == 0 else whole)
        for place in rng.integers(0, min(len(damaged), 3000) or 1, 3):
            if damaged:
                damaged[place] = int(rng.integers(256))
        weights.write_bytes(damaged)
        try:
            load_model("dsrnet", 2, weights=weights)
        except WeightsError as error:
            assert "own" in str(error)


def test_other_threads_build_freely_meanwhile():
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(create_model("dsrnet", 4, "lite")))
    from depth_sr_ros.zoo.checked import _at_most_parameters

    with _at_most_parameters(0):
        thread.start()
        thread.join()
    assert len(made) == 1


def checkpoint_of(path: Path, **changes: Any) -> Path:
    model = create_model("dsrnet", 2, "lite", **SMALL)
    contents = {
        "network": {"method": "dsrnet", "scale": 2, "size": "lite", "options": dict(SMALL)},
        "state_dict": {f"network.{name}": tensor for name, tensor in model.state_dict().items()},
        "global_step": 7,
        "validated": {"step": 7, "mad": 0.5},
    }
    torch.save({**contents, **changes}, path)
    return path


def exported(path: Path, capsys) -> tuple[int, str]:
    code = export([str(path), "-o", str(path.with_suffix(".safetensors")), "--data", "d", "--lr-kernel", "k"])
    return code, capsys.readouterr().err


def test_a_sound_checkpoint_is_exported(tmp_path, capsys):
    path = checkpoint_of(tmp_path / "a.ckpt")
    assert exported(path, capsys) == (0, "")
    assert load_model("dsrnet", 2, weights=path.with_suffix(".safetensors")).card.scores == {"validation": 0.5}


@pytest.mark.parametrize(
    "changes",
    [
        {"network": None},
        {"network": {"method": "dsrnet"}},
        {"network": {"method": "nothing", "scale": 2, "size": "lite", "options": {}}},
        {"network": {"method": "dsrnet", "scale": 3, "size": "lite", "options": {}}},
        {"network": {"method": "dsrnet", "scale": 2, "size": "huge", "options": {}}},
        {"network": {"method": "dsrnet", "scale": 2, "size": "lite", "options": {**SMALL, "units": 10**9}}},
        {"network": {"method": "dsrnet", "scale": 2, "size": "lite", "options": [1]}},
        {"network": {"method": ["dsrnet"], "scale": 2, "size": "lite", "options": {}}},
        {"state_dict": None},
        {"state_dict": {}},
        {"state_dict": [1, 2]},
        {"state_dict": {3: torch.zeros(1)}},
        {"state_dict": {"network.head": "text"}},
        {"global_step": None},
        {"global_step": -1},
        {"global_step": "many"},
        {"validated": 4},
        {"validated": {"step": "x"}},
    ],
)
def test_checkpoints_with_something_else_in_them(tmp_path, capsys, changes):
    path = checkpoint_of(tmp_path / "a.ckpt", **changes)
    code, error = exported(path, capsys)
    assert code == 2 and error.startswith("error: ") and "a.ckpt" in error and len(error.splitlines()) == 1
    assert not path.with_suffix(".safetensors").exists()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e20])
def test_diverged_checkpoints_are_not_exported(tmp_path, capsys, value):
    path = checkpoint_of(tmp_path / "a.ckpt")
    contents = torch.load(path, weights_only=True)
    contents["state_dict"]["network.head.1.bias"] += value
    torch.save(contents, path)
    code, error = exported(path, capsys)
    assert code == 2 and "a.ckpt" in error


def test_damaged_checkpoints_never_give_another_error(tmp_path, capsys):
    path = checkpoint_of(tmp_path / "a.ckpt")
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for number in range(150):
        damaged = bytearray(whole[: int(rng.integers(len(whole)))] if number % 3 == 0 else whole)
        for place in rng.integers(0, len(damaged) or 1, 12):
            if damaged:
                damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except WeightsError as error:
            assert "a.ckpt" in str(error)


def test_an_output_that_cannot_be_written(tmp_path, capsys):
    path = checkpoint_of(tmp_path / "a.ckpt")
    (tmp_path / "file").touch()
    code = export([str(path), "-o", str(tmp_path / "file/w.safetensors"), "--data", "d", "--lr-kernel", "k"])
    assert code == 2 and capsys.readouterr().err.startswith("error: ")
