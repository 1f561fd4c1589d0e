"""In which floating-point type a model runs on a device."""

from __future__ import annotations

from typing import Any

import torch

from ..choices import PRECISIONS
from ..models import DepthSRModel, ResidualNetwork


def check_precision(precision: str) -> None:
    """Raise ValueError for what is none of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, got {precision!r}")


def autocast_dtype(precision: str, model: DepthSRModel, device: torch.device) -> torch.dtype | None:
    """The type to autocast to, None for float32 throughout.

    Args:
        precision: one of `PRECISIONS`, as `check_precision` has seen to; "auto" takes `fastest_precision`.
        model: diffusion methods and bicubic always run in float32, dada's network included.
        device: where it runs.
    """
    if precision == "auto":
        precision = fastest_precision(device)
    if precision == "float32" or not isinstance(model, ResidualNetwork):
        return None
    return getattr(torch, precision)


def fastest_precision(device: torch.device) -> str:
    """The precision in which networks are fastest on a device and no less accurate.

    float16 on CUDA. bfloat16 on an x86 CPU with AVX512-BF16 or AMX: there `dsrnet`, `csan` and `bridgenet` take 0.56
    to 0.86 of float32's time, at an error within 1 % of its (docs/experiments/benchmarks-notes.md). Elsewhere float32:
    a CPU that has to emulate bfloat16 is slower in it, and other devices were not measured.
    """
    if device.type == "cuda":
        return "float16"
    if device.type != "cpu":
        return "float32"
    abilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch cannot tell
    return "bfloat16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") else "float32"
