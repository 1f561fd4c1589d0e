"""Supervised training: it fits, validates in the data's unit, resumes exactly, and stops on NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import NARROW, batch, checkpoint_at, data, same_weights, trainer

from depth_sr_ros.evaluation.metrics import mad
from depth_sr_ros.models import create_model
from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.choice import bundled_cards, load_model, weights_path
from depth_sr_ros.zoo.weight_files import save_weights
from training.data import Augment, Degrader
from training.data.degradations import WeightedKernel
from training.modules import Supervised
from training.modules.module import NonFiniteLoss
from training.modules.optimisation import Optimisation


def method(**options) -> Supervised:
    torch.manual_seed(0)
    return Supervised(**({"scale": 2, "options": NARROW} | options))


def test_overfitting_one_patch_drives_the_loss_below_one_per_cent(tmp_path):
    torch.manual_seed(0)
    task = Supervised(
        scale=2, size="lite", optimisation=Optimisation(schedule="cosine", learning_rate=2e-3, gradient_clip=1.0)
    )
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    truth = torch.where(x + 0.3 * y > 20, 0.2, 0.8)[None, None]
    patch = {"depth_lr": bicubic(truth, scale=0.5), "depth_hr": truth, "valid": truth > 0, "name": ["edge"]}
    losses = []
    task.log = lambda name, value, **_: losses.append(value.item())
    fit = trainer(tmp_path, max_steps=400, max_epochs=-1, limit_val_batches=0)
    fit.fit(task, torch.utils.data.DataLoader([patch], batch_size=None))
    assert losses[-1] < 0.01 * losses[0]


def test_validation_mad_is_in_the_data_s_unit_over_whole_scenes(tmp_path):
    room, task = data(), method()
    fit = trainer(tmp_path, logger=TensorBoardLogger(tmp_path, name="run"))
    scores = fit.validate(task, room, verbose=False)[0]
    scene = next(iter(room.val_dataloader()))
    scale, offset = scene["range"].item(), scene["offset"].item()
    with torch.inference_mode():
        output = task.network(scene["depth_lr"]) * scale + offset
        enlarged = bicubic(scene["depth_lr"], scale=2) * scale + offset
    truth = (scene["depth_hr"] * scale + offset).numpy()
    assert scale > 50  # disparities, not [0, 1]
    assert np.isclose(scores["val_mad"], mad(output.numpy(), truth), rtol=1e-4)
    assert np.isclose(scores["val_mad_bicubic"], mad(enlarged.numpy(), truth), rtol=1e-4)
    whole = np.round(output.numpy())  # Middlebury-like disparities: a level is 1
    assert np.isclose(scores["val_mad_8bit"], mad(whole, truth), rtol=1e-3)
    assert abs(scores["val_mad_8bit"] - scores["val_mad"]) > 1e-3
    shown = EventAccumulator(fit.logger.log_dir, size_guidance={"images": 0})
    shown.Reload()
    assert shown.Tags()["images"] == ["val/steps/step1"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Supervised:
    """After eight steps in one run."""
    once = method()
    trainer(tmp_path_factory.mktemp("unbroken"), max_steps=8, max_epochs=None).fit(once, data())
    return once


@pytest.mark.parametrize("stop", [3, 4, 6])
def test_resume_is_as_if_never_stopped(tmp_path, unbroken, stop):
    """Stopped inside an epoch of four batches, at its end, and in the next one."""
    first = method()
    trainer(tmp_path, max_steps=stop, max_epochs=None, **checkpoint_at(tmp_path, stop)).fit(first, data())
    second = method()
    trainer(tmp_path, max_steps=8, max_epochs=None).fit(second, data(), ckpt_path=tmp_path / "stopped.ckpt")
    assert not same_weights(first, unbroken)
    assert same_weights(second, unbroken)


def test_non_finite_loss_stops_and_saves_the_batch(tmp_path):
    task = method()
    with torch.no_grad():
        task.network.head[-1].bias.fill_(torch.inf)
    with pytest.raises(NonFiniteLoss, match="is saved in"):
        trainer(tmp_path).fit(task, data())
    saved = torch.load(next(tmp_path.glob("non_finite_batch*.pt")), weights_only=True)
    assert saved["depth_hr"].shape == (2, 1, 16, 16) and len(saved["name"]) == 2


def test_data_of_another_scale_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"made for x4, the network for x2"):
        trainer(tmp_path).fit(method(), data(scale=4, patch=32))


def test_a_guided_network_says_that_it_needs_colour():
    task = Supervised(method="dada_rgb", scale=2)
    without = {k: v for k, v in batch().items() if k not in ("guide", "has_guide")}
    with pytest.raises(ValueError, match="with_guide=true"):
        task.guide_of(without)


def test_weight_averaging_works_and_is_what_a_checkpoint_holds(tmp_path):
    task = method(optimisation=Optimisation(learning_rate=1e-2))
    options = checkpoint_at(tmp_path, 3)
    options["callbacks"].append(EMAWeightAveraging(decay=0.5))
    trainer(tmp_path, **options).fit(task, data())
    saved = torch.load(tmp_path / "stopped.ckpt", weights_only=True)
    key = "network.head.1.weight"
    assert not torch.equal(saved["state_dict"][key], saved["current_model_state"][key])


def rates(optimisation: Optimisation, steps: int, per_epoch: float = 10.0) -> list[float]:
    optimiser = optimisation.optimiser([torch.nn.Parameter(torch.zeros(1))])
    schedule = optimisation.scheduler(optimiser, steps, per_epoch)
    seen = []
    for _ in range(steps):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return seen


def test_schedules():
    step = rates(Optimisation(), 1100)
    assert step[499] == pytest.approx(1e-3) and step[500] == pytest.approx(1e-4)
    assert step[1000] == pytest.approx(1e-5)
    cosine = rates(Optimisation(schedule="cosine", warmup_steps=10), 100)
    assert cosine[0] == pytest.approx(1e-4) and cosine[50] == pytest.approx(5e-4) and cosine[-1] < 1e-6
    assert set(rates(Optimisation(schedule="constant"), 20)) == {1e-3}
    with pytest.raises(ValueError, match="max_steps"):
        Optimisation(schedule="cosine").scheduler(Optimisation().optimiser([torch.nn.Parameter(torch.zeros(1))]), -1, 1)


def test_both_normalisations_train_but_differ():
    losses = {}
    for input_range in ("patch", "frame"):
        task = method(input_range=input_range)
        low = {**batch(), "depth_lr": batch()["depth_lr"] * 0.1}
        task.log = lambda *a, **k: None
        losses[input_range] = task.training_step(low, 0).item()
    assert losses["patch"] != losses["frame"]


def test_normalised_by_frame_a_whole_map_comes_as_0_to_1_whatever_changed_its_values():
    """Scaled and inverted values too: at inference nobody knows what a map's values were before."""
    task, seen = method(input_range="frame"), []
    task.log = lambda *a, **k: None
    task._entry[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    room = data(
        patch=64, augment=Augment(invert=0.5, value_scale=(0.3, 0.9)), degradation=Degrader([WeightedKernel("nearest")])
    )
    room.setup("fit")
    for patches in room.train_dataloader():
        task.training_step(patches, 0)
    assert len(seen) == 4
    for depth in seen:  # point samples of a map whose extremes lie along its edges
        assert depth.amin() > -1e-4 and depth.amax() < 1 + 1e-4
        assert (depth.amin((1, 2, 3)) < 0.02).all() and (depth.amax((1, 2, 3)) > 0.98).all()
    with pytest.raises(ValueError, match="needs the batch's key 'frame'"):
        task.training_step({key: value for key, value in batch().items() if key != "frame"}, 0)
    with pytest.raises(ValueError, match="input_range must be one of"):
        method(input_range="frames")


def test_tolerance_is_in_levels_of_an_8_bit_image_whatever_unit_the_batch_is_in():
    def loss(tolerance: float, level: float) -> float:
        torch.manual_seed(0)
        task = method(tolerance=tolerance)
        task.log = lambda *a, **k: None
        return task.training_step({**batch(), "level": torch.full((3,), level)}, 0).item()

    assert 0.2 * loss(0.0, 0.5) < loss(0.4, 0.5) < 0.9 * loss(0.2, 0.5) < 0.9 * loss(0.0, 0.5)
    assert loss(0.2, 0.5) == pytest.approx(loss(0.4, 0.25))
    with pytest.raises(ValueError, match="needs the batch's key 'level'"):
        task = method(tolerance=0.2)
        task.training_step({key: value for key, value in batch().items() if key != "level"}, 0)
    for tolerance in (-0.1, 0.5):
        with pytest.raises(ValueError, match=r"tolerance must be in \[0, 0.5\) levels"):
            method(tolerance=tolerance)


DSRNETS = [card for card in bundled_cards() if card.method == "dsrnet"]


@pytest.mark.parametrize("card", DSRNETS, ids=lambda card: f"x{card.scale}{card.variant}")
def test_shipped_weights_start_the_network_that_their_card_names(card):
    path = weights_path(card.method, card.scale, card.size, card.variant)
    network = Supervised(card.method, card.scale, card.size, options=card.options, weights=str(path)).network
    assert same_weights(network, load_model(card.method, card.scale, weights=path)[0])


def weights_file(network, folder) -> str:
    card = ModelCard(
        method=network.name,
        scale=network.scale,
        size="lite",
        options=NARROW,
        data="-",
        lr_kernel="-",
        steps=0,
        date="2026-11-21",
    )
    return str(save_weights(network, folder / "w.safetensors", card))


def test_starts_from_given_weights(tmp_path):
    """Fine-tuning: the network begins as the file has it."""
    trained = create_model("dsrnet", 4, "lite", **NARROW)
    path = weights_file(trained, tmp_path)
    assert same_weights(Supervised("dsrnet", 4, "lite", options=NARROW, weights=path).network, trained)


def test_starts_from_weights_of_another_scale(tmp_path):
    """Projections of a scale twice as large give every pixel of the smaller scale's twice; all else is as it was."""
    trained = create_model("dsrnet", 4, "lite", **NARROW)
    with torch.no_grad():
        for unit in (*trained.up, *(down[0] for down in trained.down)):
            for part in unit.children():  # taps that reach beyond the cell have no place in the larger scale's kernel
                inside = torch.zeros_like(part[0].weight)
                inside[..., 2:-2, 2:-2] = 1
                part[0].weight *= inside
    larger = Supervised("dsrnet", 8, "lite", options=NARROW, weights=weights_file(trained, tmp_path)).network
    depth = torch.rand(1, 1, 6, 7)
    with torch.no_grad():
        for small, large in zip(trained.features(depth), larger.features(depth), strict=True):
            torch.testing.assert_close(large, small.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_a_larger_network_starts_as_the_smaller_one_and_learns_with_all_it_has(tmp_path):
    trained = create_model("dsrnet", 4, "lite", **NARROW)
    larger = NARROW | {"width": 6, "width_lr": 9, "lr_blocks": 2}
    network = Supervised("dsrnet", 4, "lite", options=larger, weights=weights_file(trained, tmp_path)).network
    depth = torch.rand(1, 1, 6, 7)
    with torch.no_grad():
        torch.testing.assert_close(network(depth), trained(depth))
    for _ in range(3):  # a new channel's own weights feel the loss once something listens to it
        loss = (network(depth) - torch.rand(1, 1, 24, 28)).square().mean()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.01 * parameter.grad
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    assert network.up[0].up[0].weight.grad[:, 4:].abs().sum() > 0


def test_options_that_are_not_given_are_those_of_the_weights(tmp_path):
    trained = create_model("dsrnet", 4, "lite", **NARROW)
    module = Supervised("dsrnet", 4, "lite", weights=weights_file(trained, tmp_path))
    assert module.description["options"] == NARROW
    depth = torch.rand(1, 1, 6, 7)
    with torch.no_grad():
        torch.testing.assert_close(module(depth), trained(depth))


@pytest.mark.parametrize("change", [{"width": 3}, {"units": 3}, {"lr_blocks": 0}])
def test_a_network_that_does_not_contain_the_smaller_one_is_refused(tmp_path, change):
    path = weights_file(create_model("dsrnet", 4, "lite", **NARROW), tmp_path)
    with pytest.raises(WeightsError, match="do not fit into this network's"):
        Supervised("dsrnet", 4, "lite", options=NARROW | change, weights=path)


def test_only_a_dsrnet_grows(tmp_path):
    """CSAN's cross-scale blocks join feature maps: the smaller network's channels are not the first ones there."""
    small = create_model("csan", 2, "lite", widths=[4, 4], blocks=[1])
    card = ModelCard(method="csan", scale=2, size="lite", data="-", lr_kernel="-", steps=0, date="2026-11-21")
    path = save_weights(small, tmp_path / "csan.safetensors", card)
    with pytest.raises(WeightsError, match="only a dsrnet grows"):
        Supervised("csan", 2, "lite", options={"widths": [6, 6], "blocks": [1]}, weights=str(path))


def test_weights_of_another_width_start_no_network(tmp_path):
    path = weights_file(create_model("dsrnet", 4, "lite", **NARROW), tmp_path)
    with pytest.raises(WeightsError, match="differ in more than the scale"):
        Supervised("dsrnet", 8, "lite", options=NARROW | {"width": 5}, weights=path)
    with pytest.raises(WeightsError, match="differ in more than the scale"):
        Supervised("csan", 8, "lite", weights=path)


def test_sigma_of_the_batch_reaches_a_network_that_takes_it():
    made = batch() | {"sigma": torch.full((3, 1, 8, 8), 0.05)}
    for options in (NARROW, NARROW | {"equivariant": True}):
        task = method(options=options)
        task.log = lambda *_, **__: None
        task.network.head[-1].weight.data.mul_(100)
        told = task.training_step(made, 0)
        untold = task.training_step({k: v for k, v in made.items() if k != "sigma"}, 0)
        assert (told == untold) != ("equivariant" in options)


def test_relative_loss_weighs_samples_by_what_bicubic_makes_of_them():
    made, task = batch(), method(relative=True)
    easy = bicubic(made["depth_lr"], scale=2)
    assert 0.9 < float(task.distance(easy, made["depth_hr"], made["valid"], made)) < 1
    wrong = made["depth_hr"].clone()
    wrong[0] += 0.1
    error = (easy - made["depth_hr"]).abs()[0][made["valid"][0]].mean()
    expected = 0.1 / (error + 0.003) / 3
    torch.testing.assert_close(task.distance(wrong, made["depth_hr"], made["valid"], made), expected)


def test_an_equivariant_network_starts_from_weights_with_biases(tmp_path):
    torch.manual_seed(3)
    small = create_model("dsrnet", 2, "lite", **NARROW)
    with torch.no_grad():
        first = small.shallow[0][0].weight
        first.sub_(first.mean(dim=(1, 2, 3), keepdim=True))
    card = ModelCard(method="dsrnet", scale=2, size="lite", options=NARROW, data="", lr_kernel="", steps=0, date="")
    path = save_weights(small, tmp_path / "small.safetensors", card)
    grown = NARROW | {"equivariant": True, "lr_blocks": 2}
    task = method(options=grown, weights=str(path))
    depth = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():  # away from borders the same: biases start at 0, these filters have no mean
        ours, theirs = (net.detail(depth, None)[..., 60:68, 60:68] for net in (task.network, small))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    with pytest.raises(WeightsError, match="options"):
        method(options=grown | {"width": 8}, weights=str(path))
