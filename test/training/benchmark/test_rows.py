import json

import numpy as np
import pytest

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.evaluation.metrics import mad
from depth_sr_ros.lr_kernels import downsample
from depth_sr_ros.models import create_model
from depth_sr_ros.resize import bicubic
from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.choice import weights_path
from depth_sr_ros.zoo.weight_files import save_weights
from training.benchmark import rows as methods
from training.benchmark import tune
from training.benchmark.datasets import Scene
from training.benchmark.protocols import DISPARITY
from training.benchmark.rows import (
    FILTERS,
    RowOptions,
    apply_filter,
    available_methods,
    build_row,
    self_ensemble,
    shipped_entries,
)


@pytest.fixture
def pair(scene_images):
    depth, colour = scene_images(size=(64, 80))
    return depth.astype(float), colour, downsample(depth.astype(float), 4, "bicubic").astype(np.float32)


@pytest.mark.parametrize("name", FILTERS)
def test_tuned_filters_beat_bicubic_where_colour_edges_are_depth_edges(name, pair):
    truth, guide, lr = pair
    method = build_row(name, 4)
    assert method.guided and method.parameters is None and method.note
    assert mad(method.upsample(lr, guide), truth) < mad(bicubic(lr, scale=4), truth)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_lr_holes_and_the_rest_finite(name, pair):
    _, guide, lr = pair
    lr = lr.copy()
    lr[2:4, 3] = np.nan
    result = build_row(name, 4).upsample(lr, guide)
    assert np.array_equal(np.isnan(result), np.isnan(np.kron(lr, np.ones((4, 4)))))


def test_registry_methods_run_and_say_what_they_are(pair):
    _, guide, lr = pair
    method = build_row("bicubic", 4)
    assert (method.label, method.guided, method.parameters) == ("bicubic", False, 0)
    np.testing.assert_allclose(method.upsample(lr, guide), bicubic(lr, scale=4), atol=1e-3)
    consistent = build_row("bicubic", 4, RowOptions(consistent="additive"))
    assert consistent.label == "bicubic (consistent)"
    block = consistent.upsample(lr, None).reshape(16, 4, 20, 4).mean((1, 3))
    np.testing.assert_allclose(block, lr, atol=1e-3)


def test_guided_methods_need_their_guide(pair):
    with pytest.raises(ValueError, match="guided_filter needs an RGB guide"):
        build_row("guided_filter", 4).upsample(pair[2], None)


def test_unknown_names_and_untuned_scales_say_what_there_is():
    with pytest.raises(ValueError, match=r"unknown method 'magic': choose from .*bicubic.*guided_filter"):
        build_row("magic", 4)
    with pytest.raises(ValueError, match="guided_filter was not tuned at scale 5"):
        build_row("guided_filter", 5)
    assert {"bicubic", "dada_rgb", *FILTERS} <= set(available_methods())


def test_self_ensemble_turns_input_and_guide_and_turns_the_result_back():
    depth = np.random.default_rng(0).uniform(1, 2, (5, 7)).astype(np.float32)
    guide = np.random.default_rng(1).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    seen = []

    def lopsided(d, g):
        seen.append(d.shape)
        up = np.kron(d, np.ones((2, 2))) + g[..., 0]
        up[0] += 8.0  # errs in its own first row only
        return up.astype(np.float32)

    result = self_ensemble(lopsided, depth, guide)
    extra = result - (np.kron(depth, np.ones((2, 2))) + guide[..., 0])
    assert seen.count((5, 7)) == seen.count((7, 5)) == 4
    # two of eight turned copies put their first row on each side of the image
    inner = np.zeros((10, 14))
    inner[[0, -1]] += 2.0
    inner[:, [0, -1]] += 2.0
    np.testing.assert_allclose(extra, inner, atol=1e-3)


def test_tune_finds_the_grids_best_setting_and_writes_it(scene_images, monkeypatch, tmp_path):
    depth, colour = scene_images(3)
    scene = Scene("toy", depth.astype(float), colour, DISPARITY)
    monkeypatch.setattr(tune, "tuning2006", lambda root: iter([scene]))
    monkeypatch.setattr(tune, "GRIDS", {"guided_filter": {"radius": [0.5, 2.0], "eps": [1e-4, 0.1]}})
    out = tmp_path / "tuned.json"
    assert tune.tune_command(tune_arguments(tmp_path, out)) == 0
    best = json.loads(out.read_text())["settings"]["guided_filter"]["2"]
    truth, guide = scene.depth[:70, :86], colour
    lr = downsample(truth, 2, "bicubic").astype(np.float32)
    errors = {
        (radius, eps): mad(apply_filter("guided_filter", lr, guide, 2, {"radius": radius, "eps": eps}), truth)
        for radius in (0.5, 2.0)
        for eps in (1e-4, 0.1)
    }
    assert (best["radius"], best["eps"]) == min(errors, key=errors.get)
    monkeypatch.setattr(methods, "TUNED_FILE", out)
    assert methods.tuned_settings("guided_filter", 2) == best


def tune_arguments(root, out):
    import argparse

    parser = argparse.ArgumentParser()
    tune.add_tune_arguments(parser)
    return parser.parse_args(["--root", str(root), "--scales", "2", "--out", str(out)])


def test_weights_of_a_run_go_to_the_methods_that_have_weights(tmp_path):
    options = RowOptions(weights=str(tmp_path / "none.safetensors"))
    assert build_row("bicubic", 4, options).parameters == 0
    with pytest.raises(ValueError, match=r"none\.safetensors"):
        build_row("dsrnet", 4, options)


def test_another_variant_never_stands_in_for_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "WEIGHTS_DIR", tmp_path)
    fields = {"method": "dsrnet", "scale": 2, "size": "lite", "variant": "robust", "data": "-", "lr_kernel": "-"}
    card = ModelCard(**fields, steps=0, date="2026-01-01")
    save_weights(create_model("dsrnet", 2), weights_path("dsrnet", 2, "lite", "robust"), card)
    assert build_row("dsrnet:robust", 2).label == "dsrnet (robust)"
    with pytest.raises(WeightsError, match="only dsrnet:robust"):
        build_row("dsrnet", 2)


def test_every_shipped_row_names_its_weights_file():
    """A row's label stands for one weights file at each scale, whatever DepthUpsampler's default is."""
    rows = {}
    for entry in shipped_entries():
        for scale in (2, 4, 8, 16):
            try:
                method = build_row(entry.spec, scale, entry.options)
            except WeightsError:
                continue
            rows[method.label, scale] = method.weights
    suffixes = {"dsrnet": "", "dsrnet (robust)": "_robust", "csan": "", "bridgenet": ""}
    suffixes |= {"dada": "", "dada (bicubic)": "_bicubic", "dada (no_prior)": "_no_prior"}
    without = {("bridgenet", 2), ("bridgenet", 8), ("bridgenet", 16), ("dada (no_prior)", 2)}
    expected = {
        (label, scale): f"{label.split()[0]}_lite_x{scale}{suffix}"
        for label, suffix in suffixes.items()
        for scale in (2, 4, 8, 16)
        if (label, scale) not in without
    }
    assert rows == expected | {(name, scale): None for name in ("bicubic", "dada_rgb") for scale in (2, 4, 8, 16)}


def test_clean_and_auto_are_labelled_by_what_they_took():
    assert build_row("dada:clean", 4).label == "dada (bicubic)"
    assert build_row("dsrnet:auto", 4).label == "dsrnet (robust)"
    assert build_row("dsrnet", 4, RowOptions(weights="auto")).weights == "dsrnet_lite_x4_robust"
    assert build_row("csan:clean", 4).label == "csan"


def test_a_constraint_is_for_the_methods_that_diffuse(pair):
    _, guide, lr = pair
    held = build_row("dada_rgb", 4, RowOptions(constraint="bicubic"))
    assert held.label == "dada_rgb (bicubic constraint)"
    expected = DepthUpsampler("dada_rgb", 4, lr_kernel="bicubic").upsample(lr, guide)
    np.testing.assert_array_equal(held.upsample(lr, guide), expected)
    assert np.abs(build_row("dada_rgb", 4).upsample(lr, guide) - expected).max() > 0.1
    free = build_row("bicubic", 4, RowOptions(constraint="bicubic"))
    assert (free.label, free.options.constraint) == ("bicubic", None)
    with pytest.raises(ValueError, match="lr_kernel 'bicubic'"):
        build_row("dada_rgb", 4, RowOptions(constraint="bicubic", consistent="additive"))
