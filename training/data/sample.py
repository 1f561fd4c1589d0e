"""What a training sample is, and what every reader of a data set offers."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

DATA_ROOT = "DEPTH_SR_DATA"
"""The environment variable that names the folder of all data sets."""

Unit = Literal["disparity", "m", "arbitrary"]


@dataclass(frozen=True)
class DepthUnit:
    """What the numbers of a depth map mean.

    Attributes:
        name: as in `RGBDSample.unit`.
        full_scale: the map's full scale in that unit: 255 for 8-bit disparities, else its greatest value.
    """

    name: Unit
    full_scale: float

    @classmethod
    def of(cls, name: Unit, high: float) -> DepthUnit:
        """Of a map whose greatest value is `high`."""
        # 8-bit disparities are rounded to whole grey levels, whatever the scene's greatest value
        return cls(name, 255.0 if name == "disparity" and high <= 255 else abs(high) or 1.0)

    @property
    def level(self) -> float:
        """One grey level of an 8-bit image that holds the whole map."""
        return self.full_scale / 255


@dataclass
class RGBDSample:
    """One depth map with the colour image registered to it.

    Attributes:
        depth: (H, W) float32, NaN where invalid, in `unit`.
        guide: (H, W, 3) uint8 RGB in the depth map's own pixels, or None.
        name: unique inside its source, e.g. "Aloe/view1".
        unit: "disparity" (the image's stored values, larger is nearer), "m" (metres along Z) or "arbitrary".
        disparity_scale: stored value per pixel of disparity at this resolution; 1 for other units.
        measured: (H, W) float32, NaN invalid: a real sensor's reading of the same view and unit, which then takes the
            place of `depth` where low-resolution input is made; None where there is none.
    """

    depth: np.ndarray
    guide: np.ndarray | None
    name: str
    unit: Unit
    disparity_scale: float = 1.0
    measured: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.depth.ndim != 2 or self.depth.dtype != np.float32:
            raise ValueError(f"{self.name}: depth must be (H, W) float32, got {self.depth.shape} {self.depth.dtype}")
        if self.guide is not None and (self.guide.dtype != np.uint8 or self.guide.shape != (*self.depth.shape, 3)):
            raise ValueError(
                f"{self.name}: the guide must be uint8 {(*self.depth.shape, 3)} to match its depth map, "
                f"got {self.guide.dtype} {self.guide.shape}"
            )


class MapStatistics(NamedTuple):
    """Of a whole map's valid values, in its unit: what a patch cannot know of the frame that it was cut from."""

    low: float
    high: float
    mean: float
    spread: float  # standard deviation

    @classmethod
    def of(cls, depth: np.ndarray) -> MapStatistics:
        """Those of (H, W) depth, NaN invalid, at least one pixel valid."""
        valid = depth[np.isfinite(depth)].astype(np.float64)
        return cls(float(valid.min()), float(valid.max()), float(valid.mean()), float(valid.std()))

    def changed(self, factor: float, shift: float) -> MapStatistics:
        """Those of factor * depth + shift."""
        ends = factor * self.low + shift, factor * self.high + shift
        return MapStatistics(min(ends), max(ends), factor * self.mean + shift, abs(factor) * self.spread)


@dataclass(frozen=True)
class Missing:
    """A file or folder that a layout calls for and that is not there."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class Source(ABC):
    """A data set on disk (or made on the fly) as a sequence of `RGBDSample`.

    A reader lists its files when built and decodes one sample per `source[i]`; it never raises for a file that is
    absent from an otherwise present data set: `missing()` names it, and the sample is left out.
    """

    layout: str = ""
    """The registry's name for this layout."""

    looked_for: str = ""
    """What a reader looks for under its root, in words; "" for generated data."""

    root: Path | None = None
    """The folder or file it reads; None for generated data."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the samples, in order."""

    @abstractmethod
    def __getitem__(self, index: int) -> RGBDSample:
        """Decode sample `index`; IndexError past the end."""

    def missing(self) -> list[Missing]:
        """What the layout calls for under `root` and does not find there."""
        return []

    def scene_of(self, index: int) -> str:
        """`<data set>/<scene>` of sample `index`: equal for every copy, view and size of one real scene.

        Splits go by it, so that no scene is both trained on and validated on.
        """
        return f"{self.layout}/{self.names[index]}"

    @property
    def has_guide(self) -> bool:
        """Whether its samples come with colour."""
        return True

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[RGBDSample]:
        for index in range(len(self)):
            yield self[index]


def data_root() -> Path:
    """The folder of all data sets: $DEPTH_SR_DATA, or ./data where that is not set.

    Raises:
        FileNotFoundError: the variable is not set and there is no folder ./data.
    """
    if given := os.environ.get(DATA_ROOT):
        return Path(given).expanduser()
    if not Path("data").is_dir():
        raise FileNotFoundError(
            f"no data folder: ${DATA_ROOT} is not set and there is no folder {Path('data').absolute()}. "
            f"Set {DATA_ROOT} to the folder that holds the data sets"
        )
    return Path("data")


def existing_root(root: str | os.PathLike, looked_for: str, layout: str) -> Path:
    """`root` with ~ and $VARIABLES expanded, $DEPTH_SR_DATA by `data_root`.

    Raises:
        FileNotFoundError: when it does not exist; the message says what was looked for and in which absolute place.
    """
    text = os.fspath(root)
    for variable in (f"${DATA_ROOT}", f"${{{DATA_ROOT}}}"):
        if variable in text:
            text = text.replace(variable, str(data_root()))
    path = Path(os.path.expandvars(text)).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"{layout}: no data at {str(root)!r} (resolved to {path.absolute()}). Looked for {looked_for}. "
            "Give the place by the source's `root`; `python -m training.data check ROOT` says what is found where."
        )
    return path
