import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from depth_sr_ros import models
from depth_sr_ros.models import ResidualNetwork
from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import ModelCard, WeightsError, read_card
from depth_sr_ros.zoo.choice import bundled_cards, choose_weights, default_method, load_model, weights_path
from depth_sr_ros.zoo.weight_files import load_weights, save_weights


class Tiny(ResidualNetwork):
    name = "tiny"

    def __init__(self, scale: int, size: str = "lite", width: int = 4):
        super().__init__(scale, size)
        self.head = torch.nn.Conv2d(1, width, 3, padding=1)
        self.tail = torch.nn.Conv2d(width, scale * scale, 3, padding=1)

    def detail(self, depth, guide):
        return torch.nn.functional.pixel_shuffle(self.tail(self.head(depth)), self.scale)


def card(**changes) -> ModelCard:
    values = dict(method="tiny", scale=2, size="lite", data="none", lr_kernel="block", steps=0, date="2026-11-21")
    return ModelCard(**(values | changes))


@pytest.fixture(autouse=True)
def registry(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "_REGISTRY", {**models._REGISTRY, "tiny": Tiny})
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    return tmp_path


@pytest.mark.parametrize("half", [False, True])
def test_round_trip(registry, half):
    model = Tiny(2)
    save_weights(model, weights_path("tiny", 2, "lite"), card(), half=half)
    loaded, loaded_card, _ = load_model("tiny", 2)
    x = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(loaded(x), model(x), atol=2e-3 if half else 0, rtol=0)
    assert loaded_card == card() and not loaded.training
    assert bundled_cards() == [card()]


def test_variants_and_files_and_options(registry, tmp_path):
    save_weights(Tiny(2, width=6), weights_path("tiny", 2, "lite", "robust"), card(options={"width": 6}))
    assert load_model("tiny", 2, weights="robust")[0].head.out_channels == 6
    assert load_model("tiny", 2, weights=tmp_path / "tiny_lite_x2_robust.safetensors")[0].head.out_channels == 6


@pytest.mark.parametrize(
    "ships, auto, clean",
    [
        (["", "robust"], "robust", ""),
        (["", "bicubic", "no_prior"], "", "bicubic"),
        ([""], "", ""),
        (["robust"], "robust", "robust"),
        (["bicubic"], "bicubic", "bicubic"),
        (["own"], "own", "own"),
    ],
)
def test_auto_serves_cameras_and_clean_matlab_bicubic(ships, auto, clean):
    for variant in ships:
        save_weights(Tiny(2), weights_path("tiny", 2, "lite", variant), card(variant=variant))
    assert load_model("tiny", 2).card.variant == load_model("tiny", 2, weights="auto").card.variant == auto
    assert load_model("tiny", 2, weights="clean").card.variant == clean
    assert load_model("tiny", 2, weights="clean").weights == weights_path("tiny", 2, "lite", clean).stem


def test_no_guess_between_several_variants():
    for variant in ("own", "other"):
        save_weights(Tiny(2), weights_path("tiny", 2, "lite", variant), card(variant=variant))
    with pytest.raises(WeightsError, match="other, own"):
        load_model("tiny", 2)


@pytest.mark.parametrize("weights", ["", " ", None])
def test_nothing_is_no_choice_of_weights(weights):
    save_weights(Tiny(2), weights_path("tiny", 2, "lite"), card())
    with pytest.raises((WeightsError, TypeError)):
        load_model("tiny", 2, weights=weights)


def test_shipped_weights_for_clean_images_and_for_cameras(monkeypatch):
    """Of every network, scale and size that ships: what the cards say of the kernel agrees with the choice."""
    monkeypatch.undo()
    shipped = {(card.method, card.scale, card.size) for card in bundled_cards()}
    assert {method for method, _, _ in shipped} == {"dsrnet", "csan", "bridgenet", "dada"}
    for method, scale, size in shipped:
        chosen = {weights: read_card(choose_weights(method, scale, size, weights)) for weights in ("auto", "clean")}
        kernels = {weights: card.lr_kernel for weights, card in chosen.items()}
        assert kernels["clean"].startswith("MATLAB bicubic") and "block mean" not in kernels["clean"]
        assert ("block mean" in kernels["auto"]) == (method in ("dsrnet", "dada"))


def test_method_without_parameters_needs_no_weights():
    assert load_model("bicubic", 3)[1] is None


def test_weights_are_never_ignored(tmp_path):
    path = save_weights(Tiny(2), tmp_path / "a.safetensors", card())
    with pytest.raises(WeightsError, match=r"a\.safetensors.*bicubic.*no parameters"):
        load_model("bicubic", 2, weights=path)
    assert load_model("bicubic", 2, weights="clean")[1:] == (None, None)


def test_default_method_is_the_trained_one_where_it_has_weights(tmp_path):
    assert default_method(False, 4)[0] == "bicubic" and default_method(True, 4)[0] == "dada_rgb"
    (tmp_path / "dsrnet_lite_x4.safetensors").touch()
    (tmp_path / "dada_paper_x4.safetensors").touch()
    assert default_method(False, 4)[0] == "dsrnet"
    assert default_method(False, 4, "paper")[0] == "bicubic"
    assert default_method(True, 4)[0] == "dada_rgb"
    assert default_method(True, 4, "paper")[0] == "dada"
    assert default_method(False, 8, weights="robust")[0] == "dsrnet"
    (tmp_path / "dsrnet_lite_x16_robust.safetensors").touch()
    assert default_method(False, 16)[0] == "dsrnet"
    assert default_method(True, 8, weights="own.safetensors")[0] == "dada"


def test_a_file_brings_its_size(tmp_path):
    class Sized(Tiny):
        sizes = ("paper", "lite")

    models._REGISTRY["tiny"] = Sized
    path = save_weights(Sized(2, "paper"), tmp_path / "p.safetensors", card(size="paper"))
    assert load_model("tiny", 2, weights=path)[0].size == "paper"
    with pytest.raises(WeightsError, match="made for size paper"):
        load_model("tiny", 2, "lite", path)


def test_missing_weights_are_named():
    with pytest.raises(WeightsError, match=r"tiny_lite_x2\.safetensors.*Bundled: none.*training fit"):
        load_model("tiny", 2)


def test_wrong_weights_are_refused_and_change_nothing(tmp_path):
    path = save_weights(Tiny(2), tmp_path / "a.safetensors", card())
    other = Tiny(4)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(WeightsError, match="made for scale 2, this model has scale 4"):
        load_weights(other, path)
    with pytest.raises(WeightsError, match="other shapes"):
        load_weights(Tiny(2, width=5), path)
    save_file({"head.weight": Tiny(2).head.weight.detach()}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match="missing"):
        load_weights(Tiny(2), tmp_path / "part.safetensors")
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = save_weights(Tiny(2), tmp_path / "a.safetensors", card())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(Tiny(2), path)
    (tmp_path / "code.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="damaged or no safetensors"):
        load_weights(Tiny(2), tmp_path / "code.safetensors")
    torch.save(Tiny(2).state_dict(), tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match="training export"):
        load_weights(Tiny(2), tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match="no weights at"):
        load_weights(Tiny(2), tmp_path / "nothing.safetensors")


def test_the_card_is_held_to_what_is_asked(tmp_path):
    """A fully convolutional network fits any scale by its shapes; a file saved without metadata says nothing either."""
    path = save_weights(Tiny(2), tmp_path / "a.safetensors", card())
    save_file({k: v.detach() for k, v in Tiny(2).state_dict().items()}, path)
    assert load_model("tiny", 2, weights=path)[1] == card()
    for changes, words in (
        ({"scale": 4}, "made for scale 4, scale 2 was asked for"),
        ({"method": "dada", "options": {"prior": None}}, "made for method dada, method tiny"),
        ({"options": {"breadth": 3}}, "options that tiny does not know"),
    ):
        path.with_suffix(".json").write_text(card(**changes).model_dump_json())
        with pytest.raises(WeightsError, match=words):
            load_model("tiny", 2, weights=path)
    path.with_suffix(".json").write_text(card(method="dada", options={"prior": "best"}).model_dump_json())
    with pytest.raises(WeightsError, match=r"a\.safetensors has options that dada refuses: unsupported prior"):
        load_model("dada", 2, weights=path)


def test_a_checkpoint_in_place_of_weights_is_told_the_way(tmp_path):
    torch.save(Tiny(2).state_dict(), tmp_path / "best.pth")
    with pytest.raises(WeightsError, match=r"best\.pth is not a \.safetensors file.*training export.*import-weights"):
        load_model("tiny", 2, weights=tmp_path / "best.pth")


def test_diverged_weights_are_refused(tmp_path):
    model = Tiny(2)
    model.head.weight.data[0] = torch.nan
    path = save_weights(model, tmp_path / "nan.safetensors", card())
    with pytest.raises(WeightsError, match="diverged"):
        load_weights(Tiny(2), path)


def test_cards_are_checked(tmp_path):
    with pytest.raises(WeightsError, match="the card is for"):
        save_weights(Tiny(2), tmp_path / "a.safetensors", card(scale=4))
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        save_weights(Tiny(2), tmp_path / "a.pt", card())
    path = save_weights(Tiny(2), tmp_path / "a.safetensors", card())
    path.with_suffix(".json").write_text('{"method": 3}')
    with pytest.raises(WeightsError, match="not a model card"):
        read_card(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="is missing"):
        load_model("tiny", 2, weights=path)


def test_a_file_names_its_method():
    path = Path(choice.__file__).parents[1] / "weights" / "csan_lite_x4.safetensors"
    assert default_method(False, 4, weights=path)[0] == "csan"
    with pytest.raises(WeightsError, match="csan"):
        default_method(True, 4, weights=path)
