"""Run methods on scenes: degrade, super-resolve, time, score."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

import numpy as np

from depth_sr_ros import DepthUpsampler
from depth_sr_ros.depth import expand_mask, fill_holes
from depth_sr_ros.lr_kernels import downsample

from .datasets import Scene
from .protocols import PROTOCOL, crop_to_multiple
from .rows import BenchmarkRow, RowSpec, build_row
from .scores import score


@dataclass
class RowResult:
    """One method on one scene at one scale.

    Attributes:
        lr_kernel: the ``--lr-kernel`` that was asked for; `kernel` is what it meant for this scene.
        noise: standard deviation of the Gaussian noise on the LR map, in the data set's unit.
        scoring: which pixels count and what is rounded, see `Protocol.scoring`.
        weights: stem of the weights file; None without.
        seconds: wall time of the upsampling, without loading and scoring.
        time_ratio: `seconds` as a multiple of this package's bicubic on the same input in the same run.
    """

    dataset: str
    scene: str
    scale: int
    method: str
    guided: bool
    protocol: str
    lr_kernel: str
    kernel: str
    noise: float
    unit: str
    scoring: str
    scores: dict[str, float]
    parameters: int | None
    seconds: float
    time_ratio: float
    weights: str | None = None
    note: str = ""

    def as_json(self) -> dict:
        """A plain dictionary; infinite scores (PSNR of a perfect result) become None."""
        record = asdict(self)
        record["scores"] = {k: (v if math.isfinite(v) else None) for k, v in self.scores.items()}
        return record


@dataclass
class CaseOutputs:
    """The images of one scene, scale, kernel and noise level, for the picture; all in the scene's unit."""

    scene: Scene
    scale: int
    lr_kernel: str
    noise: float
    truth: np.ndarray
    depth_lr: np.ndarray
    results: dict[str, np.ndarray] = field(default_factory=dict)


def evaluate(
    dataset: str,
    scenes: Iterable[Scene],
    entries: list[RowSpec],
    scales: list[int],
    lr_kernels: list[str],
    noises: list[float],
    on_step: Callable[[str], None] = lambda text: None,
    on_outputs: Callable[[CaseOutputs], None] | None = None,
) -> tuple[list[RowResult], list[str]]:
    """Score every method on every scene, scale, LR kernel and noise level.

    Args:
        on_step: called with a line of text after each method run.
        on_outputs: gets the images of each scene, scale, kernel and noise level.

    Returns:
        The results, and a line for each method that could not run at a scale (no weights, scale not offered).
    """
    methods, problems = build_all(entries, scales)
    results = []
    for scene in scenes:
        for scale in scales:
            for lr_kernel in lr_kernels:
                for noise in noises:
                    case = _degrade(scene, scale, lr_kernel, noise)
                    baseline = _bicubic_seconds(case)
                    for entry in entries:
                        method = methods.get((entry, scale))
                        text = f"{scene.name} x{scale} {entry.spec}"
                        if method is None:
                            on_step(text)
                            continue
                        if method.guided and scene.guide is None:
                            problems.append(f"{method.label} left out where there is no colour image")
                            on_step(text)
                            continue
                        results.append(_run(dataset, case, method, baseline))
                        on_step(text)
                    if on_outputs:
                        on_outputs(case)
    return results, list(dict.fromkeys(problems))


def build_all(entries: list[RowSpec], scales: list[int]) -> tuple[dict[tuple[RowSpec, int], BenchmarkRow], list[str]]:
    """Each entry at each scale, and a line for each that cannot run (no weights, scale not offered)."""
    methods, problems = {}, []
    for entry in entries:
        for scale in scales:
            try:
                methods[entry, scale] = build_row(entry.spec, scale, entry.options)
            except ValueError as error:
                problems.append(f"{entry.spec} x{scale} left out: {error}")
    return methods, problems


def _degrade(scene: Scene, scale: int, lr_kernel: str, noise: float) -> CaseOutputs:
    truth = crop_to_multiple(scene.depth, scale)
    reading = truth if scene.measured is None else fill_holes(crop_to_multiple(scene.measured, scale))
    depth_lr = downsample(reading, scale, kernel_of(scene, lr_kernel), level=scene.level)
    # nobody can be asked for depth where the sensor saw none: the same mask as training's (`make_tensors`)
    truth = np.where(expand_mask(np.isfinite(depth_lr), scale), truth, np.nan)
    if noise:
        seed = zlib.crc32(f"{scene.name} x{scale}".encode())  # the same noise for every method and kernel
        depth_lr = depth_lr + np.random.default_rng(seed).normal(0, noise, depth_lr.shape)
    return CaseOutputs(scene, scale, lr_kernel, noise, truth, depth_lr)


def kernel_of(scene: Scene, lr_kernel: str) -> str:
    """The kernel that ``--lr-kernel`` means for a scene."""
    return scene.protocol.kernel if lr_kernel == PROTOCOL else lr_kernel


def _run(dataset: str, case: CaseOutputs, method: BenchmarkRow, baseline: float) -> RowResult:
    scene, scale = case.scene, case.scale
    guide = None if scene.guide is None else np.ascontiguousarray(crop_to_multiple(scene.guide, scale))
    # DepthUpsampler takes values <= 0 for invalid, which noise or a disparity of 0 must not become
    lift = max(0.0, 1.0 - float(np.nanmin(case.depth_lr)))
    depth_lr = (case.depth_lr + lift).astype(np.float32)
    _warm_up(method, depth_lr, guide, scale)
    start = time.perf_counter()
    output = method.upsample(depth_lr, guide, case.noise) - np.float32(lift)
    seconds = time.perf_counter() - start
    if method.label == "bicubic" and case.lr_kernel == PROTOCOL and scene.protocol.kernel != "block_mean":
        output = scene.protocol.bicubic(case.depth_lr, scale)  # the papers' row, rounded as they round
    case.results[method.label] = scene.protocol.finish(output)
    kernel = kernel_of(scene, case.lr_kernel)
    return RowResult(
        dataset=dataset,
        scene=scene.name,
        scale=scale,
        method=method.label,
        guided=method.guided,
        protocol=scene.protocol.name,
        lr_kernel=case.lr_kernel,
        kernel=kernel,
        noise=case.noise,
        unit=scene.protocol.unit,
        scoring=scene.protocol.scoring,
        scores=score(output, case.truth, case.depth_lr, scene.protocol, kernel, level=scene.level),
        parameters=method.parameters,
        seconds=seconds,
        time_ratio=seconds / baseline,
        weights=method.weights,
        note=method.note,
    )


def _warm_up(method: BenchmarkRow, depth_lr: np.ndarray, guide: np.ndarray | None, scale: int) -> None:
    """One run on a corner, so that the first timed run does not pay for lazy initialisation."""
    corner = depth_lr[:16, :16]
    if np.isfinite(corner).any():
        edge = slice(0, corner.shape[0] * scale), slice(0, corner.shape[1] * scale)
        method.upsample(corner, None if guide is None else np.ascontiguousarray(guide[edge]))


def _bicubic_seconds(case: CaseOutputs) -> float:
    """Time of this package's bicubic on the same input, the better of two: the yardstick that machines share."""
    upsampler = DepthUpsampler("bicubic", case.scale)
    depth_lr = np.nan_to_num(case.depth_lr, nan=1.0).astype(np.float32)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        upsampler.upsample(depth_lr)
        times.append(time.perf_counter() - start)
    return min(times)
