"""What the file-based readers share: a list of depth maps, each with its colour image, found when built."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_sr_ros.files import read_guide

from ..files import read_disparity
from ..sample import Missing, RGBDSample, Source, Unit, existing_root


@dataclass(frozen=True)
class SceneFiles:
    """One sample on disk: its name, its scene (see `Source.scene_of`), depth file and colour file."""

    name: str
    scene: str
    depth: Path
    guide: Path | None = None


class FileSource(Source):
    """A source whose samples are pairs of files. A layout implements `_scan` and, where needed, `_read_depth`."""

    looked_for: str = "depth maps"
    """What a folder of this layout holds, for error messages."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = existing_root(root, self.looked_for, self.layout)
        self._missing: list[Missing] = []
        self._entries = sorted(self._scan(self.root), key=lambda entry: natural(entry.name))
        if not self._entries:
            raise FileNotFoundError(
                f"{self.layout}: nothing usable under {self.root.absolute()}. Looked for {self.looked_for}."
                + "".join(f"\n  missing {item}" for item in self._missing[:10])
            )

    @abstractmethod
    def _scan(self, root: Path) -> list[SceneFiles]:
        """All complete samples under `root`; what is absent goes to `self._missing`."""

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        """Depth (H, W) float32 with NaN, unit, disparity scale."""
        return read_disparity(entry.depth), "disparity", 1.0

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self._entries]

    def __getitem__(self, index: int) -> RGBDSample:
        entry = self._entries[index]
        depth, unit, disparity_scale = self._read_depth(entry)
        guide = None if entry.guide is None else read_guide(entry.guide)
        return RGBDSample(depth, guide, entry.name, unit, disparity_scale)

    def scene_of(self, index: int) -> str:
        return self._entries[index].scene

    def missing(self) -> list[Missing]:
        return list(self._missing)

    def files(self) -> list[Path]:
        """Depth and colour files of all samples."""
        return [path for entry in self._entries for path in (entry.depth, entry.guide) if path is not None]

    @property
    def has_guide(self) -> bool:
        return any(entry.guide is not None for entry in self._entries)

    def _lacks(self, path: Path, what: str) -> None:
        self._missing.append(Missing(path, what))


def natural(name: str) -> list:
    """Sort key that puts Df_2 before Df_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def first_existing(folder: Path, *names: str) -> Path | None:
    """The first of `names` that is a file in `folder`."""
    return next((folder / name for name in names if (folder / name).is_file()), None)
