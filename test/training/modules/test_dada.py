"""DADA's training: its loss, both gradients, holes, the prior, resume, and the shipped configs."""

from __future__ import annotations

import copy

import pytest
import tiny
import torch

from depth_sr_ros.diffusion import diffuse_adjust
from depth_sr_ros.models import create_model
from depth_sr_ros.models.equilibrium import upsampled
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.weight_files import save_weights
from training.config_files import CONFIGS, load_config
from training.data import Augment, Degrader
from training.data.degradations import Holes, WeightedKernel
from training.export import main as export
from training.modules import DADA
from training.modules.dada import constraint_of, paper_optimisation
from training.modules.optimisation import Optimisation

FAST = Optimisation(learning_rate=2e-3, schedule="constant", gradient_clip=1.0)
GUIDED = {"normalise": "max", "require_guide": True, "degradation": Degrader(kernels=[WeightedKernel("block_mean")])}


def method(scale: int = 2, **options) -> DADA:
    torch.manual_seed(0)
    return DADA(scale, "lite", **({"optimisation": FAST, "solver_iterations": 50} | options))


def data(**options):
    return tiny.data(**(GUIDED | options))


def batch_of(scale: int = 4, **options) -> dict:
    module = data(scale=scale, patch=8 * scale, **options)
    module.setup("fit")
    return next(iter(module.train_dataloader()))


@pytest.fixture(scope="module")
def prior_file(tmp_path_factory):
    """An untrained, narrow DSRNet x2 and its card."""
    options = {"width": 4, "width_lr": 4, "units": 2}
    torch.manual_seed(7)
    card = ModelCard(
        **{"method": "dsrnet", "scale": 2, "size": "lite", "options": options},
        **{"data": "none", "lr_kernel": "none", "steps": 0, "date": "2026-01-01"},
    )
    path = tmp_path_factory.mktemp("prior") / "dsrnet.safetensors"
    return save_weights(create_model("dsrnet", 2, "lite", **options), path, card)


def run_step(learner: DADA, batch: dict) -> torch.Tensor:
    """One training step's loss outside a trainer."""
    learner.log = lambda *a, **k: None
    return learner.training_step(batch, 0)


def test_defaults_are_the_paper_s():
    given = paper_optimisation()
    assert (given.kind, given.learning_rate, given.weight_decay) == ("adam", 1e-4, 1e-5)
    assert (given.schedule, given.decay, given.gradient_clip) == ("step", 0.9, 0.01)
    learner = DADA(8, "lite")
    assert learner.optimisation == given
    assert (learner.n_pre, learner.n_grad, learner.loss_weight) == (8000, 1024, 10.0)


def test_loss_is_ten_times_l1_over_valid_pixels():
    batch, learner = batch_of(), method(4)
    batch["valid"][..., :5, :] = False
    batch["depth_hr"][..., :5, :] = 1e6  # not valid: must not count
    loss = run_step(learner, batch)
    with torch.no_grad():
        output = learner.network.solve(learner.network.prepare(*inputs(batch)))[0]
    expected = 10 * (output - batch["depth_hr"]).abs()[batch["valid"]].mean()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-3, atol=1e-5)


def inputs(batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    return constraint_of(batch), batch["guide"]


def test_invalid_lr_cells_put_no_constraint_on_training_or_validation():
    batch, learner = batch_of(), method(4)
    batch["valid_lr"][:, :, 3, 3] = False
    assert torch.isnan(constraint_of(batch)[:, :, 3, 3]).all() and constraint_of(batch).isnan().sum() == 2
    with torch.no_grad():
        before = learner.output_of(batch)
        batch["depth_lr"][:, :, 3, 3] = 17.0  # what a hole was filled with
        torch.testing.assert_close(learner.output_of(batch), before)
        batch["valid_lr"][:, :, 3, 3] = True
        assert (learner.output_of(batch) - before).abs().max() > 0.1


def test_implicit_gradient_points_where_the_unrolled_one_does():
    batch = batch_of(2)
    gradients = {}
    for kind in ("implicit", "unrolled"):
        learner = method(gradient=kind, n_pre=1, n_grad=600, options={"tolerance": 1e-5}, solver_iterations=400)
        run_step(learner, batch).backward()
        gradients[kind] = torch.cat([p.grad.flatten() for p in learner.parameters()])
    cosine = torch.nn.functional.cosine_similarity(*gradients.values(), dim=0)
    assert cosine > 0.99
    assert abs(gradients["implicit"].norm() / gradients["unrolled"].norm() - 1) < 0.1


def test_unrolled_is_the_paper_s_loop_with_a_random_start_that_a_resumed_run_repeats():
    batch = batch_of()
    learner = method(4, gradient="unrolled", n_pre=50, n_grad=3)
    problem = learner.network.prepare(*inputs(batch))
    output = learner.unrolled(problem)
    assert torch.equal(learner.unrolled(problem), output)  # the same step draws the same number
    with torch.no_grad():
        candidates = [diffuse_adjust(problem.start, problem.target, problem.cv, problem.ch, n + 3) for n in range(50)]
    assert sum(torch.allclose(output, candidate, atol=1e-7) for candidate in candidates) >= 1
    output.sum().backward()
    assert learner.network.log_kappa.grad is not None


def test_overfitting_lowers_the_loss(tmp_path):
    learner = method(4)
    trainer = tiny.trainer(tmp_path, max_epochs=8, num_sanity_val_steps=0, check_val_every_n_epoch=8)
    module = data(scale=4, patch=32, augment=Augment(rotate=False))
    trainer.fit(learner, module)
    scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert scores["val_mad"] < 0.7 * scores["val_mad_bicubic"]
    assert scores["kappa"] != pytest.approx(0.03, rel=1e-4)


def test_batches_with_holes_train(tmp_path):
    holes = Degrader(kernels=[WeightedKernel("block_mean")], noise=[Holes()])
    learner = method(2)
    tiny.trainer(tmp_path).fit(learner, data(degradation=holes, validation_degradation=holes))
    assert all(torch.isfinite(p).all() for p in learner.parameters())


def test_resume_continues_as_if_never_stopped(tmp_path):
    def train(learner, epochs, path, checkpoint=None):
        trainer = tiny.trainer(tmp_path / path, max_epochs=epochs, enable_checkpointing=True)
        trainer.fit(learner, data(batches=2), ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / path / "end.ckpt")
        return copy.deepcopy(learner.state_dict())

    options = {"gradient": "unrolled", "n_pre": 20, "n_grad": 2}
    whole = train(method(**options), 2, "whole")
    train(method(**options), 1, "half")
    resumed = train(method(**options), 2, "rest", tmp_path / "half" / "end.ckpt")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_prior_is_loaded_frozen_and_exported_with_the_model(tmp_path, prior_file, capsys):
    learner = method(options={"prior": "dsrnet"}, prior_weights=str(prior_file))
    loaded, _, _ = load_model("dsrnet", 2, "lite", prior_file)
    for name, value in loaded.state_dict().items():
        assert torch.equal(learner.network.prior.state_dict()[name], value)
    trainer = tiny.trainer(tmp_path)
    trainer.fit(learner, data())
    assert all(torch.equal(learner.network.prior.state_dict()[k], v) for k, v in loaded.state_dict().items())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    out = tmp_path / "dada.safetensors"
    command = [str(tmp_path / "last.ckpt"), "-o", str(out), "--data", "steps", "--lr-kernel", "block mean"]
    assert export(command) == 0
    model, card, _ = load_model("dada", 2, "lite", out)
    assert card.options["prior_options"] == {"size": "lite", "width": 4, "width_lr": 4, "units": 2}
    batch = batch_of(2)
    with torch.no_grad():
        torch.testing.assert_close(model(*inputs(batch)), learner.eval().output_of(batch), rtol=1e-4, atol=1e-5)


def test_export_gives_another_prior(tmp_path, prior_file, capsys):
    trainer = tiny.trainer(tmp_path)
    learner = method(options={"prior": "dsrnet"}, prior_weights=str(prior_file))
    trainer.fit(learner, data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded, card, _ = load_model("dsrnet", 2, "lite", prior_file)
    with torch.no_grad():
        loaded.head[-1].bias.fill_(0.25)
    other = save_weights(loaded, tmp_path / "other.safetensors", card)
    out = tmp_path / "dada.safetensors"
    command = [str(tmp_path / "last.ckpt"), "-o", str(out), "--data", "steps", "--lr-kernel", "block mean", "--prior"]
    assert export([*command, str(other)]) == 0
    model, card, _ = load_model("dada", 2, "lite", out)
    trained = learner.network.state_dict()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, trained[name])}
    assert changed == {"priors.dsrnet.head.1.bias"}
    assert "validation" not in card.scores  # that score was of the network with its own prior
    assert card.notes.startswith("the prior dsrnet it was trained with was exchanged for")
    for wrong in ("clean", str(tmp_path / "missing.safetensors")):  # of other widths, and not there
        assert export([*command, wrong]) == 2
    trainer.fit(alone := method(), data())
    alone.trainer.save_checkpoint(tmp_path / "last.ckpt")
    capsys.readouterr()
    assert export([*command, "clean"]) == 2 and "dada without a prior" in capsys.readouterr().err


def test_prior_that_is_trained_along_moves(prior_file):
    learner = method(options={"prior": "dsrnet", "train_prior": True}, prior_weights=str(prior_file))
    run_step(learner, batch_of(2)).backward()
    assert all(p.grad is not None for p in learner.network.prior.parameters())
    fresh = method(options={"prior": "dsrnet", "train_prior": True}, prior_weights="fresh")
    assert fresh.network.prior.width == 16


def test_features_start_from_those_of_another_scale(tmp_path, prior_file):
    torch.manual_seed(3)
    source = create_model("dada", 4, "lite")
    with torch.no_grad():
        source.log_kappa.fill_(-2.0)
    fields = {"method": "dada", "scale": 4, "size": "lite", "data": "-", "lr_kernel": "-", "steps": 0}
    path = save_weights(source, tmp_path / "x4.safetensors", ModelCard(**fields, date="2026-01-01"))
    learner = method(scale=2, features_from=str(path))
    assert tiny.same_weights(learner.network, source)
    with pytest.raises(WeightsError, match="both have a prior"):
        method(options={"prior": "dsrnet"}, prior_weights=str(prior_file), features_from=str(path))


def test_a_patch_normalised_by_its_frame_is_seen_as_a_part_of_the_whole_image(prior_file):
    """Features, prior and trust get what they would get of the frame; by its own statistics a patch looks else."""
    options = {"prior": "dsrnet", "trust": "learned"}
    batch = {**batch_of(2), "depth_lr": None, "guide": None}
    depth, guide = 1 + torch.rand(2, 1, 24, 24), torch.rand(2, 3, 48, 48)
    learner = method(options=options, prior_weights=str(prior_file), input_range="frame")
    network, seen = learner.network.eval(), {}
    network.features.register_forward_hook(lambda module, args, output: seen.update(features=args[0]))
    network.trust.register_forward_hook(lambda module, args, output: seen.update(spread=args[3]))
    with torch.no_grad():
        whole = network.prepare(depth, guide)
        input_of_whole, spread = seen["features"], seen["spread"]
        up = upsampled(depth, 2)
        low, high = depth.amin((1, 2, 3)), depth.amax((1, 2, 3))
        frame = torch.stack([low, high, up.mean((1, 2, 3)), up.std((1, 2, 3), correction=0)], dim=1)
        inner = slice(8, 40)
        batch |= {"depth_lr": depth[..., 4:20, 4:20], "guide": guide[..., inner, inner], "frame": frame}
        batch |= {"valid_lr": torch.ones(2, 1, 16, 16, dtype=torch.bool), "depth_hr": up[..., inner, inner]}
        batch["valid"] = torch.ones_like(batch["depth_hr"], dtype=torch.bool)
        run_step(learner, batch)
        # away from the patch's border, where bicubic and the prior's convolutions see what lies beyond
        middle = slice(14, 18)
        torch.testing.assert_close(
            seen["features"][:, :4, middle, middle], input_of_whole[:, :4, 22:26, 22:26], rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(seen["spread"], spread, rtol=1e-4, atol=1e-6)
        prior = seen["features"][:, 4:, middle, middle] - input_of_whole[:, 4:, 22:26, 22:26]
        learner.input_range = "patch"
        run_step(learner, batch)
        by_patch = seen["features"][:, 4:, middle, middle] - input_of_whole[:, 4:, 22:26, 22:26]
    assert whole.start.shape == (2, 1, 48, 48)
    assert prior.abs().mean() < 0.2 * by_patch.abs().mean()


def test_trust_is_learned_on_top_of_features_that_were_trained_without_it(tmp_path, prior_file):
    options, trusting = {"prior": "dsrnet"}, {"prior": "dsrnet", "trust": "learned"}
    source = method(options=options, prior_weights=str(prior_file)).network
    fields = {"method": "dada", "scale": 2, "size": "lite", "data": "-", "lr_kernel": "-", "steps": 0}
    path = save_weights(source, tmp_path / "exact.safetensors", ModelCard(**fields, date="2026-01-01"))
    learner = method(options=trusting, prior_weights=str(prior_file), features_from=str(path))
    assert tiny.same_weights(learner.network.features, source.features)
    run_step(learner, batch_of(2)).backward()
    assert all(p.grad is not None for p in learner.network.trust.parameters())
    assert learner.network.trust in learner.compiled_parts()


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"prior_weights": "robust"}, ValueError, "without a prior"),
        ({"options": {"prior": "bicubic"}}, ValueError, "expected None or one of csan, dsrnet"),
        ({"options": {"prior": "dsrnet"}, "prior_weights": "fresh"}, ValueError, "helps nobody"),
        ({"options": {"prior": "csan"}, "prior_weights": "no.safetensors"}, WeightsError, "no weights at"),
        ({"encoder_weights": "resnet50.pth"}, ValueError, "size 'paper'"),
        ({"encoder_weights": "resnet50.pth", "features_from": "x4.safetensors"}, ValueError, "drop one of them"),
        ({"n_grad": 0}, ValueError, "n_grad must be at least 1"),
        ({"gradient": "unrolled", "options": {"lr_kernel": "bicubic"}}, ValueError, "the paper's loop"),
        ({"gradient": "unrolled", "options": {"adjustment": "additive"}}, ValueError, "the paper's loop"),
        ({"options": {"kappa": 1}}, TypeError, "kappa"),
    ],
)
def test_impossible_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        method(**options)


def test_prior_options_must_be_those_of_the_weights(prior_file):
    with pytest.raises(ValueError, match="were made with"):
        options = {"prior": "dsrnet", "prior_options": {"width": 8}}
        method(options=options, prior_weights=str(prior_file))


def test_shifted_data_is_refused_unless_adjusted_additively():
    batch = batch_of(2, normalise="range")
    with pytest.raises(ValueError, match="normalise=max"):
        run_step(method(options={"adjustment": "multiplicative"}), batch)
    assert torch.isfinite(run_step(method(), batch))


def test_encoder_weights_are_read_without_running_code_and_used(tmp_path):
    with torch.device("meta"):
        donor = create_model("dada", 2, "paper").features.encoder
    state = {k: torch.zeros(()).expand(v.shape).to(v.dtype) for k, v in donor.state_dict().items()}
    torch.save(state | {"conv1.weight": torch.ones(()).expand(64, 3, 7, 7)}, tmp_path / "resnet50.pth")
    learner = DADA(2, "paper", encoder_weights=str(tmp_path / "resnet50.pth"))
    torch.testing.assert_close(learner.network.features.encoder.conv1.weight, torch.full((64, 4, 7, 7), 0.75))
    with pytest.raises(WeightsError, match="no checkpoint at"):
        DADA(2, "paper", encoder_weights=str(tmp_path / "none.pth"))


LITE = [(name, scale) for name in ("dada_lite", "dada_lite_prior") for scale in (2, 4, 8, 16)]
PAPER = [(f"dada_{source}", scale) for source in ("middlebury", "nyuv2", "diml") for scale in (4, 8, 16)]


@pytest.mark.parametrize(("name", "scale"), LITE + PAPER)
def test_every_shipped_config_is_complete(name, scale):
    config = load_config((CONFIGS / f"{name}.yaml").read_text(), scale)
    room, arguments = config["data"], config["model"]["init_args"]
    assert config["model"]["class_path"] == "DADA"
    assert room["patch"] % scale == 0 and room["patch"] >= 12 * scale
    assert room["with_guide"] and room["require_guide"] and room["normalise"] in ("max", "none")
    assert [k["kernel"] for k in room["degradation"]["kernels"]] == ["block_mean"]
    assert room["validation_degradation"]["kernels"] == [{"kernel": "block_mean"}]
    optimisation = Optimisation(**arguments.pop("optimisation"))
    if (name, scale) in LITE:
        assert arguments["size"] == "lite" and arguments["gradient"] == "implicit"
        assert (arguments.get("options", {}).get("prior") == "dsrnet") == ("prior" in name)
        return
    assert (room["patch"], room["batch_size"], room["normalise"]) == (256, 8, "none")
    assert (optimisation.learning_rate, optimisation.weight_decay, optimisation.gradient_clip) == (1e-4, 1e-5, 0.01)
    assert (arguments["gradient"], arguments["n_pre"], arguments["n_grad"]) == ("unrolled", 8000, 1024)
    assert arguments["options"]["depth_unit"] in (1.1227, 1.38605, 1.15429) and arguments["size"] == "paper"


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_the_config_for_bicubic_lr_is_complete(scale):
    config = load_config((CONFIGS / "dada_lite_bicubic.yaml").read_text(), scale)
    room, arguments = config["data"], config["model"]["init_args"]
    assert room["patch"] % scale == 0 and room["patch"] >= 12 * scale
    assert {k["kernel"] for k in room["degradation"]["kernels"]} == {"bicubic", "bicubic_uint8"}
    assert room["validation_degradation"]["kernels"] == [{"kernel": "bicubic"}]
    assert arguments["options"] == {"prior": "dsrnet", "trust": "learned", "lr_kernel": "bicubic"}
    assert arguments["prior_weights"] == "clean"
