"""BridgeNet's training: two losses, two optimisers, one step; exact resume; what is refused; it learns from colour."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import batch, checkpoint_at, data, same_weights, trainer

from depth_sr_ros.resize import bicubic
from training.modules import BridgeNet
from training.modules.optimisation import Optimisation

REPOSITORY = Path(__file__).parents[3]
FAST = Optimisation(learning_rate=1e-3, schedule="constant", gradient_clip=1.0)


def method(**options) -> BridgeNet:
    torch.manual_seed(0)
    return BridgeNet(**({"scale": 2, "size": "lite", "optimisation": FAST} | options))


def test_losses_are_l1_over_valid_pixels_in_units_of_the_map_s_range():
    task, made = method(), batch(guided=(True, True))
    losses = task.losses(made)
    low = made["depth_lr"].amin((1, 2, 3), keepdim=True)
    extent = made["depth_lr"].amax((1, 2, 3), keepdim=True) - low
    valid = made["valid"]
    with torch.no_grad():
        error = (task.network(made["depth_lr"], made["guide"]) - made["depth_hr"]).abs()[valid].mean()
        estimate = low + extent * task.network.estimate_both((made["depth_lr"] - low) / extent, made["guide"])[1]
        of_estimate = (estimate - made["depth_hr"]).abs()[valid].mean()
    torch.testing.assert_close(losses["dsr"], error)
    torch.testing.assert_close(losses["mde"], of_estimate)


def test_normalisation_by_the_frame_takes_depth_as_it_comes():
    made = {**batch(guided=(True,)), "depth_lr": 0.3 + 0.1 * batch(guided=(True,))["depth_lr"]}
    whole = method(input_range="frame")
    with torch.no_grad():
        expected = (whole.network.super_resolve_normalised(made["depth_lr"], made["guide"]) - made["depth_hr"]).abs()
        torch.testing.assert_close(whole.losses(made)["dsr"], expected[made["valid"]].mean())
        assert whole.losses(made)["dsr"] != method().losses(made)["dsr"]


def test_one_step_by_hand(tmp_path):
    """Each optimiser moves by its own loss's gradient at the same weights, clipped alone; the colour encoder twice."""
    second = Optimisation(learning_rate=3e-4, schedule="constant", gradient_clip=0.05)
    task = method(optimisation_mde=second)
    expected = copy.deepcopy(task.network)
    trainer(tmp_path, limit_val_batches=0).fit(task, data(batches=1))

    by_hand = method(optimisation_mde=second)
    assert same_weights(by_hand.network, expected)
    room = data(batches=1)
    room.setup("fit")
    losses = by_hand.losses(next(iter(room.train_dataloader())))
    moves = {}
    for name, optimisation in (("dsr", FAST), ("mde", second)):
        parameters = list(by_hand.network.parameters_of(name))
        gradients = torch.autograd.grad(losses[name], parameters, retain_graph=True)
        norm = torch.stack([g.norm() for g in gradients]).norm()
        scale = (optimisation.gradient_clip / (norm + 1e-6)).clamp(max=1)
        # Adam's first step: bias-corrected moments are the gradient and its square
        moves[name] = [-optimisation.learning_rate * g * scale / ((g * scale).abs() + 1e-8) for g in gradients]
    with torch.no_grad():
        for name, steps in moves.items():
            for parameter, step in zip(by_hand.network.parameters_of(name), steps):
                parameter.add_(step)
    for (name, ours), theirs in zip(task.network.named_parameters(), by_hand.network.parameters()):
        # where a gradient is about as small as Adam's epsilon, rounding decides
        wrong = ((ours - theirs).abs() > 2e-5).float().mean()
        assert wrong < 0.01, name
    pairs = zip(task.network.named_parameters(), expected.parameters())
    moved = {name.split(".")[0] for (name, now), before in pairs if (now != before).any()}
    assert moved == {"encoder", "top", "decoder", "head", "colour", "estimation"}


def test_without_l_mde_s_optimiser_the_estimation_stays_and_without_habdg_colour_is_its_own(tmp_path):
    still = Optimisation(learning_rate=0.0, schedule="constant")
    task, before = method(optimisation_mde=still), method()
    trainer(tmp_path, limit_val_batches=0).fit(task, data(batches=1))
    assert same_weights(task.network.estimation, before.network.estimation)
    assert not same_weights(task.network.colour, before.network.colour)
    task, before = (method(optimisation_mde=still, options={"habdg": False}) for _ in range(2))
    trainer(tmp_path, limit_val_batches=0).fit(task, data(batches=1))
    assert same_weights(task.network.colour, before.network.colour)
    assert not same_weights(task.network.encoder, before.network.encoder)


def test_a_batch_is_one_step(tmp_path):
    task = method()
    fit = trainer(tmp_path, max_steps=3, max_epochs=-1, limit_val_batches=0)
    fit.fit(task, data())
    assert fit.global_step == 3 and fit.fit_loop.total_batch_idx == 2


FALLING = Optimisation(learning_rate=1e-3, schedule="step", decay=0.5, decay_epochs=1, gradient_clip=1.0)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> BridgeNet:
    """After eight steps in one run."""
    once = method(optimisation=FALLING)
    trainer(tmp_path_factory.mktemp("unbroken"), max_steps=8, max_epochs=None).fit(once, data())
    return once


@pytest.mark.parametrize("stop", [3, 4, 6])
def test_resume_is_as_if_never_stopped(tmp_path, unbroken, stop):
    """Stopped inside an epoch of four batches, at its end, and in the next one; the rates fall as they would have."""
    first = method(optimisation=FALLING)
    trainer(tmp_path, max_steps=stop, max_epochs=None, **checkpoint_at(tmp_path, stop)).fit(first, data())
    second = method(optimisation=FALLING)
    trainer(tmp_path, max_steps=8, max_epochs=None).fit(second, data(), ckpt_path=tmp_path / "stopped.ckpt")
    assert same_weights(second, unbroken)
    saved = torch.load(tmp_path / "stopped.ckpt", weights_only=True)
    assert saved["global_step"] == stop and len(saved["optimizer_states"]) == 2


def test_two_processes_train_as_one(tmp_path):
    """Over gloo: each task's gradient is averaged, though its backward pass leaves out the other's parameters."""
    script = Path(__file__).parent / "two_processes_bridgenet.py"
    environment = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1)]
    assert ranks[0] == ranks[1], "the processes ended with different weights"
    assert ranks[0]["steps"] == 2
    assert set(ranks[0]["moved"]) == {"encoder", "top", "decoder", "head", "colour", "estimation"}


def test_overfitting_one_scene_takes_the_error_far_below_bicubic_s(tmp_path):
    """A disc whose edge in colour is the depth's, x8."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = (y - 35) ** 2 + (x - 30) ** 2 < 400
    truth = torch.where(disc, 0.3, 0.9)[None, None]
    scene = {"depth_lr": bicubic(truth, scale=1 / 8), "depth_hr": truth, "valid": truth > 0}
    scene |= {"guide": torch.where(disc, 0.2, 0.8).expand(1, 3, -1, -1), "normalise": ["range"], "name": ["disc"]}
    task = method(scale=8, optimisation=Optimisation(schedule="cosine", learning_rate=1e-3, gradient_clip=1.0))
    errors = {"train_dsr": [], "train_mde": []}
    task.log = lambda *_, **__: None
    task.log_dict = lambda values: [errors[name].append(value.item()) for name, value in values.items()]
    fit = trainer(tmp_path, max_steps=80, max_epochs=-1, limit_val_batches=0)
    fit.fit(task, torch.utils.data.DataLoader([scene], batch_size=None))
    of_bicubic = (bicubic(scene["depth_lr"], scale=8) - truth).abs().mean()
    assert errors["train_dsr"][-1] < 0.15 * of_bicubic
    assert errors["train_mde"][-1] < 0.3 * errors["train_mde"][0]


def test_what_cannot_be_trained_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"set data\.normalise=range"):
        trainer(tmp_path).fit(method(), data(normalise="max"))
    with pytest.raises(ValueError, match="with_guide=true"):
        trainer(tmp_path).fit(method(), data(with_guide=False))
    monkeypatch.setattr(BridgeNet, "trainer", type("Trainer", (), {"strategy": None, "precision": "16-mixed"}))
    with pytest.raises(ValueError, match="bf16-mixed"):
        method().setup("fit")
