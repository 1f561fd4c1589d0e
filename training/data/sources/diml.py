"""DIML/CVL RGB-D: Kinect v2 indoors (filled depth), a ZED stereo camera outdoors (depth with confidence)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from depth_sr_ros.depth import to_metres

from ..files import read_grey, visible
from ..sample import Unit
from .scene_files import FileSource, SceneFiles


class DIML(FileSource):
    """16-bit millimetres, 0 invalid; resolutions HR (756 x 1344 indoors) and LR (288 x 512).

    Indoors: <root>/<split>/<resolution>/<place>/color/NAME_c.png and depth_filled/NAME_depth_filled.png.
    Outdoors: <root>/<split>/<resolution>/{outleft,depthmap,confidencemap}/NAME.png.
    """

    layout = "diml"
    looked_for = "train/HR/<place>/color/*_c.png with depth_filled/*_depth_filled.png, or train/HR/outleft + depthmap"

    def __init__(
        self,
        root: str | os.PathLike,
        split: Literal["train", "test"] = "train",
        resolution: Literal["HR", "LR"] = "HR",
        min_confidence: float = 0.5,
    ) -> None:
        """Index one split under `root`.

        Args:
            root: folder that holds train/ and test/ (or their parents indoor/, outdoor/).
            split: "train" or "test".
            resolution: "HR" or "LR".
            min_confidence: outdoors, pixels whose confidence (0-1) is lower are invalid.

        Raises:
            FileNotFoundError: no `root`, or no pair in it.
            ValueError: unknown split or resolution.
        """
        if split not in ("train", "test") or resolution not in ("HR", "LR"):
            raise ValueError(f"diml: split is train or test, resolution HR or LR; got {split!r}, {resolution!r}")
        self.split, self.resolution, self.min_confidence = split, resolution, min_confidence
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for parent in (root, root / "indoor", root / "outdoor"):
            folder = parent / self.split / self.resolution
            entries += [*self._indoor(folder), *self._outdoor(folder)]
        if not entries:
            self._lacks(root / self.split / self.resolution, "this split at this resolution")
        return entries

    def _indoor(self, folder: Path) -> list[SceneFiles]:
        entries = []
        for depth in visible(folder.glob("*/depth_filled/*_depth_filled.png")):
            name, place = depth.stem.removesuffix("_depth_filled"), depth.parent.parent
            guide = place / "color" / f"{name}_c.png"
            if not guide.is_file():
                self._lacks(guide, "colour of this frame")
            entries.append(self._entry(f"{place.name}/{name}", depth, guide))
        return entries

    def _outdoor(self, folder: Path) -> list[SceneFiles]:
        entries = []
        for depth in visible(folder.glob("depthmap/*.png")):
            guide = folder / "outleft" / depth.name
            if not guide.is_file():
                self._lacks(guide, "colour of this frame")
            if not (folder / "confidencemap" / depth.name).is_file():
                self._lacks(folder / "confidencemap" / depth.name, "confidence of this frame")
                continue
            entries.append(self._entry(f"outdoor/{depth.stem}", depth, guide))
        return entries

    def _entry(self, name: str, depth: Path, guide: Path) -> SceneFiles:
        return SceneFiles(name, f"diml/{self.split}/{name}", depth, guide if guide.is_file() else None)

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        depth = to_metres(read_grey(entry.depth).astype(np.uint16))
        if entry.depth.parent.name == "depthmap":
            confidence = read_grey(entry.depth.parent.parent / "confidencemap" / entry.depth.name)
            depth[confidence < self.min_confidence * np.iinfo(confidence.dtype).max] = np.nan
        return depth, "m", 1.0
