"""`python -m training job`: fixed time per entry, resume, weights in parts, carried data."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import read_card
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.weight_files import load_weights
from training.data.sample import DATA_ROOT
from training.job import ENTRIES, JobEntry, Slice, command, main
from training.job.deliver import split
from training.job.pack import MANIFEST, files_of

LIMIT = 16e6

SCENES = {"class_path": "SyntheticScenes", "init_args": {"count": 2, "width": 96, "height": 64}}
UNSEEN = {"class_path": "SyntheticScenes", "init_args": {"count": 1, "seed": 9, "width": 96, "height": 64}}
TINY = {
    "data": {
        "scale": 2,
        "patch": 24,
        "batch_size": 2,
        "patches_per_epoch": 12,
        "sources": [SCENES],
        "source_weights": None,
        "validation_sources": [UNSEEN],
    },
    "trainer": {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0},
}
DSRNET = JobEntry(
    "tiny_dsrnet",
    "slice_ctkt.yaml",
    TINY | {"model": {"init_args": {"size": "lite", "options": {"width": 4, "width_lr": 4, "units": 2}}}},
    "synthetic scenes",
    "MATLAB bicubic",
)
DADA = JobEntry(
    "tiny_dada",
    "slice_dada.yaml",
    TINY | {"model": {"init_args": {"size": "lite", "solver_iterations": 5}}},
    "synthetic scenes",
    "block mean",
)


@pytest.fixture(autouse=True)
def fresh_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_ROOT, str(tmp_path))


class PowerCut(BaseException):
    """Nothing catches it, as nothing catches the real one."""


class Log:
    """Every training step's share of the time, step number, learning rate, and whether it was in step 1."""

    def __init__(self, monkeypatch, stop_at: int | None = None):
        self.rows: list[tuple[float, int, float, bool]] = []
        self.stop_at = stop_at
        original = Slice.on_train_batch_start

        def logged(clock, trainer, module, *given):
            if trainer.global_step == self.stop_at:
                raise PowerCut
            before = clock.share
            original(clock, trainer, module, *given)
            step1 = getattr(module, "step1_epochs", 0) > trainer.current_epoch
            self.rows.append((before, trainer.global_step, trainer.optimizers[0].param_groups[0]["lr"], step1))

        monkeypatch.setattr(Slice, "on_train_batch_start", logged)


def test_a_slice_is_annealed_reported_and_its_weights_load(tmp_path, monkeypatch, capsys):
    log = Log(monkeypatch)
    arguments = ["--out", str(tmp_path), "--accelerator", "cpu", "--model.init_args.optimisation.warmup_steps", "0"]
    assert main([*arguments, "--slice", "2"], [DSRNET]) == 0
    shares, steps, rates, step1 = zip(*log.rows)
    assert list(steps) == list(range(len(steps))) and len(steps) > 2
    # the clock runs on between this test's look at it and the callback's own
    assert all(rate == pytest.approx(5e-4 * (1 + math.cos(math.pi * s)), abs=3e-5) for s, rate in zip(shares, rates))
    assert shares[-1] > 0.5 and rates[-1] < 0.6 * rates[0]
    assert all(first == (share < 0.5) for share, first in zip(shares, step1) if abs(share - 0.5) > 0.01)
    assert {True, False} == set(step1)

    report = json.loads((tmp_path / "report.json").read_text())["tiny_dsrnet"]
    assert report["steps"] == len(steps) and 2 <= report["seconds"] < 20
    assert report["weights"]["parts"] == ["dsrnet_lite_x2.safetensors"]
    path = tmp_path / "weights" / "dsrnet_lite_x2.safetensors"
    card = read_card(path)
    assert card.scores == {"validation": report["mad"]} and card.steps == len(steps)
    assert f"{report['seconds']:.0f} s on CPU" in card.notes and "32-true" in card.notes
    model, _, _ = load_model("dsrnet", 2, "lite", path)
    trained = torch.load(tmp_path / "tiny_dsrnet/last.ckpt", weights_only=True)["state_dict"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, trained[f"network.{name}"], atol=1e-4, rtol=1e-3)
    assert "tiny_dsrnet" in capsys.readouterr().out


def test_an_interrupted_entry_goes_on_and_a_finished_one_is_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "SAVE_EVERY", 0.0)
    arguments = ["--out", str(tmp_path), "--accelerator", "cpu", "--slice", "2.5"]
    with monkeypatch.context() as first_run:
        cut = Log(first_run, stop_at=4)  # in the middle of an epoch of six steps
        with pytest.raises(PowerCut):
            main(arguments, [DSRNET])
    assert not (tmp_path / "report.json").exists()
    saved = torch.load(tmp_path / "tiny_dsrnet/last.ckpt", weights_only=True)
    used = saved["callbacks"]["Slice"]["time_elapsed"]["train"]
    assert saved["global_step"] == 4 and used > 0

    with monkeypatch.context() as second_run:
        log = Log(second_run)
        assert main(arguments, [DSRNET]) == 0
    assert log.rows[0][1] == 4 and log.rows[0][0] >= used / 2.5, "steps and clock go on"
    assert log.rows[0][0] >= cut.rows[-1][0]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tiny_dsrnet"]["seconds"] < 12

    # finished: not trained again, but shown, also beside another entry that is trained now
    capsys.readouterr()
    monkeypatch.setattr(command, "train", lambda *given: pytest.fail("trained again"))
    assert main(arguments, [DSRNET]) == 0
    assert f"{report['tiny_dsrnet']['mad']:.3f}" in capsys.readouterr().out


def test_lost_weights_are_exported_again_without_training(tmp_path, monkeypatch):
    arguments = ["--out", str(tmp_path), "--accelerator", "cpu", "--slice", "0.5"]
    assert main(arguments, [DADA]) == 0
    before = json.loads((tmp_path / "report.json").read_text())["tiny_dada"]
    shutil.rmtree(tmp_path / "weights")
    log = Log(monkeypatch)
    assert main(arguments, [DADA]) == 0
    after = json.loads((tmp_path / "report.json").read_text())["tiny_dada"]
    assert log.rows == []
    # safetensors orders its header anew each time, and so gives another digest
    assert {**after, "weights": {**after["weights"], "sha256": before["weights"]["sha256"]}} == before
    assert (tmp_path / "weights" / after["weights"]["file"]).is_file()


def test_files_over_the_limit_come_in_parts_that_cat_joins(tmp_path):
    arguments = ["--out", str(tmp_path), "--accelerator", "cpu", "--slice", "0.5", "--max-file-mb", "0.05"]
    assert main(arguments, [DADA]) == 0
    done = json.loads((tmp_path / "report.json").read_text())["tiny_dada"]["weights"]
    folder = tmp_path / "weights"
    parts = sorted(folder.glob("*.part*"))
    assert [part.name for part in parts] == done["parts"] and len(parts) > 1
    assert all(path.stat().st_size <= 50_000 for path in folder.iterdir()) and not (folder / done["file"]).exists()
    subprocess.run(f"cat {done['file']}.part* > {done['file']}", shell=True, cwd=folder, check=True)
    digest = subprocess.run(["sha256sum", folder / done["file"]], capture_output=True, text=True, check=True)
    assert digest.stdout.split()[0] == done["sha256"] and (folder / done["file"]).stat().st_size == done["bytes"]
    load_weights(create_model("dada", 2, "lite"), folder / done["file"])


def test_split_removes_parts_of_an_earlier_larger_file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(range(25)))
    assert [part.name for part in split(path, 10)] == [f"w.safetensors.part0{i}" for i in range(3)]
    path.write_bytes(bytes(10))
    assert split(path, 10) == [path] and list(tmp_path.iterdir()) == [path]


def test_a_failed_entry_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    def out_of_memory(entry, *given, train=command.train):
        if entry is DSRNET:
            raise RuntimeError("out of memory")
        return train(entry, *given)

    monkeypatch.setattr(command, "train", out_of_memory)
    broken = JobEntry("broken", "slice_ctkt.yaml", DSRNET.changes | {"data": TINY["data"] | {"normalise": "none"}})
    arguments = ["--out", str(tmp_path), "--accelerator", "cpu", "--slice", "0.5"]
    assert main(arguments, [broken, DSRNET, DADA]) == 1
    said = capsys.readouterr()
    assert "out of memory" in said.err
    assert "set data.normalise=range" in said.err and re.search(r"broken +failed", said.out)
    assert list(json.loads((tmp_path / "report.json").read_text())) == ["tiny_dada"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "{}", "--only", "dsrnet_x3"], "choose among dsrnet_x2"),
        (["--out", "{}", "--slice", "0"], "must be positive"),
        (["--pack", "{}", "--trainer.max_steps", "1"], "unrecognized arguments"),
        (["--pack", "{}", "--data", "/nowhere"], "no data at"),
        ([], "required"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, arguments, message):
    try:
        assert main([each.format(tmp_path / "x") for each in arguments]) == 2
    except SystemExit as stop:
        assert stop.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_names_a_network_whose_files_fit(entry):
    config = entry.merged()
    given = config["model"]["init_args"]
    method = {"CTKT": "dsrnet", "DADA": "dada"}[config["model"]["class_path"]]
    assert entry.name == f"{method}_x{config['data']['scale']}" and given["size"] == "paper"
    assert given["optimisation"]["schedule"] == "constant", "the clock lowers the rate"
    assert config["trainer"]["max_epochs"] == -1 and "max_steps" not in config["trainer"]
    with torch.device("meta"):
        model = create_model(method, config["data"]["scale"], "paper", **given.get("options", {}))
    size = sum(value.numel() * (2 if value.is_floating_point() else 8) for value in model.state_dict().values())
    if method == "dsrnet":
        assert size < 0.99 * LIMIT
    else:
        assert config["data"]["validation_degradation"]["kernels"] == [{"kernel": "block_mean"}]
        assert math.ceil(1.01 * size / LIMIT) <= 5


def pretend_data(root: Path) -> None:
    for name in ("middlebury2006_third/Aloe/view1.png", "middlebury2006_third/Aloe/disp1.png", "msgnet_depth/Df_3.mat"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (root / "middlebury2006_third/Aloe/notes.txt").write_text("not read")
    (root / "middlebury2005/Books").mkdir(parents=True)
    (root / "middlebury2005/Books/depth.png").write_bytes(b"test only")


def test_pack_holds_what_is_read_and_nothing_else(tmp_path, capsys):
    root, folder = tmp_path / "data", tmp_path / "pack"
    pretend_data(root)
    assert main(["--pack", str(folder), "--data", str(root)]) == 0
    manifest = json.loads((folder / MANIFEST).read_text())
    names = ["middlebury2006_third/Aloe/disp1.png", "middlebury2006_third/Aloe/view1.png", "msgnet_depth/Df_3.mat"]
    assert list(manifest) == names
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [MANIFEST, *names]
    assert main(["--pack", str(tmp_path / "colour"), "--data", str(root), "--only", "dada_x4"]) == 0
    assert list(json.loads((tmp_path / "colour" / MANIFEST).read_text())) == names[:2]

    assert main(["--pack", str(tmp_path / "x"), "--data", str(root), "--max-pack-mb", "0.00001"]) == 2
    assert "over the limit" in capsys.readouterr().err and not (tmp_path / "x").exists()
    (folder / names[1]).write_bytes(b"broken on the way")
    assert main(["--out", str(tmp_path / "x"), "--data", str(folder)]) == 2
    assert "is not whole: 1 files are missing or differ" in capsys.readouterr().err


def test_pack_refuses_test_scenes(tmp_path, capsys):
    pretend_data(tmp_path)
    tested = {"class_path": "Middlebury2005", "init_args": {"root": f"{tmp_path}/middlebury2005"}}
    entry = JobEntry("cheat", "slice_ctkt.yaml", {"data": {"sources": [tested]}})
    assert main(["--pack", str(tmp_path / "x"), "--data", str(tmp_path)], [entry]) == 2
    assert "test set" in capsys.readouterr().err


def test_the_real_data_fits_into_a_pack_and_feeds_a_training(tmp_path, data_set, monkeypatch):
    data_root = data_set("msgnet_depth").parent
    monkeypatch.setenv(DATA_ROOT, str(data_root))
    files = {path for entry in ENTRIES for path in files_of(entry)}
    assert len(files) == 21 * 4 + 70 and sum(path.stat().st_size for path in files) < 64e6
    folder, out = tmp_path / "pack", tmp_path / "out"
    assert main(["--pack", str(folder), "--data", str(data_root), "--only", "dsrnet_x2"]) == 0
    small = ["--model.init_args.size", "lite", "--data.patch", "32", "--data.batch_size", "1"]
    stop = ["--trainer.max_steps", "2", "--trainer.limit_val_batches", "1"]
    arguments = ["--out", str(out), "--data", str(folder), "--only", "dsrnet_x2", "--accelerator", "cpu"]
    assert main([*arguments, *small, *stop]) == 0
    done = json.loads((out / "report.json").read_text())["dsrnet_x2"]
    assert done["steps"] == 2 and 0.1 < done["mad_bicubic"] < 2
