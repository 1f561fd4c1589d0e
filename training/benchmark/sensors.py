"""Sensor reality: real depth cameras' frames and Middlebury scenes, made small in six ways, scored against bicubic.

The truth is the camera's own frame at full size, on its valid pixels. Its noise is part of that truth, so no method can
come below a floor; two more numbers say how far that matters: the floor itself, estimated as the mean distance between
the frame and its denoised version (`planes.denoise`), and every method's error against that denoised version. The low
resolution is always made from the raw frame, with the kernels and the rule for holes of `depth_sr_ros.lr_kernels`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from depth_sr_ros.depth import expand_mask, to_metres
from depth_sr_ros.evaluation import metrics
from depth_sr_ros.lr_kernels import downsample
from depth_sr_ros.resize import block_mean
from depth_sr_ros.synthetic import sensor

from ..data.files import visible
from ..data.splits import VALIDATION_SCENES
from .datasets import DatasetError, read_image
from .planes import denoise, deviation, planar_regions
from .protocols import crop_to_multiple
from .rows import BenchmarkRow, RowSpec
from .runner import build_all


@dataclass(frozen=True)
class Degradation:
    """One way in which a frame becomes small.

    Attributes:
        name: what a table says.
        kernel: one of `LR_KERNELS`.
        noise: standard deviation of the Gaussian noise on the LR depth in metres, offset + growth z^2, as (offset,
            growth); none when both are 0.
        levels: the same on disparities, constant, in 8-bit levels.
    """

    name: str
    kernel: str
    noise: tuple[float, float] = (0.0, 0.0)
    levels: float = 0.0


DEGRADATIONS = (
    Degradation("bicubic", "bicubic"),
    Degradation("block_mean", "block_mean"),
    Degradation("nearest", "nearest"),
    Degradation("inter_cubic", "inter_cubic"),
    Degradation("block_mean, low noise", "block_mean", (0.001, 0.0007), 1.0),
    Degradation("block_mean, high noise", "block_mean", (0.002, 0.0028), 3.0),
)
LEAST_CELLS = 16
"""LR pixels on a plane from which a standard deviation is still worth having."""
NOISE_TEXT = (
    "Noise is Gaussian with standard deviation 1 mm + 0.7 mm z^2 (low, half the growth of Kinect v1's) and "
    "2 mm + 2.8 mm z^2 (high, twice that growth), z in metres; on disparities 1 and 3 of 255 levels."
)


@dataclass(frozen=True)
class SensorFrame:
    """A frame of one group.

    Attributes:
        group: the folder it comes from.
        name: its file.
        depth: (H, W) float64, NaN invalid: metres, or 8-bit disparity levels.
        guide: (H, W, 3) uint8 RGB registered to it, or None.
        metric: `depth` is in metres.
    """

    group: str
    name: str
    depth: np.ndarray
    guide: np.ndarray | None
    metric: bool


@dataclass(frozen=True)
class SensorResult:
    """One method on one frame.

    Attributes:
        mae: mean absolute error against the frame, in mm or disparity levels, where frame and LR pixel are valid.
        bicubic_mae: bicubic's on the same input.
        weights: stem of the method's weights file; None without.
        denoised_mae, denoised_bicubic_mae: the same against the denoised frame; None for disparities (their truth has
            no sensor's noise).
        floor: mean distance between frame and denoised frame over the same pixels; None for disparities.
        plane_std: root mean square over the frame's planes of the output's deviation from its best plane; None
            without added noise, or where no plane is large enough.
        plane_std_input: the same of the LR pixels.
    """

    group: str
    frame: str
    unit: str
    scale: int
    degradation: str
    method: str
    mae: float
    bicubic_mae: float
    weights: str | None = None
    denoised_mae: float | None = None
    denoised_bicubic_mae: float | None = None
    floor: float | None = None
    plane_std: float | None = None
    plane_std_input: float | None = None

    def as_json(self) -> dict:
        """A plain dictionary."""
        return asdict(self)


def find_groups(root: Path) -> dict[str, list[Callable[[], SensorFrame]]]:
    """The folders under `root` that hold frames, by name; each frame is read when called.

    Three layouts: ``frame-*.depth.png`` (7-Scenes: colour not registered, so left out), ``depth/*.png`` with as many
    files in ``color/`` or ``rgb/``, and Middlebury 2006 scene folders, of which the held-out ones are taken, both
    views.

    Raises:
        DatasetError: no folder, or no frame in it.
    """
    if not root.is_dir():
        raise DatasetError(f"no folder {root}: give the folder that holds the recordings with --root")
    groups = {}
    for folder in visible(path for path in root.iterdir() if path.is_dir()):
        frames = [*_seven_scenes(folder), *_pairs(folder), *_disparities(folder)]
        if frames:
            groups[folder.name] = frames
    if not groups:
        raise DatasetError(
            f"no frames under {root}: expected folders with frame-*.depth.png, with depth/ and color/ (or rgb/), "
            "or Middlebury 2006 scenes"
        )
    return groups


def _seven_scenes(folder: Path) -> Iterator[Callable[[], SensorFrame]]:
    for path in visible(folder.glob("frame-*.depth.png")):
        yield partial(_seven_scenes_frame, folder.name, path)


def _seven_scenes_frame(group: str, path: Path) -> SensorFrame:
    return SensorFrame(group, path.name, _metres(path), None, True)


def _pairs(folder: Path) -> Iterator[Callable[[], SensorFrame]]:
    depths = visible((folder / "depth").glob("*.png"))
    colours = next((found for name in ("color", "rgb") if (found := visible((folder / name).glob("*.*")))), [])
    if depths and colours and len(colours) != len(depths):
        raise DatasetError(f"{folder} has {len(depths)} depth and {len(colours)} colour images: they must agree")
    for index, path in enumerate(depths):

        def load(path: Path = path, index: int = index) -> SensorFrame:
            guide = read_image(colours[index], colour=True) if colours else None
            return SensorFrame(folder.name, path.name, _metres(path), guide, True)

        yield load


def _disparities(folder: Path) -> Iterator[Callable[[], SensorFrame]]:
    for scene in sorted(scene.removeprefix("middlebury2006/") for scene in VALIDATION_SCENES):
        for view in (1, 5):
            path = folder / scene / f"disp{view}.png"
            if path.is_file():

                def load(path: Path = path, scene: str = scene, view: int = view) -> SensorFrame:
                    disparity = read_image(path, colour=False).astype(np.float64)
                    disparity[disparity == 0] = np.nan
                    guide = read_image(path.with_name(f"view{view}.png"), colour=True)
                    return SensorFrame(folder.name, f"{scene} view {view}", disparity, guide, False)

                yield load


def _metres(path: Path) -> np.ndarray:
    return to_metres(read_image(path, colour=False)).astype(np.float64)


def evenly_spaced(frames: list, most: int) -> list:
    """At most so many of the frames, evenly spaced over the whole list."""
    if len(frames) <= most:
        return frames
    return [frames[round(index * (len(frames) - 1) / max(most - 1, 1))] for index in range(most)]


def degrade(frame: SensorFrame, scale: int, degradation: Degradation) -> np.ndarray:
    """The LR map (h, w) float32 of a frame whose size `scale` divides; the noise depends on frame and scale only."""
    depth_lr = downsample(frame.depth, scale, degradation.kernel).astype(np.float32)
    offset, growth = degradation.noise if frame.metric else (degradation.levels, 0.0)
    if not offset and not growth:
        return depth_lr
    rng = np.random.default_rng(zlib.crc32(f"{frame.group}/{frame.name} x{scale}".encode()))
    return sensor.add_range_noise(depth_lr, rng, offset, growth)


def evaluate(
    groups: dict[str, list[Callable[[], SensorFrame]]],
    entries: list[RowSpec],
    scales: list[int],
    on_step: Callable[[str], None] = lambda text: None,
) -> tuple[list[SensorResult], list[str]]:
    """Every method on every frame, scale and degradation; bicubic is measured whether named or not.

    Returns:
        The results, and a line for each method that could not run (no weights, no colour).
    """
    # bicubic is the yardstick: first, and never made consistent
    entries = [RowSpec("bicubic"), *(entry for entry in entries if entry.spec != "bicubic")]
    methods, problems = build_all(entries, scales)
    results = []
    for frames in groups.values():
        for load in frames:
            whole = load()
            clean = 1 / denoise(1 / whole.depth) if whole.metric else None
            planes = planar_regions(1 / whole.depth if whole.metric else whole.depth)
            for scale in scales:
                frame, *maps = _cropped(whole, scale, clean, *planes)
                for degradation in DEGRADATIONS:
                    case = _Case(frame, scale, degradation, maps[0], maps[1:])
                    for method in (methods[entry, scale] for entry in entries if (entry, scale) in methods):
                        if method.guided and frame.guide is None:
                            problems.append(f"{method.label} left out in {frame.group}: no registered colour")
                            continue
                        results.append(case.run(method))
                        on_step(f"{frame.group} x{scale} {method.label}")
    return results, list(dict.fromkeys(problems))


def _cropped(frame: SensorFrame, scale: int, *maps: np.ndarray | None) -> list:
    guide = None if frame.guide is None else np.ascontiguousarray(crop_to_multiple(frame.guide, scale))
    depth = crop_to_multiple(frame.depth, scale)
    cropped = SensorFrame(frame.group, frame.name, depth, guide, frame.metric)
    return [cropped, *(None if image is None else crop_to_multiple(image, scale) for image in maps)]


class _Case:
    """One frame at one scale under one degradation: what is scored, and bicubic's score."""

    def __init__(
        self,
        frame: SensorFrame,
        scale: int,
        degradation: Degradation,
        clean: np.ndarray | None,
        planes: list[np.ndarray],
    ):
        self.frame, self.scale, self.degradation, self.clean = frame, scale, degradation, clean
        self.depth_lr = degrade(frame, scale, degradation)
        seen = expand_mask(np.isfinite(self.depth_lr), scale)
        self.truth = np.where(seen, frame.depth, np.nan)
        self.factor = 1000.0 if frame.metric else 1.0
        self.cells: list[np.ndarray] = []
        if degradation.levels:
            valid = np.isfinite(self.depth_lr)
            inside = [valid & (block_mean(plane.astype(np.float64), scale) == 1) for plane in planes]
            # bicubic reaches two LR pixels far: nearer to the border, it is edges that are measured and not noise
            inner = [cv2.erode(np.pad(cells, 1).astype(np.uint8), np.ones((5, 5)))[1:-1, 1:-1] > 0 for cells in inside]
            self.cells = [cells for cells in inner if cells.sum() >= LEAST_CELLS]
        self.bicubic: tuple[float, float | None] | None = None

    def run(self, method: BenchmarkRow) -> SensorResult:
        output = method.upsample(self.depth_lr, self.frame.guide, sigma=None)  # a camera's noise is not known
        output = output.astype(np.float64)
        mae = self.factor * metrics.mad(output, self.truth)
        clean = floor = None
        if self.clean is not None:
            target = np.where(np.isfinite(self.truth), self.clean, np.nan)
            clean, floor = (self.factor * metrics.mad(image, target) for image in (output, self.truth))
        if self.bicubic is None:  # bicubic runs first
            self.bicubic = mae, clean
        return SensorResult(
            group=self.frame.group,
            frame=self.frame.name,
            unit="mm" if self.frame.metric else "levels",
            scale=self.scale,
            degradation=self.degradation.name,
            method=method.label,
            mae=mae,
            bicubic_mae=self.bicubic[0],
            weights=method.weights,
            denoised_mae=clean,
            denoised_bicubic_mae=self.bicubic[1],
            floor=floor,
            plane_std=self._plane_std(output, [expand_mask(cells, self.scale) for cells in self.cells]),
            plane_std_input=self._plane_std(self.depth_lr.astype(np.float64), self.cells),
        )

    def _plane_std(self, depth: np.ndarray, regions: list[np.ndarray]) -> float | None:
        if not regions:
            return None
        variances = [deviation(depth, region, self.frame.metric) ** 2 for region in regions]
        return self.factor * float(np.sqrt(np.mean(variances)))
