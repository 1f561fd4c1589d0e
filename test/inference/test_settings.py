"""Settings: defaults, checks, the table of parameters, and the automatic choice of methods."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from depth_sr_ros.inference.settings import Settings, parameter_table
from depth_sr_ros.models import list_models
from depth_sr_ros.zoo.choice import bundled_cards

ROOT = Path(__file__).parents[2]
BAD = {
    "mode": ({"mode": "both"}, "mode must be one of auto, single, guided, got 'both'"),
    "size": ({"size": "huge"}, "size must be one of paper, lite"),
    "precision": ({"precision": "int8"}, "precision must be one of"),
    "tile": ({"tile": 5}, "at least 16"),
    "scale beyond the range": ({"scale": 33}, "scale must be between 1 and 32, got 33"),
    "negative slop": ({"sync_slop": -0.1}, "sync_slop must be between 0.0 and 1.0"),
    "unknown method": ({"method_single": "magic"}, "method_single must be one of auto, bicubic"),
    "guided method in the single slot": ({"method_single": "dada_rgb"}, "method_single must be one of"),
    "single method in the guided slot": ({"method_guided": "bicubic"}, "method_guided must be one of"),
    "scale the method has not": ({"method_single": "dsrnet", "scale": 3}, "has no scale 3"),
    "unknown kernel": ({"lr_kernel": "nearest"}, "lr_kernel must be one of auto, block_mean, bicubic, got 'nearest'"),
    "unknown adjustment": ({"consistent_adjustment": "both"}, "consistent_adjustment must be one of additive, mult"),
    "two constraints": ({"lr_kernel": "bicubic", "consistent": True}, "set consistent to false, or lr_kernel to auto"),
    "short extrinsics": ({"extrinsics": (1.0, 2.0)}, "7 numbers"),
    "zero quaternion": ({"extrinsics": (0.0,) * 7}, "quaternion"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_values_are_refused_with_a_reason(case):
    values, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        Settings(**values).check()


def test_defaults_are_good():
    Settings().check()
    Settings(extrinsics=(0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)).check()


def test_only_the_methods_that_the_mode_uses_are_checked():
    Settings(mode="single", method_guided="bicubic").check()
    Settings(mode="guided", method_single="dada_rgb").check()


@pytest.mark.parametrize(
    "values",
    [
        {"lr_kernel": "bicubic"},
        {"lr_kernel": "block_mean", "consistent": True},
        {"lr_kernel": "auto", "consistent": True, "consistent_adjustment": "multiplicative"},
        {"lr_kernel": "bicubic", "consistent": True, "mode": "single"},
        {"lr_kernel": "bicubic", "consistent": True, "method_guided": "bridgenet"},
    ],
)
def test_a_kernel_contradicts_consistent_only_where_something_uses_it(values):
    Settings(**values).check()


def test_only_methods_that_diffuse_get_the_kernel():
    settings = Settings(lr_kernel="bicubic")
    assert settings.lr_kernel_of("dada") == settings.lr_kernel_of("dada_rgb") == "bicubic"
    assert settings.lr_kernel_of("bridgenet") is None and Settings().lr_kernel_of("dada") is None
    assert "lr_kernel" not in settings.upsampler_options()


@pytest.mark.parametrize("adjustment", ["additive", "multiplicative"])
def test_consistent_names_its_adjustment(adjustment):
    assert not Settings(consistent_adjustment=adjustment).upsampler_options()["consistent"]
    settings = Settings(consistent=True, consistent_adjustment=adjustment)
    assert settings.upsampler_options()["consistent"] == adjustment


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8, 16, 32])
def test_auto_always_finds_a_method_that_can_run(scale):
    settings = Settings(scale=scale)
    for method, why in (settings.single_method(), settings.guided_method()):
        assert method in list_models() and "auto" in why
        dataclasses.replace(settings, **{"method_guided" if "dada" in method else "method_single": method}).check()
    ships = any((card.method, card.scale, card.size) == ("dsrnet", scale, "lite") for card in bundled_cards())
    expected = "dsrnet" if ships else "bicubic"
    assert settings.single_method()[0] == expected


def test_an_explicit_method_is_taken_as_it_is():
    assert Settings(method_single="bicubic").single_method()[0] == "bicubic"
    assert Settings(method_guided="dada_rgb").guided_method()[0] == "dada_rgb"


def test_every_parameter_is_described_and_the_shipped_yaml_holds_the_defaults():
    table = parameter_table()
    assert [spec.name for spec in table] == [field.name for field in dataclasses.fields(Settings)]
    assert all(len(spec.description) > 20 for spec in table)
    shipped = yaml.safe_load((ROOT / "config" / "depth_sr.yaml").read_text())["/**"]["ros__parameters"]
    shipped["extrinsics"] = tuple(shipped["extrinsics"])
    assert shipped == {spec.name: spec.default for spec in table}


def test_defaults_lie_within_ranges_and_choices():
    for spec in parameter_table():
        assert not spec.choices or spec.default in spec.choices, spec.name
        assert spec.minimum is None or spec.minimum <= spec.default <= spec.maximum, spec.name
    assert {spec.name for spec in parameter_table() if spec.read_only} == {"autostart"}


def test_the_pipeline_needs_no_ros():
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['rclpy', 'sensor_msgs', 'std_msgs', 'rcl_interfaces']))\n"
        "import depth_sr_ros.inference.pipeline, depth_sr_ros.inference.pairing\n"
        "import depth_sr_ros.messages.images, depth_sr_ros.messages.camera_info\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_weights_that_are_named_decide_the_automatic_method():
    own = Settings(scale=4, size="paper", weights_guided="own.safetensors")
    assert own.guided_method()[0] == "dada" and own.single_method()[0] == "bicubic"
    assert Settings(scale=4, weights_single="clean", weights_guided="clean").single_method()[0] == "dsrnet"
