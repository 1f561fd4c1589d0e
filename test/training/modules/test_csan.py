"""CSAN's training: a loss at every stage, each ablation's terms, exact resume, export, and the shipped configs."""

from __future__ import annotations

import pytest
import torch
from tiny import batch, checkpoint_at, data, same_weights, trainer

from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.resize import bicubic
from training.config_files import CONFIGS, load_config
from training.export import main as export
from training.modules import CSAN, CompileNetwork
from training.modules.csan import on_grid
from training.modules.optimisation import Optimisation

FAST = Optimisation(learning_rate=3e-3, schedule="cosine", gradient_clip=1.0)
NARROW = {"widths": [6, 5, 4], "blocks": [1, 1]}


def method(scale: int = 4, **options) -> CSAN:
    torch.manual_seed(0)
    return CSAN(scale, "lite", **({"options": NARROW, "optimisation": FAST} | options))


def logged(learner: CSAN, step: dict) -> dict[str, float]:
    """What a training step logs, outside a trainer."""
    seen: dict[str, float] = {}
    learner.log = lambda name, value, **_: seen.update({name: float(value.detach())})
    learner.log_dict = lambda values: seen.update({name: float(value) for name, value in values.items()})
    loss = learner.training_step(step, 0)
    assert float(loss.detach()) == seen["train_loss"]
    return seen


def test_every_stage_has_its_loss_on_its_grid():
    step, learner = batch(scale=4), method(stage_weight=0.25)
    step["depth_hr"][:, :, :5] = 1e6  # not valid: must not count
    step["valid"][:, :, :8] = False  # whole cells, and bicubic's support on the coarser grid
    seen = logged(learner, step)
    low = step["depth_lr"].amin(dim=(1, 2, 3), keepdim=True)
    extent = step["depth_lr"].amax(dim=(1, 2, 3), keepdim=True) - low
    with torch.no_grad():
        half, full = (low + extent * o for o in learner.network.stage_outputs((step["depth_lr"] - low) / extent))
    torch.testing.assert_close(full, learner.network(step["depth_lr"]).detach())
    valid, truth = step["valid"], step["depth_hr"]
    cells = valid.reshape(3, 1, 8, 2, 8, 2).all(dim=5).all(dim=3)
    coarse_truth = bicubic(truth, size=(8, 8))
    assert seen["train_stage2"] == pytest.approx((full - truth).abs()[valid].mean().item(), rel=1e-4)
    assert seen["train_stage1"] == pytest.approx((half - coarse_truth).abs()[cells].mean().item(), rel=1e-4)
    assert seen["train_loss"] == pytest.approx(seen["train_stage2"] + 0.25 * seen["train_stage1"], rel=1e-5)


@pytest.mark.parametrize("options", [NARROW, {"multi_stage": False, "widths": [6, 4], "blocks": [1]}])
def test_only_the_last_stage_has_the_tolerance(options):
    step = {**batch(scale=4), "level": torch.full((3,), 0.5)}
    stages = []
    for tolerance in (0.0, 0.4):
        torch.manual_seed(0)
        *coarse, last = method(options=options, tolerance=tolerance).stage_losses(step)
        stages.append(([loss.item() for loss in coarse], last.item()))
    (coarse, last), (coarse_tolerant, last_tolerant) = stages
    assert coarse == coarse_tolerant and last_tolerant < 0.9 * last


def test_the_ground_truth_on_its_own_grid_is_itself():
    truth, valid = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8) > 0.2
    assert [a is b for a, b in zip(on_grid(truth, valid, (8, 8)), (truth, valid))] == [True, True]


@pytest.mark.parametrize(
    "options", [NARROW | {"deep_supervision": False}, {"multi_stage": False, "widths": [6, 4], "blocks": [1]}]
)
def test_one_output_has_one_loss(options):
    seen = logged(method(options=options), batch(scale=4))
    assert seen.keys() == {"train_stage1", "train_loss"} and seen["train_loss"] == seen["train_stage1"]


def test_deep_supervision_reaches_the_first_head_by_its_own_loss():
    def gradient(stage_weight: float) -> torch.Tensor:
        learner = method(stage_weight=stage_weight)
        learner.log = learner.log_dict = lambda *a, **k: None
        learner.training_step(batch(scale=4), 0).backward()
        return learner.network.stages[0].head[-1].weight.grad

    assert not torch.allclose(gradient(0.0), gradient(1.0), rtol=1e-2)


def test_frame_normalisation_takes_the_map_s_range():
    step = batch(scale=4)
    step["depth_lr"] = step["depth_lr"] * 0.1
    losses = [logged(method(input_range=n), step)["train_stage2"] for n in ("patch", "frame")]
    with torch.no_grad():
        output = method().network.super_resolve_normalised(step["depth_lr"], None)
    assert losses[1] == pytest.approx((output - step["depth_hr"]).abs()[step["valid"]].mean().item(), rel=1e-4)
    assert losses[0] != losses[1]


def test_overfitting_one_patch_drives_the_last_stage_s_loss_below_two_per_cent(tmp_path):
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    truth = torch.where(x + 0.3 * y > 20, 0.2, 0.8)[None, None]
    patch = {"depth_lr": bicubic(truth, scale=0.25), "depth_hr": truth, "valid": truth > 0, "name": ["edge"]}
    optimisation = Optimisation(learning_rate=5e-3, schedule="cosine", gradient_clip=1.0)
    learner, losses = method(options={"widths": [16, 12, 8], "blocks": [2, 1]}, optimisation=optimisation), []
    learner.log = lambda *a, **k: None
    learner.log_dict = lambda values: losses.append(values["train_stage2"].item())
    fit = trainer(tmp_path, max_steps=250, max_epochs=-1, limit_val_batches=0)
    fit.fit(learner, torch.utils.data.DataLoader([patch], batch_size=None))
    assert losses[-1] < 0.02 * losses[0]


def test_resume_is_as_if_never_stopped(tmp_path):
    room = {"scale": 4, "patch": 64}
    steady = Optimisation(schedule="constant")  # a cosine would end with each run
    once, first, second = (method(optimisation=steady) for _ in range(3))
    trainer(tmp_path, max_steps=6, max_epochs=None).fit(once, data(**room))
    trainer(tmp_path, max_steps=3, max_epochs=None, **checkpoint_at(tmp_path, 3)).fit(first, data(**room))
    trainer(tmp_path, max_steps=6, max_epochs=None).fit(second, data(**room), ckpt_path=tmp_path / "stopped.ckpt")
    assert same_weights(second, once) and not same_weights(second, first)


def test_a_checkpoint_becomes_weights_that_run_whole_and_in_tiles(tmp_path):
    learner = method(options=NARROW | {"window": 4})
    trainer(tmp_path, max_steps=2, max_epochs=None, **checkpoint_at(tmp_path, 2)).fit(learner, data(scale=4, patch=64))
    weights = tmp_path / "csan.safetensors"
    export([str(tmp_path / "stopped.ckpt"), "-o", str(weights), "--data", "steps", "--lr-kernel", "bicubic"])
    depth = (1 + torch.rand(40, 52)).numpy()
    whole = DepthUpsampler("csan", 4, precision="float32", weights=weights).upsample(depth)
    tiled = DepthUpsampler("csan", 4, precision="float32", weights=weights, tile=16).upsample(depth)
    assert whole.shape == (160, 208)
    torch.testing.assert_close(torch.from_numpy(tiled), torch.from_numpy(whole), atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(
            torch.from_numpy(whole), learner.network.eval()(torch.from_numpy(depth)[None, None])[0, 0]
        )


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="stage_weight must be at least 0, got -1"):
        method(stage_weight=-1)


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("size", ["paper", "lite"])
def test_every_shipped_config_is_complete(scale, size):
    name = "csan" if size == "paper" else "csan_lite"
    config = load_config((CONFIGS / f"{name}.yaml").read_text(), scale)
    room, arguments = config["data"], config["model"]["init_args"]
    assert config["model"]["class_path"] == "CSAN"
    assert arguments["size"] == size and Optimisation(**arguments["optimisation"])
    assert room["patch"] % scale == 0 and room["patch"] >= 12 * scale
    assert room["with_guide"] is False
    assert ("max_epochs" if size == "paper" else "max_steps") in config["trainer"]


def test_compiled_stages_train_the_same_weights(tmp_path):
    weights = []
    for callbacks in ([], [CompileNetwork(backend="eager")]):
        learner = method(optimisation=Optimisation(schedule="constant"))
        fit = trainer(tmp_path, callbacks=callbacks, max_steps=2, max_epochs=None, num_sanity_val_steps=0)
        fit.fit(learner, data(scale=4, patch=64))
        weights.append(learner.network.state_dict())
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)
