import numpy as np
import pytest
import torch

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.evaluation import bench
from depth_sr_ros.inference.precision import autocast_dtype, fastest_precision
from depth_sr_ros.models import create_model
from training.benchmark.tables import machine

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    "abilities, expected",
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"architecture": "aarch64", "bf16": True}, "float32"),
    ],
)
def test_a_cpu_takes_bfloat16_where_it_computes_in_it(monkeypatch, abilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert fastest_precision(CPU) == expected
    assert fastest_precision(CUDA) == "float16"
    assert fastest_precision(torch.device("xpu")) == "float32"
    assert f"networks in {expected}, diffusions in float32" in machine() or torch.cuda.is_available()
    assert bench._machine(CPU)["precision"] == expected
    network = create_model("dsrnet", 2)
    dtype = torch.bfloat16 if expected == "bfloat16" else None
    assert autocast_dtype("auto", network, CPU) == dtype
    assert DepthUpsampler("dsrnet", 2, device="cpu").autocast_dtype == dtype


def test_bench_times_networks_as_they_run(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    timed = []

    def spy(work, repeats):
        timed.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        return 0.0, work()

    monkeypatch.setattr(bench, "_timed", spy)
    scenes = bench._Scenes(None, None, CPU, quick=True)
    with torch.no_grad():
        rows = list(bench._method_rows(scenes, ["csan", "bicubic"], quick=True))
    assert [row["method"] for row in rows] == ["csan", "bicubic"]
    assert timed == [torch.bfloat16, torch.float32]


def test_a_torch_that_cannot_tell_takes_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fastest_precision(CPU) == "float32"


def test_only_networks_leave_float32():
    assert autocast_dtype("bfloat16", create_model("csan", 2), CPU) == torch.bfloat16
    assert autocast_dtype("float16", create_model("csan", 2), CPU) == torch.float16
    assert autocast_dtype("float32", create_model("csan", 2), CPU) is None
    for method in ("bicubic", "dada_rgb", "dada"):
        assert autocast_dtype("bfloat16", create_model(method, 4), CPU) is None


def test_bfloat16_changes_a_small_part_of_what_the_network_adds():
    """On a slanted plane with a step, by shipped weights: 8 bits of the depth itself would be steps of 8 to 16 mm."""
    row = torch.linspace(1.0, 3.0, 48).repeat(40, 1)
    row[10:30, 12:30] -= 0.6
    depth = row.numpy()
    exact, rough = (
        DepthUpsampler("dsrnet", 4, device="cpu", precision=precision).upsample(depth)
        for precision in ("float32", "bfloat16")
    )
    added = abs(exact - DepthUpsampler("bicubic", 4, device="cpu").upsample(depth)).mean()
    assert 0 < abs(rough - exact).mean() < 0.1 * added
    assert np.median(abs(rough - exact)) < 0.001
