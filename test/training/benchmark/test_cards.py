"""The scores in the cards of shipped weights, measured again on real data; all of them with --all-scores."""

from __future__ import annotations

import json
import shutil

import pytest

from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import read_card
from training.benchmark.cards import agree, card_scores, held_out
from training.benchmark.cli import main

QUICK = ("csan_lite_x4", "dada_lite_x4", "dsrnet_lite_x4", "dsrnet_lite_x4_robust")
SHIPPED = sorted(path.stem for path in choice.WEIGHTS_DIR.glob("*.safetensors"))


@pytest.fixture(scope="module")
def scenes(data_set):
    return held_out(data_set("middlebury2006_third").parent)


@pytest.mark.slow
@pytest.mark.parametrize("stem", SHIPPED)
def test_the_card_says_what_is_measured(stem, scenes, request):
    if stem not in QUICK and not request.config.getoption("--all-scores"):
        pytest.skip("two minutes for all of them: give --all-scores")
    weights = choice.WEIGHTS_DIR / f"{stem}.safetensors"
    noted, measured = read_card(weights).scores, card_scores(weights, scenes)
    assert agree(noted, measured), (noted, measured)


def test_cards_are_compared_and_written(tmp_path, monkeypatch, capsys, data_set):
    root = data_set("middlebury2006_third").parent
    for suffix in (".safetensors", ".json"):
        shutil.copy(choice.WEIGHTS_DIR / f"csan_lite_x2{suffix}", tmp_path)
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    card = tmp_path / "csan_lite_x2.json"
    right = json.loads(card.read_text())
    card.write_text(json.dumps(right | {"scores": {"validation": 0.5}}))
    command = ["cards", "--root", str(root)]
    assert main([*command, "--json"]) == 1
    assert agree(json.loads(capsys.readouterr().out)["csan_lite_x2"], right["scores"])
    assert main([*command, "--write"]) == 0
    written = json.loads(card.read_text())
    assert agree(written.pop("scores"), right.pop("scores")) and written == right
    assert main([*command, "--files", "nosuch"]) == 2


def test_one_in_the_last_decimal_is_the_same_score():
    assert agree({"a": 0.123}, {"a": 0.124}) and not agree({"a": 0.123}, {"a": 0.125})
    assert not agree({"a": 0.123, "b": 1.0}, {"a": 0.123})
