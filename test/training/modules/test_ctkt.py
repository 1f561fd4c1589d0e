"""CTKT: one step by hand, roles, a teacher that does not move, exact resume in both steps."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from tiny import NARROW, Steps, batch, checkpoint_at, data, same_weights, trainer

from depth_sr_ros.resize import bicubic
from training.modules import CTKT, Supervised
from training.modules.estimate import with_colour
from training.modules.optimisation import Optimisation
from training.modules.rounds import Rounds


def method(**options) -> CTKT:
    torch.manual_seed(0)
    return CTKT(**({"scale": 2, "size": "lite", "options": NARROW, "affinity_pool": 4} | options))


class Alone:
    """A trainer's strategy with one device."""

    @staticmethod
    def reduce(value, reduce_op):
        return value


@pytest.fixture
def task(monkeypatch) -> CTKT:
    """A method in step 2, outside a trainer."""
    made = method()
    monkeypatch.setattr(type(made), "trainer", type("Trainer", (), {"strategy": Alone}))
    return made


def close(ours: torch.Tensor, expected: float) -> None:
    assert ours.item() == pytest.approx(float(expected), rel=2e-4, abs=1e-7)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def pooled(features: np.ndarray, cells: int) -> np.ndarray:
    """(C, H, W) -> (cells * cells, C) means of blocks."""
    channels, height, width = features.shape
    blocks = features.reshape(channels, cells, height // cells, cells, width // cells)
    return blocks.mean(axis=(2, 4)).reshape(channels, -1).T


@pytest.mark.parametrize("student", ["dsr", "de"])
def test_one_step_by_hand(task, student):
    """Equations 1, 2, 3, 5, 6, 9, 12 and 13 in NumPy, from the networks' outputs."""
    made = batch()
    rows = [0, 2]  # those with colour
    losses = task.transfer_losses(made, {student})
    total = sum(losses.values()).item()

    with torch.no_grad():
        low = made["depth_lr"].amin((1, 2, 3), keepdim=True)
        extent = made["depth_lr"].amax((1, 2, 3), keepdim=True) - low
        unit = (made["depth_lr"] - low) / extent
        up = bicubic(unit, scale=2)
        f_sr = task.network.features(unit)
        f_de = task.denet.features(made["guide"][rows])
        d_sr = low + extent * (up + task.network.head(f_sr[-1]))
        d_de = low[rows] + extent[rows] * torch.sigmoid(task.denet.head(f_de[-1]))
        torch.testing.assert_close(d_sr, task.network(made["depth_lr"]))
        side_sr = [low + extent * (up + side(f)) for side, f in zip(task.side_sr, f_sr)]
        side_de = [low[rows] + extent[rows] * torch.sigmoid(side(f)) for side, f in zip(task.side_de, f_de)]
        truth, valid = made["depth_hr"].numpy(), made["valid"].numpy()
        d_sr, d_de = d_sr.numpy(), d_de.numpy()
        f_sr, f_de = [f[rows].numpy() for f in f_sr], [f.numpy() for f in f_de]
        side_sr, side_de = [s[rows].numpy() for s in side_sr], [s.numpy() for s in side_de]

    # eqs. 1 and 2: pixels of the samples with colour
    task.rounds.next()
    e_dsr = np.abs(d_sr[rows] - truth[rows])[valid[rows]].mean()
    e_de = np.abs(d_de - truth[rows])[valid[rows]].mean()
    assert task.rounds.error_dsr == pytest.approx(e_dsr, rel=1e-4)
    assert task.rounds.error_de == pytest.approx(e_de, rel=1e-4)

    # eq. 3
    l_o = np.mean([np.abs(a - b)[valid[rows]].mean() for a, b in zip(side_sr, side_de)])
    # eq. 5 with eq. 4
    l_a = np.mean(
        [
            np.mean(
                [
                    np.abs(
                        softmax(pooled(a[i], 4) @ pooled(a[i], 4).T) - softmax(pooled(b[i], 4) @ pooled(b[i], 4).T)
                    ).sum(axis=-1)
                    for i in range(2)
                ]
            )
            for a, b in zip(f_sr, f_de)
        ]
    )
    # eq. 6
    l_distill = l_o + 0.5 * l_a
    close(losses[f"distill_{student}"], 0.1 * l_distill)

    # eqs. 7 to 9, then SPNet's convolutions, then eq. 12 with the gradient of D_hr
    def attended(features, conv, error):
        weight, bias = conv.weight.detach().numpy()[:, 0, 0, 0], conv.bias.detach().numpy()
        raw = weight[None, :, None, None] * error + bias[None, :, None, None]
        return features * (1 + 1 / (1 + np.exp(-raw)))

    fused = np.concatenate(
        [
            attended(f_sr[-1], task.spnet.uncertainty_sr, d_sr[rows] - truth[rows]),
            attended(f_de[-1], task.spnet.uncertainty_de, d_de - truth[rows]),
        ],
        axis=1,
    )
    with torch.no_grad():
        predicted = task.spnet.structure(torch.from_numpy(fused).float()).numpy()
    padded = np.pad(truth[rows], ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    gy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    gx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    s_gt = np.sqrt(gx**2 + gy**2 + 1e-6)
    around = np.pad(valid[rows], ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=True)
    whole = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(2, 3)).all(axis=(-1, -2))
    l_struc = np.abs(predicted - s_gt)[whole].mean()
    close(losses["struc"], 0.1 * l_struc)

    # eq. 13
    if student == "dsr":
        l_student = np.abs(d_sr - truth)[valid].mean()  # every sample has depth
    else:
        l_student = task.loss_de(task.estimate(with_colour(made)), with_colour(made)).item()
    close(losses[student], l_student)
    assert total == pytest.approx(l_student + 0.1 * l_struc + 0.1 * l_distill, rel=2e-4)


@pytest.mark.parametrize("student", ["dsr", "de"])
def test_a_step_moves_the_student_and_spnet_and_leaves_the_teacher_bit_identical(tmp_path, student, monkeypatch):
    monkeypatch.setattr(CTKT, "students", lambda self: {student})
    task, before = method(step1_epochs=0), method(step1_epochs=0)
    # weight decay and momentum would move a parameter whose gradient is zero instead of absent
    task.optimisation = Optimisation(kind="adamw", weight_decay=0.1)
    trainer(tmp_path).fit(task, data())
    learning, fixed = ("network", "denet") if student == "dsr" else ("denet", "network")
    sides = {"network": "side_sr", "denet": "side_de"}
    for name in (fixed, sides[fixed]):
        assert same_weights(getattr(task, name), getattr(before, name)), f"the teacher's {name} moved"
    for name in (learning, sides[learning], "spnet"):
        assert not same_weights(getattr(task, name), getattr(before, name)), f"{name} did not learn"


def test_structure_and_distillation_reach_the_student_s_features(task):
    for name in ("struc", "distill_dsr"):
        task.zero_grad()
        task.transfer_losses(batch(), {"dsr"})[name].backward()
        assert task.network.up[0].up[0].weight.grad.abs().sum() > 0, name
        assert all(p.grad is None for p in task.denet.parameters())


def test_roles_follow_the_errors_of_the_last_round():
    task = method()
    for dsr, de, student in ((1.0, 2.0, "de"), (2.0, 1.0, "dsr"), (1.0, 1.0, "de")):
        task.rounds.add(dsr, de, 1.0)
        task.rounds.next()
        assert task.students() == {student}
    assert method(exchange="mutual").students() == {"dsr", "de"}
    assert method(exchange="dsr").students() == {"dsr"}


def test_a_round_is_an_epoch_or_a_number_of_steps():
    epoch, steps = Rounds(), Rounds(3)
    assert not epoch.over(0) and not steps.over(0)
    for number in range(3):
        assert not steps.over(number)
        epoch.add(1.0, 2.0, 4.0)
        steps.add(1.0, 2.0, 4.0)
    assert epoch.over(0) and not epoch.over(3) and steps.over(3)
    steps.next()
    assert (steps.error_dsr, steps.error_de) == (0.25, 0.5) and not steps.over(4)
    with pytest.raises(ValueError, match="at least one step"):
        Rounds(0)


def test_step_1_is_separate_training(tmp_path):
    """DSRNet after step 1 is bit for bit what supervised training makes of it."""
    optimisation = Optimisation(gradient_clip=0.5)
    task = method(optimisation=optimisation)
    torch.manual_seed(0)
    alone = Supervised(scale=2, options=NARROW, optimisation=optimisation)
    room = {"sources": [Steps()], "validation_scenes": []}
    trainer(tmp_path).fit(task, data(**room))
    trainer(tmp_path).fit(alone, data(**room))
    assert same_weights(task.network, alone.network)


def test_samples_without_colour_teach_dsrnet_alone(tmp_path):
    task, before = method(), method()
    trainer(tmp_path).fit(task, data(sources=[Steps(colour=False)]))
    assert not same_weights(task.network, before.network)
    assert same_weights(task.denet, before.denet)
    assert math.isnan(task.rounds.error_de)
    with pytest.raises(ValueError, match="with_guide"):
        trainer(tmp_path).fit(method(), data(with_guide=False))


@pytest.mark.parametrize(
    ("stop", "round_steps", "exchange"),
    [(3, None, "error"), (4, None, "error"), (6, None, "error"), (7, 3, "error"), (6, None, "mutual")],
)
def test_resume_is_as_if_never_stopped(tmp_path, stop, round_steps, exchange):
    """Stopped in step 1, between both steps, and in step 2 inside an epoch and a round."""
    options = {"step1_epochs": 1, "round_steps": round_steps, "exchange": exchange}
    once = method(**options)
    trainer(tmp_path, max_steps=12, max_epochs=None).fit(once, data())
    first = method(**options)
    trainer(tmp_path, max_steps=stop, max_epochs=None, **checkpoint_at(tmp_path, stop)).fit(first, data())
    second = method(**options)
    trainer(tmp_path, max_steps=12, max_epochs=None).fit(second, data(), ckpt_path=tmp_path / "stopped.ckpt")
    assert once.rounds.state_dict() == second.rounds.state_dict()
    assert same_weights(second, once) and not same_weights(first, once)


def test_overfitting_one_pair_in_step_2_helps_both():
    task = method(exchange="mutual")
    fixed = batch(guided=(True,))
    type(task).trainer = type("Trainer", (), {"strategy": Alone})
    try:
        optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
        history = []
        for _ in range(60):
            optimiser.zero_grad()
            losses = task.transfer_losses(fixed, task.students())
            sum(losses.values()).backward()
            optimiser.step()
            history.append({name: loss.item() for name, loss in losses.items()})
    finally:
        del type(task).trainer
    for name in history[0]:
        assert history[-1][name] < history[0][name], name


@pytest.mark.parametrize(("steps", "too_short"), [(4, True), (6, False)])
def test_a_run_that_never_reaches_step_2_says_so(tmp_path, steps, too_short):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(tmp_path, max_steps=steps, max_epochs=-1).fit(method(step1_epochs=1), data())
    said = [w for w in caught if f"run of {steps} steps ends within step 1 (1 epochs, 4 steps)" in str(w.message)]
    assert bool(said) == too_short


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"step1_epochs": -1}, "step1_epochs must be at least 0, got -1"),
        ({"gamma": -0.5}, "gamma must be at least 0"),
        ({"lambda_ssim": 1.5}, "at most 1, got 1.5"),
        ({"rho1": -1.0}, "rho1 must be at least 0"),
        ({"rho2": math.nan}, "rho2 must be at least 0, got nan"),
        ({"affinity_pool": 0}, "affinity_pool must be at least 1, got 0"),
    ],
)
def test_impossible_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        method(**wrong)


def test_float16_with_clipping_is_refused(monkeypatch):
    clipped, free = (method(optimisation=Optimisation(gradient_clip=limit)) for limit in (1.0, None))
    monkeypatch.setattr(CTKT, "trainer", type("Trainer", (), {"strategy": Alone, "precision": "16-mixed"}))
    with pytest.raises(ValueError, match="bf16-mixed"):
        clipped.setup("fit")
    free.setup("fit")
    monkeypatch.setattr(CTKT.trainer, "precision", "bf16-mixed")
    clipped.setup("fit")


@pytest.mark.parametrize("normalise", ["max", "none"])
def test_maps_of_another_range_are_refused_where_losses_need_it(tmp_path, normalise):
    """CTKT's do; DSRNet alone is normalised by the frame that its patch knows, whatever the unit of the data."""
    with pytest.raises(ValueError, match=f"has normalise={normalise}: set data.normalise=range"):
        trainer(tmp_path).fit(method(), data(normalise=normalise))
    alone = Supervised(scale=2, options=NARROW, input_range="frame")
    before = copy.deepcopy(alone.network)
    trainer(tmp_path).fit(alone, data(normalise=normalise))
    assert not same_weights(alone.network, before)
