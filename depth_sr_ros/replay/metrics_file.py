"""metrics.json: the contract's names first, then whatever else is known about the replay."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from depth_sr_ros.atomic import write_file

CONTRACT = ("frames_in", "frames_out", "method", "scale", "latency_ms_p50", "mae_m", "mae_bicubic_m")
"""Names that are always present; null where they cannot be known (no ground truth, no output)."""


def latency_metrics(latencies_s: list[float]) -> dict[str, float | None]:
    """Median, 95th percentile and maximum in milliseconds; None without a frame."""
    if not latencies_s:
        return dict.fromkeys(("latency_ms_p50", "latency_ms_p95", "latency_ms_max"))
    p50, p95, top = 1000 * np.percentile(latencies_s, [50, 95, 100])
    return {"latency_ms_p50": float(p50), "latency_ms_p95": float(p95), "latency_ms_max": float(top)}


def ordered(metrics: dict) -> dict:
    """The same metrics, contract names first, NaN and infinity as None (JSON has neither)."""
    names = [*CONTRACT, *(n for n in metrics if n not in CONTRACT)]
    return {n: _plain(metrics.get(n)) for n in names}


def write_metrics(metrics: dict, path: str | Path) -> Path:
    """Write `ordered(metrics)` as JSON, digits after the sixth significant one dropped; returns `path`."""
    path = Path(path)
    write_file(path, json.dumps(ordered(metrics), indent=2) + "\n")
    return path


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
