"""`python -m training`: configs, early errors, a run with checkpoints, resume, export."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import WeightsError, read_card
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.weight_files import save_weights
from training.cli import run, with_config_paths
from training.config_files import CONFIGS, load_config, merge
from training.data.sample import DATA_ROOT, data_root, existing_root
from training.export import main as export
from training.export import read_checkpoint, validation_scores
from training.modules import DepthSRModule

SCALES = (2, 4, 8, 16)
PARTS = ["dada", "degradation_robust", "trainer"]  # what only others start from, beside the data_*.yaml
RUNNABLE = sorted(p.stem for p in CONFIGS.glob("*.yaml") if p.stem not in PARTS and not p.stem.startswith("data_"))
REPOSITORY = Path(__file__).parents[2]

TINY = """
base: trainer.yaml
trainer:
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
  enable_model_summary: false
  logger: {init_args: {save_dir: %s, name: tiny}}
model:
  class_path: CTKT
  init_args: {size: lite, step1_epochs: 0, options: {width: 4, width_lr: 4, units: 2}}
data:
  scale: 2
  patch: 16
  batch_size: 2
  patches_per_epoch: 8
  sources: [{class_path: SyntheticScenes, init_args: {count: 2, width: 96, height: 64}}]
  validation_sources: [{class_path: SyntheticScenes, init_args: {count: 1, seed: 9, width: 96, height: 64}}]
"""


@pytest.fixture
def tiny(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY % tmp_path)
    return path


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["ctkt", "ctkt_lite", "dsrnet_lite", "dsrnet_lite_robust", "dsrnet_lite_equivariant"])
def test_configs_of_dsrnet_are_complete_at_every_scale(name, scale):
    config = load_config((CONFIGS / f"{name}.yaml").read_text(), scale)
    arguments = config["model"]["init_args"]
    assert config["data"]["patch"] >= 12 * scale
    assert arguments["size"] == ("lite" if "lite" in name else "paper")
    kernels = {kernel["kernel"] for kernel in config["data"].get("degradation", {}).get("kernels", [])}
    several = name.endswith(("robust", "equivariant"))
    assert ({"bicubic", "block_mean", "inter_cubic", "nearest"} <= kernels) == several
    if name.startswith("ctkt"):
        assert config["data"].get("with_guide", True)
        assert config["data"]["source_weights"] == [3, 1] and len(config["data"]["sources"]) == 2
    if name == "ctkt_lite":  # compared with DSRNet alone after as many steps, half of them transfer
        alone = load_config((CONFIGS / "dsrnet_lite.yaml").read_text(), scale)
        epoch = config["data"]["patches_per_epoch"] // config["data"]["batch_size"]
        assert config["trainer"]["max_steps"] == alone["trainer"]["max_steps"] and "max_epochs" not in config["trainer"]
        assert 0.4 < arguments["step1_epochs"] * epoch / config["trainer"]["max_steps"] < 0.6
    if name == "ctkt":
        paper = {"step1_epochs": 100, "gamma": 0.5, "lambda_ssim": 0.2, "rho1": 0.1, "rho2": 0.1}
        assert paper.items() <= arguments.items() and "exchange" not in arguments


def print_config(capsys, *arguments: str) -> dict:
    with pytest.raises(SystemExit) as stop:
        run(["fit", *arguments, "--print_config"])
    said = capsys.readouterr()
    assert stop.value.code == 0, said.err
    return yaml.safe_load(said.out)


@pytest.mark.parametrize("scale", [4, 16])
@pytest.mark.parametrize("name", RUNNABLE)
def test_every_shipped_config_has_keys_that_the_parser_knows(name, scale, capsys):
    config = print_config(capsys, "--config", name, "--data.scale", str(scale))
    assert config["data"]["scale"] == scale and config["data"]["patch"] % scale == 0
    assert config["data"]["sources"] and config["model"]["class_path"].startswith("training.modules.")


def test_every_part_is_of_a_config_that_runs():
    used = {base for path in CONFIGS.glob("*.yaml") for base in bases_of(path)}
    parts = {path.name for path in CONFIGS.glob("*.yaml")} - {f"{name}.yaml" for name in RUNNABLE}
    assert parts <= used


def bases_of(path: Path) -> list[str]:
    bases = yaml.safe_load(path.read_text()).get("base", [])
    return [bases] if isinstance(bases, str) else bases


def test_values_by_scale_follow_the_scale_however_it_is_given(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text("base: dsrnet_lite.yaml\ndata: {scale: 16}\ntrainer: {max_steps: 77}")
    given = {
        ("--config", "dsrnet_lite.yaml"): (4, 128, 3200),
        ("--config", "dsrnet_lite", "--data.scale", "16"): (16, 192, 3200),
        ("--data.scale=8", "--config=training/configs/dsrnet_lite.yaml"): (8, 128, 3000),
        ("--config", "dsrnet_lite", "--data", "{scale: 2}"): (2, 128, 1400),
        ("--config", "dsrnet_lite", "--data.scale", "16", "--data.patch", "224"): (16, 224, 3200),
        ("--config", str(own)): (16, 192, 77),
        ("--config", str(own), "--data.scale", "8"): (8, 128, 77),
        ("--config", "dsrnet_lite", "--config", "data_eight_bit", "--data.scale", "16"): (16, 192, 3200),
    }
    for arguments, expected in given.items():
        config = print_config(capsys, *arguments)
        assert (config["data"]["scale"], config["data"]["patch"], config["trainer"]["max_steps"]) == expected, arguments
    assert len(config["data"]["sources"]) == 4 and config["data"]["augment"]["eight_bit"] == 1.0


def test_configs_are_found_by_path_and_by_name_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shipped = str(CONFIGS / "csan_lite.yaml")
    for name in ("csan_lite", "csan_lite.yaml", "training/configs/csan_lite.yaml", shipped):
        assert with_config_paths(["fit", "-c", name]) == ["fit", "-c", shipped]
        assert with_config_paths([f"--config={name}"]) == [f"--config={shipped}"]
    (tmp_path / "csan_lite.yaml").touch()
    assert with_config_paths(["--config", "csan_lite.yaml"]) == ["--config", "csan_lite.yaml"]
    assert run(["fit", "--config", "csan_light"]) == 1
    assert "no config 'csan_light'" in capsys.readouterr().err


def test_runs_are_named_by_config_and_scale(tiny, tmp_path):
    tiny.write_text(tiny.read_text().replace(", name: tiny", ""))
    assert run(["fit", "--config", str(tiny), "--trainer.max_steps", "1"]) == 0
    assert (tmp_path / "tiny_x2" / "version_0" / "checkpoints" / "last.ckpt").is_file()


def test_data_lies_where_the_variable_says_or_beside(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DATA_ROOT, raising=False)
    with pytest.raises(FileNotFoundError, match=rf"{DATA_ROOT} is not set and there is no folder .*/data"):
        data_root()
    with pytest.raises(FileNotFoundError, match=DATA_ROOT):
        existing_root("$DEPTH_SR_DATA/diml", "frames", "diml")
    (tmp_path / "data" / "diml").mkdir(parents=True)
    assert existing_root("$DEPTH_SR_DATA/diml", "frames", "diml") == Path("data/diml")
    (tmp_path / "elsewhere" / "diml").mkdir(parents=True)
    monkeypatch.setenv(DATA_ROOT, str(tmp_path / "elsewhere"))
    assert existing_root("${DEPTH_SR_DATA}/diml", "frames", "diml") == tmp_path / "elsewhere" / "diml"


def test_an_unknown_key_fails(tiny, capsys):
    tiny.write_text(tiny.read_text().replace("step1_epochs", "step_one_epochs"))
    with pytest.raises(SystemExit) as stop:
        run(["fit", "--config", str(tiny), "--print_config"])
    assert stop.value.code and "step_one_epochs" in capsys.readouterr().err


def test_configs_merge_by_key_and_another_class_starts_afresh():
    low = {"a": {"x": 1, "y": 2}, "list": [1, 2], "model": {"class_path": "A", "init_args": {"p": 1}}}
    high = {"a": {"y": 3}, "list": [3], "model": {"class_path": "B", "init_args": {"q": 2}}}
    assert merge(low, high) == {"a": {"x": 1, "y": 3}, "list": [3], "model": high["model"]}
    assert merge(low, {"model": {"init_args": {"q": 2}}})["model"]["init_args"] == {"p": 1, "q": 2}
    with pytest.raises(ValueError, match=r"nowhere.yaml"):
        load_config("base: nowhere.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 3}, "got 3"),
        ({"patch": 8}, "less than a network needs"),
        ({"sources": [{"class_path": "Middlebury2006", "init_args": {"root": "/nowhere"}}]}, "no data at '/nowhere'"),
    ],
)
def test_mistakes_are_named_before_anything_runs(tmp_path, capsys, change, message):
    config = yaml.safe_load(TINY % tmp_path)
    config["data"] |= change
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(config))
    try:
        assert run(["fit", "--config", str(path)]) == 1
    except SystemExit as stop:  # jsonargparse reports what it finds while it builds the data module
        assert stop.code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.init_args.scale", "4"], "model.init_args.scale is 4 and data.scale 2"),
        (["--model.scale=4"], "model.init_args.scale is 4 and data.scale 2"),
        (["--model", "{class_path: CTKT, init_args: {scale: 8}}"], "model.init_args.scale is 8 and data.scale 2"),
        (["--trainer.gradient_clip_val", "1"], "set model.init_args.optimisation.gradient_clip"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(tiny, capsys, arguments, message):
    assert run(["fit", "--config", str(tiny), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_config_may_repeat_the_scale_but_not_contradict_it(tiny, capsys):
    tiny.write_text(tiny.read_text().replace("init_args: {size: lite", "init_args: {scale: 4, size: lite"))
    assert run(["validate", "--config", str(tiny)]) == 1
    assert "model.init_args.scale is 4 and data.scale 2" in capsys.readouterr().err
    assert run(["validate", "--config", str(tiny), "--model.scale", "2"]) == 0  # as a saved config.yaml says it


def test_checkpoints_of_another_network_or_method_are_named(tmp_path, tiny, capsys):
    arguments = ["fit", "--config", str(tiny), "--trainer.max_steps", "1"]
    assert run(arguments) == 0
    mine = ["--ckpt_path", str(tmp_path / "tiny/version_0/checkpoints/last.ckpt")]
    for changes, message in (
        (["--model.options.units", "3"], "'units': 2"),  # of another network
        (["--model", "Supervised"], "Unexpected key(s)"),  # the same one, but trained by another method
    ):
        capsys.readouterr()
        assert run(["validate", "--config", str(tiny), *changes, *mine]) == 1
        said = capsys.readouterr().err
        assert "checkpoint" in said and message in said and "Traceback" not in said
    alone = tmp_path / "alone.ckpt"
    saved = torch.load(mine[1], weights_only=True)
    del saved["rounds"]
    torch.save(saved, alone)
    assert run(["validate", "--config", str(tiny), "--ckpt_path", str(alone)]) == 1
    assert "not of CTKT" in capsys.readouterr().err


def test_a_training_keeps_its_config_and_validation_writes_none(tiny, tmp_path, monkeypatch):
    assert run(["fit", "--config", str(tiny)]) == 0
    kept = tmp_path / "tiny" / "version_0"
    assert (kept / "config.yaml").is_file()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    checkpoint = str(kept / "checkpoints" / "last.ckpt")
    assert run(["validate", "--config", str(tiny), "--trainer.logger", "false", "--ckpt_path", checkpoint]) == 0
    assert not any(elsewhere.iterdir())


def test_fit_resume_validate_and_export(tiny, tmp_path, capsys):
    assert run(["fit", "--config", str(tiny)]) == 0
    folder = tmp_path / "tiny" / "version_0" / "checkpoints"
    best = next(folder.glob("best-*.ckpt"))
    assert (folder / "last.ckpt").is_file()
    resume = ["--ckpt_path", str(folder / "last.ckpt"), "--trainer.max_epochs", "2"]
    assert run(["fit", "--config", str(tiny), *resume]) == 0
    longer = torch.load(tmp_path / "tiny/version_1/checkpoints/last.ckpt", weights_only=True)
    assert longer["global_step"] == 8 and longer["rounds"]["error_de"] > 0
    capsys.readouterr()
    assert run(["validate", "--config", str(tiny), "--ckpt_path", str(best)]) == 0
    assert "val_mad" in capsys.readouterr().out

    out = tmp_path / "weights.safetensors"
    words = ["--data", "synthetic", "--lr-kernel", "MATLAB bicubic", "--score", "synthetic/mad=0.5", "--json"]
    assert export([str(best), "-o", str(out), *words]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    card = read_card(out)
    assert (card.method, card.scale, card.size) == ("dsrnet", 2, "lite")
    assert card.scores["synthetic/mad"] == 0.5 and card.scores["validation"] > 0
    model, _, _ = load_model("dsrnet", 2, "lite", out)
    trained, _ = read_checkpoint(best)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), trained.state_dict().values()))

    mean = tmp_path / "mean.safetensors"
    later = tmp_path / "tiny/version_1/checkpoints/last.ckpt"
    assert export([str(later), "-o", str(mean), *words, "--notes", "one", "--average", str(out)]) == 0
    middle, card, _ = load_model("dsrnet", 2, "lite", mean)
    ends = (trained.state_dict(), read_checkpoint(later)[0].state_dict())
    assert all(torch.equal(value, (ends[0][key] + ends[1][key]) / 2) for key, value in middle.state_dict().items())
    assert "validation" not in card.scores  # that score was of the later weights
    assert card.notes == "one; the mean of these weights and those of weights.safetensors"
    wider = create_model("dsrnet", 2, "lite", width=8, width_lr=4, units=2)
    wide = card.model_copy(update={"options": {"width": 8, "width_lr": 4, "units": 2}})
    other = save_weights(wider, tmp_path / "wider.safetensors", wide)
    assert export([str(later), "-o", str(mean), *words, "--average", str(other)]) == 2


def test_last_is_the_last_step_also_when_validation_gets_worse(tiny, tmp_path, monkeypatch):
    worse = itertools.count(1)
    monkeypatch.setattr(DepthSRModule, "mad_in_unit", lambda self, *given: torch.full((1,), float(next(worse))))
    # validated after steps 2 and 4; the run ends inside its second epoch of four steps
    stop = ["--trainer.max_steps", "5", "--trainer.max_epochs", "-1", "--trainer.val_check_interval", "2"]
    assert run(["fit", "--config", str(tiny), *stop, "--trainer.num_sanity_val_steps", "0"]) == 0
    folder = tmp_path / "tiny" / "version_0" / "checkpoints"
    kept = {path.name: torch.load(path, weights_only=True) for path in folder.iterdir()}
    assert sorted(kept) == ["best-2-1.0000.ckpt", "last.ckpt"]
    assert kept["last.ckpt"]["global_step"] == 5
    assert validation_scores(kept["last.ckpt"]) == {}, "the score of step 4 is not that of step 5"
    assert validation_scores(kept["best-2-1.0000.ckpt"]) == {"validation": 1.0}


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_export_refuses_what_is_no_checkpoint(tmp_path, capsys):
    broken, foreign, evil = (tmp_path / f"{n}.ckpt" for n in ("broken", "foreign", "evil"))
    broken.write_bytes(b"PK\x03\x04 truncated")
    torch.save({"state_dict": {}}, foreign)
    torch.save({"state_dict": Evil()}, evil)
    for path, message in (
        (broken, "cannot be read"),
        (evil, "without running code"),
        (foreign, "is no checkpoint of"),
        (tmp_path / "absent.ckpt", "no checkpoint at"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_checkpoint(path)
    words = ["-o", str(tmp_path / "w.safetensors"), "--data", "d", "--lr-kernel", "k"]
    assert export([str(broken), *words]) == 2
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """CTKT with a fixed teacher over gloo: the same weights, errors and roles on both, the teacher unmoved."""
    script = Path(__file__).parent / "modules" / "two_processes.py"
    environment = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1)]
    assert ranks[0]["weights"] == ranks[1]["weights"]
    assert ranks[0]["rounds"] == ranks[1]["rounds"]
    assert ranks[0]["names"] != ranks[1]["names"], "both processes saw the same patches"
    assert ranks[0]["teacher_moved"] is False and ranks[0]["student_moved"] is True
