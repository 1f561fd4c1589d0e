"""The catalogue and docs/model_zoo.md agree with what ships."""

from __future__ import annotations

from pathlib import Path

from depth_sr_ros.zoo.catalogue import catalogue, parameter_count
from depth_sr_ros.zoo.choice import WEIGHTS_DIR, load_model
from depth_sr_ros.zoo.page import page

PAGE = Path(__file__).parents[2] / "docs" / "model_zoo.md"


def test_the_catalogue_names_every_weights_file():
    named = [weights["file"] for row in catalogue() for weights in row["weights"]]
    assert sorted(named) == sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def test_parameters_are_those_of_the_loaded_network():
    model, card, _ = load_model("dsrnet", 8, weights="clean")
    assert card.options  # other widths than the default network's
    counted = parameter_count(card.method, card.scale, card.size, **card.options)
    assert counted == sum(p.numel() for p in model.parameters()) != parameter_count("dsrnet", 8, "lite")


def test_the_page_is_up_to_date_and_has_a_row_for_each_file():
    """Write it anew with `depth-sr models --markdown > docs/model_zoo.md`."""
    text = page()
    assert PAGE.read_text() == text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip("| `") for row in rows) == sorted(p.stem for p in WEIGHTS_DIR.glob("*.safetensors"))
