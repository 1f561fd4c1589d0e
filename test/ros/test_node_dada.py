"""Learned guidance live: dada by a weights file, budgets in the diagnostics, and files that must be refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from frame_makers import scene
from ros_harness import depth_array

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.models import create_model
from depth_sr_ros.zoo.card import ModelCard
from depth_sr_ros.zoo.weight_files import save_weights

pytestmark = pytest.mark.ros

DEPTH, RGB = scene(32, 24)


def card(method: str = "dada", scale: int = 4) -> ModelCard:
    return ModelCard(method=method, scale=scale, size="lite", data="none", lr_kernel="none", steps=0, date="2026-11-21")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Fresh weights of dada lite x4: what is tested here is that they run, and run live as they do offline."""
    torch.manual_seed(0)
    return save_weights(create_model("dada", 4, "lite"), tmp_path_factory.mktemp("w") / "dada.safetensors", card())


@pytest.fixture(scope="module")
def dada(start_node, weights):
    process, peer = start_node(
        "dada",
        *("-p", "mode:=guided", "-p", "method_single:=bicubic"),
        *("-p", "method_guided:=dada", "-p", f"weights_guided:={weights}"),
    )
    process.wait_for_log("with RGB: dada x4", timeout=60)
    peer.wait_connected()
    peer.wait_served(DEPTH, rgb=RGB)
    return process, peer


def test_dada_runs_live_as_it_does_offline(dada, weights):
    _, peer = dada
    expected = DepthUpsampler("dada", 4, device="cpu", weights=weights).upsample(DEPTH, RGB)
    for _ in range(3):
        result = depth_array(peer.exchange(DEPTH, rgb=RGB))
    np.testing.assert_allclose(result, expected, rtol=5e-3)
    level, text, values = peer.next_status()
    assert level == b"\x00", text
    assert values["method"] == values["method_guided"] == "dada"
    assert 0 <= float(values["solver_iterations_p50"]) < 200
    assert float(values["solver_residual_max"]) <= 1e-3
    assert float(values["solver_warm_percent"]) > 50
    assert float(values["solver_budget_ended_percent"]) == float(values["solver_unconverged_percent"]) == 0


def test_budgets_change_live_and_show(dada):
    _, peer = dada
    try:
        check_budgets(peer)
    finally:
        peer.set_parameters(max_iterations=0, time_budget_ms=0.0)


def check_budgets(peer) -> None:
    for values, iterations in (({"max_iterations": 2}, 2), ({"max_iterations": 0, "time_budget_ms": 0.001}, 0)):
        (result,) = [*peer.set_parameters(**values)][:1]
        assert result.successful, result.reason
        peer.spin(5.2)  # what went before leaves the window
        for _ in range(2):
            peer.exchange(DEPTH + 0.3 * np.float32(values["max_iterations"]), rgb=RGB)
        _, _, rows = peer.next_status()
        assert float(rows["solver_iterations_p50"]) == iterations, rows
        assert (
            float(rows["solver_unconverged_percent"]) == float(rows["solver_budget_ended_percent"]) == 100
            and float(rows["solver_residual_max"]) > 1e-3
        )
    for bad in ({"max_iterations": -1}, {"time_budget_ms": -5.0}):
        (refused,) = peer.set_parameters(**bad)
        assert not refused.successful


def damaged(weights: Path, folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no weights of dada lite x4, and what the node must say to each."""
    whole, text = weights.read_bytes(), card().model_dump_json()
    cases = {
        "truncated": (whole[: len(whole) // 2], text, "damaged or no safetensors"),
        "empty": (b"", text, "damaged or no safetensors"),
        "code": (pickle.dumps({"state": print}), text, "damaged or no safetensors"),
    }
    files = {}
    for name, (data, card_text, words) in cases.items():
        path = folder / f"{name}.safetensors"
        path.write_bytes(data)
        path.with_suffix(".json").write_text(card_text)
        files[name] = (path, words)
    torch.save({"model": create_model("dada", 4, "lite").state_dict()}, folder / "published.pth")
    files["checkpoint"] = (folder / "published.pth", "import-weights")
    other_scale = save_weights(create_model("dada", 8, "lite"), folder / "x8.safetensors", card(scale=8))
    files["another scale"] = (other_scale, "made for scale 8, scale 4 was asked for")
    single = save_weights(create_model("dsrnet", 4, "lite"), folder / "dsrnet.safetensors", card("dsrnet"))
    files["another method"] = (single, "made for method dsrnet, method dada was asked for")
    files["missing"] = (folder / "nowhere.safetensors", "no weights at nowhere.safetensors")
    return files


def test_weights_that_do_not_fit_are_refused_and_the_old_ones_run_on(dada, weights, tmp_path):
    process, peer = dada
    before = depth_array(peer.exchange(DEPTH, rgb=RGB))
    for name, (path, words) in damaged(weights, tmp_path).items():
        (result,) = peer.set_parameters(weights_guided=str(path))
        assert not result.successful and words in result.reason, (name, result.reason)
        assert path.name in result.reason
    assert process.alive()
    np.testing.assert_allclose(depth_array(peer.exchange(DEPTH, rgb=RGB)), before, rtol=5e-3)


def test_a_node_started_with_bad_weights_says_so_and_lives(start_node, weights, tmp_path):
    path, words = damaged(weights, tmp_path)["truncated"]
    process, peer = start_node("badweights", "-p", "method_guided:=dada", "-p", f"weights_guided:={path}")
    level, text, _ = peer.next_status(timeout=60)
    assert level == b"\x02" and "cannot configure" in text and words in text
    assert process.alive() and peer.state() == "unconfigured"
