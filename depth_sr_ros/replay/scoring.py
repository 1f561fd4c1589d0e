"""Scores of upsampled depth: error against ground truth beside bicubic's on the same pixels, and LR consistency."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from depth_sr_ros.evaluation.metrics import lr_consistency
from depth_sr_ros.inference.upsampler import DepthUpsampler
from depth_sr_ros.messages.errors import DecodeError
from depth_sr_ros.messages.images import colour_pixels, decode_depth
from depth_sr_ros.replay.reading import Bag, BagError
from depth_sr_ros.synthetic.sensor import EDGE_JUMP, edge_mask

STAMP_TOLERANCE_NS = 5_000_000
"""Images whose stamps differ by at most this belong together (5 ms, a sixth of a frame at 30 Hz)."""


@dataclass(frozen=True)
class ReplayedFrame:
    """One output frame: stamp (ns), depth (H, W) float32 metres with NaN, seconds from publishing to arrival."""

    stamp_ns: int
    depth: np.ndarray
    latency_s: float


@dataclass(frozen=True)
class Example:
    """One scored frame with all that a picture of it needs; `truth` and `rgb` may be None."""

    stamp_ns: int
    depth_lr: np.ndarray
    rgb: np.ndarray | None
    bicubic: np.ndarray
    result: np.ndarray
    truth: np.ndarray | None


class _Errors:
    """Sums over pixels: mean absolute and root mean square error."""

    def __init__(self) -> None:
        self.count, self.absolute, self.square = 0, 0.0, 0.0

    def add(self, error: np.ndarray) -> None:
        error = error.astype(np.float64)
        self.count += error.size
        self.absolute += float(np.abs(error).sum())
        self.square += float((error**2).sum())

    def mae(self) -> float | None:
        return self.absolute / self.count if self.count else None

    def rmse(self) -> float | None:
        return math.sqrt(self.square / self.count) if self.count else None


class Scorer:
    """Scores results one by one; `summary()` gives the totals.

    Args:
        bag: the recording that the results were made from.
        scale: upsampling factor.

    All errors are over the pixels that are valid in the ground truth, in the result and in bicubic's result, so
    that both methods answer for the same pixels; `coverage` tells how many of the ground truth's pixels those are.
    """

    def __init__(self, bag: Bag, scale: int):
        self._bicubic = DepthUpsampler("bicubic", scale=scale, device="cpu")
        self._inputs, self._truths, self._colours = (_Nearest(bag, role) for role in ("depth", "truth", "rgb"))
        self._all, self._edges = (_Errors(), _Errors()), (_Errors(), _Errors())
        self._consistency: list[float] = []
        self._valid: dict[str, list[float]] = {"input": [], "output": [], "coverage": []}
        self.unmatched = 0
        self.notes: list[str] = []

    def add(self, result: ReplayedFrame) -> Example | None:
        """Score one frame; None when the recording has no input with its stamp."""
        message = self._inputs.get(result.stamp_ns, 0)
        if message is None:
            self.unmatched += 1
            return None
        depth_lr = decode_depth(message).metres()
        bicubic = self._bicubic.upsample(depth_lr)
        if bicubic.shape != result.depth.shape:
            self._note(f"output is {_size(result.depth)}, input times scale {_size(bicubic)}: not scored")
            return None
        self._valid["input"].append(np.isfinite(depth_lr).mean())
        self._valid["output"].append(np.isfinite(result.depth).mean())
        consistency = lr_consistency(result.depth, depth_lr)
        if math.isfinite(consistency):
            self._consistency.append(consistency)
        truth = self._truth_of(result)
        if truth is not None:
            self._add_errors(result.depth, bicubic, truth)
        return Example(result.stamp_ns, depth_lr, self._rgb_of(result), bicubic, result.depth, truth)

    def summary(self) -> dict[str, float | None]:
        """The totals by name; lengths in metres, shares 0 to 1; None where nothing could be measured."""
        mae, bicubic = (e.mae() for e in self._all)
        edge, edge_bicubic = (e.mae() for e in self._edges)
        return {
            "mae_m": mae,
            "mae_bicubic_m": bicubic,
            "mae_ratio": mae / bicubic if mae is not None and bicubic else None,
            "rmse_m": self._all[0].rmse(),
            "rmse_bicubic_m": self._all[1].rmse(),
            "mae_edges_m": edge,
            "mae_edges_bicubic_m": edge_bicubic,
            "coverage": _mean(self._valid["coverage"]),
            "invalid_share_input": _complement(_mean(self._valid["input"])),
            "invalid_share_output": _complement(_mean(self._valid["output"])),
            "lr_consistency_m": _mean(self._consistency),
        }

    def _truth_of(self, result: ReplayedFrame) -> np.ndarray | None:
        try:
            message = self._truths.get(result.stamp_ns, STAMP_TOLERANCE_NS)
            truth = None if message is None else decode_depth(message).metres()
        except (BagError, DecodeError) as error:
            self._note(f"ground truth not compared: {error}")
            return None
        if truth is not None and truth.shape != result.depth.shape:
            self._note(f"ground truth is {_size(truth)}, output {_size(result.depth)}: not compared")
            return None
        return truth

    def _rgb_of(self, result: ReplayedFrame) -> np.ndarray | None:
        """RGB for the picture alone, which does without one that cannot be read."""
        try:
            message = self._colours.get(result.stamp_ns, STAMP_TOLERANCE_NS)
            return None if message is None else np.ascontiguousarray(colour_pixels(message))
        except (BagError, DecodeError):
            return None

    def _add_errors(self, result: np.ndarray, bicubic: np.ndarray, truth: np.ndarray) -> None:
        known = np.isfinite(truth)
        shared = known & np.isfinite(result) & np.isfinite(bicubic)
        self._valid["coverage"].append((known & np.isfinite(result)).sum() / max(known.sum(), 1))
        edge = cv2.dilate(edge_mask(truth, EDGE_JUMP).astype(np.uint8), np.ones((5, 5))) > 0
        for errors, mask in ((self._all, shared), (self._edges, shared & edge)):
            errors[0].add(result[mask] - truth[mask])
            errors[1].add(bicubic[mask] - truth[mask])

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class _Nearest:
    """Messages of one role by their stamp."""

    def __init__(self, bag: Bag, role: str):
        self._bag, self._role = bag, role
        self._stamps, self._times = np.array(bag.index(role), np.int64).reshape(-1, 2).T

    def get(self, stamp: int, tolerance: int) -> Any | None:
        if not len(self._stamps):
            return None
        index = int(np.argmin(np.abs(self._stamps - stamp)))
        if abs(int(self._stamps[index]) - stamp) > tolerance:
            return None
        return self._bag.message_at(self._role, int(self._times[index]))


def most_telling(examples: Iterator[Example]) -> Example | None:
    """The frame for the picture: the one with the most depth edges that were measured."""
    best, most = None, -1.0
    for example in examples:
        reference = example.result if example.truth is None else example.truth
        score = float((edge_mask(reference, EDGE_JUMP) & np.isfinite(example.result)).mean())
        if score > most:
            best, most = example, score
    return best


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _complement(share: float | None) -> float | None:
    return None if share is None else 1 - share


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
