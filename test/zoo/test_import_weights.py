"""import-weights: checkpoints made here with the published names and shapes, and everything that must be refused."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest
import torch

from depth_sr_ros import cli
from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import WeightsError
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.import_weights import import_dada
from depth_sr_ros.zoo.weight_files import load_weights

ENCODER_BLOCKS = {1: (3, 64, 64), 2: (4, 128, 256), 3: (6, 256, 512), 4: (3, 512, 1024)}
DECODER = ((2048 + 1024, 256), (256 + 512, 128), (128 + 256, 64), (64 + 64, 32), (32, 16))


def published_state() -> dict[str, torch.Tensor]:
    """Random tensors under the names of a U-Net with ResNet-50 encoder as DADA's code saves it, written out here."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {"logk": torch.tensor(-3.2)}

    def convolution(name: str, channels_in: int, channels_out: int, kernel: int) -> None:
        fan = channels_in * kernel * kernel
        shape = (channels_out, channels_in, kernel, kernel)
        state[f"feature_extractor.1.{name}.weight"] = torch.randn(shape, generator=generator) / fan**0.5

    def norm(name: str, channels: int) -> None:
        for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"feature_extractor.1.{name}.{part}"] = torch.full((channels,), value)
        state[f"feature_extractor.1.{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("encoder.conv1", 4, 64, 7)
    norm("encoder.bn1", 64)
    for layer, (blocks, width, channels) in ENCODER_BLOCKS.items():
        for block in range(blocks):
            name = f"encoder.layer{layer}.{block}"
            for number, (a, b, kernel) in enumerate(
                ((channels if block == 0 else 4 * width, width, 1), (width, width, 3), (width, 4 * width, 1)), 1
            ):
                convolution(f"{name}.conv{number}", a, b, kernel)
                norm(f"{name}.bn{number}", b)
            if block == 0:
                convolution(f"{name}.downsample.0", channels, 4 * width, 1)
                norm(f"{name}.downsample.1", 4 * width)
    for block, (a, b) in enumerate(DECODER):
        for number, channels in ((1, a), (2, b)):
            convolution(f"decoder.blocks.{block}.conv{number}.0", channels, b, 3)
            norm(f"decoder.blocks.{block}.conv{number}.1", b)
    convolution("segmentation_head.0", 16, 64, 3)
    state["feature_extractor.1.segmentation_head.0.bias"] = torch.zeros(64)
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return published_state()


@pytest.fixture(scope="module")
def hollow(state) -> dict[str, torch.Tensor]:
    """The same names and shapes, one number standing for a whole tensor: files of kilobytes."""
    return {name: value.new_zeros(()).expand(value.shape) for name, value in state.items()}


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory) -> Path:
    """As the published training script saves it: with its optimiser, and leftovers of the old code base."""
    path = tmp_path_factory.mktemp("download") / "best_model.pth"
    old = {"logk2": torch.tensor(0.0), "mean_guide": torch.zeros(3), "std_guide": torch.ones(3)}
    optimiser = {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]}
    torch.save({"model": {**state, **old}, "optimizer": optimiser, "epoch": 5, "iter": 1234}, path)
    return path


def test_published_checkpoint_becomes_weights(checkpoint, state, tmp_path, capsys):
    output = tmp_path / "dada.safetensors"
    command = ["import-weights", "--format", "dada", str(checkpoint), "-o", str(output), "--scale", "8"]
    assert cli.main([*command, "--dataset", "nyuv2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["output"] == str(output) and printed["scale"] == 8 and printed["steps"] == 1234
    model, card, _ = load_model("dada", 8, "paper", output)
    assert card.options == {"depth_unit": 1.38605} and model.depth_unit == 1.38605
    own = model.state_dict()
    assert len(own) == len(state)
    for name, value in state.items():
        ours = "log_kappa" if name == "logk" else "features." + name.removeprefix("feature_extractor.1.")
        assert torch.equal(own[ours], value), name
    with torch.inference_mode():
        assert torch.isfinite(model(torch.rand(1, 1, 4, 4) + 1, torch.rand(1, 3, 32, 32))).all()
    with pytest.raises(WeightsError, match="scale 8, this model has scale 4"):
        load_weights(create_model("dada", 4, "paper"), output)


def test_bare_state_dictionary_and_half_precision(hollow, tmp_path):
    torch.save({name: value.half() for name, value in hollow.items()}, tmp_path / "bare.pth")
    card = import_dada(tmp_path / "bare.pth", tmp_path / "half.safetensors", 4, "diml", half=True)
    assert card.steps == 0 and (tmp_path / "half.safetensors").stat().st_size < 70e6


def test_settings_beside_the_checkpoint_are_believed_and_held_to(checkpoint, tmp_path):
    settings = checkpoint.parent / "args.csv"
    with settings.open("w", newline="") as file:
        csv.writer(file).writerows([["key", "value"], ["dataset", "Middlebury"], ["scaling", "16"]])
    try:
        card = import_dada(checkpoint, tmp_path / "a.safetensors", half=True)
        assert (card.scale, card.variant, card.options) == (16, "middlebury", {"depth_unit": 1.1227})
        with pytest.raises(WeightsError, match="trained with scale 16, not 8"):
            import_dada(checkpoint, tmp_path / "b.safetensors", scale=8)
        with pytest.raises(WeightsError, match="trained with dataset middlebury, not diml"):
            import_dada(checkpoint, tmp_path / "b.safetensors", dataset="diml")
    finally:
        settings.unlink()
    assert not (tmp_path / "b.safetensors").exists()


def test_scale_and_dataset_are_needed_where_nothing_tells(checkpoint, tmp_path):
    with pytest.raises(WeightsError, match=r"does not say its scale.*--scale"):
        import_dada(checkpoint, tmp_path / "a.safetensors", dataset="diml")
    with pytest.raises(WeightsError, match=r"does not say its dataset.*--dataset"):
        import_dada(checkpoint, tmp_path / "a.safetensors", scale=8)
    with pytest.raises(WeightsError, match="scales 1 to 32, got 64"):
        import_dada(checkpoint, tmp_path / "a.safetensors", 64, "diml")


def refused(file: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        import_dada(file, tmp_path / "out.safetensors", 8, "diml")
    assert not (tmp_path / "out.safetensors").exists()


def test_missing_and_truncated_files_are_refused(checkpoint, tmp_path):
    refused(tmp_path / "nothing.pth", tmp_path, "no checkpoint at")
    whole = checkpoint.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        refused(tmp_path / "cut.pth", tmp_path, rf"cut.pth \({length} bytes\) is truncated, damaged or no torch")
    (tmp_path / "page.pth").write_text("<html>quota exceeded</html>")
    refused(tmp_path / "page.pth", tmp_path, "truncated, damaged or no torch checkpoint")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme.txt", "the checkpoint is inside the other archive")
    refused(tmp_path / "other.pth", tmp_path, "truncated, damaged or no torch checkpoint")


class Payload:
    ran = False

    def __reduce__(self):
        return (_run_payload, ())


def _run_payload() -> str:
    Payload.ran = True
    return "done"


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path, zipped):
    file = tmp_path / "evil.pth"
    torch.save({"model": {"logk": torch.tensor(0.0)}, "x": Payload()}, file, _use_new_zipfile_serialization=zipped)
    refused(file, tmp_path, "holds pickled code .*_run_payload.* refused")
    assert not Payload.ran


def test_other_networks_are_refused(hollow, tmp_path):
    def save(content) -> Path:
        torch.save(content, tmp_path / "other.pth")
        return tmp_path / "other.pth"

    prefix = "feature_extractor.1."
    classifier = {k.removeprefix(prefix + "encoder."): v for k, v in hollow.items() if "encoder." in k}
    refused(save(classifier), tmp_path, "another network's checkpoint, or incomplete: of the 3.. tensors")
    refused(save({"logk": hollow["logk"]}), tmp_path, "are missing .feature_extractor.1.decoder")
    refused(save({"model": {**hollow, "extra.weight": torch.zeros(2)}}), tmp_path, "1 are unknown .extra.weight")
    narrow = {**hollow, prefix + "segmentation_head.0.weight": torch.zeros(32, 16, 3, 3)}
    refused(save({"model": narrow}), tmp_path, r"segmentation_head.0.weight has shape \(32, 16, 3, 3\), expected \(64")
    refused(save({"model": {**hollow, "logk": torch.tensor(float("nan"))}}), tmp_path, "logk holds NaN or Inf")
    refused(save({"epoch": 3, "model": 5}), tmp_path, "no checkpoint of DADA: expected tensors by name")
    refused(save([torch.zeros(3)]), tmp_path, "holds a list, a dictionary of tensors was expected")


def test_command_line_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    command = ["import-weights", "--format", "dada", str(tmp_path / "cut.pth"), "-o", str(tmp_path / "o.safetensors")]
    assert cli.main([*command, "--scale", "8", "--dataset", "diml"]) == 2
    assert "truncated, damaged or no torch checkpoint" in capsys.readouterr().err
