"""Middlebury stereo 2001 and 2003: PGM or PNG disparities stored times a fixed factor, im<n>.ppm beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from ..files import read_disparity
from ..sample import Unit
from .scene_files import FileSource, SceneFiles, first_existing

PLANAR_SCENES = ("barn1", "barn2", "bull", "poster", "sawtooth", "venus")
SCENES_2001 = (*PLANAR_SCENES, "map", "tsukuba")


class Middlebury2001(FileSource):
    """Six planar scenes (views 2 and 6), `map` (views 0 and 1) and `tsukuba` (one view, 18 invalid border pixels).

    Stored values are disparities times 8, tsukuba's times 16 (`disparity_scale`); 0 is invalid.
    """

    layout = "middlebury2001"
    looked_for = "folders sawtooth, venus, ... with disp2.pgm, im2.ppm (map: disp0, im0; tsukuba: truedisp.row3.col3)"

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for scene in SCENES_2001:
            folder = root / scene
            if not folder.is_dir():
                self._lacks(folder, "the scene's folder")
                continue
            if scene == "tsukuba":
                pairs = {"view3": ("truedisp.row3.col3", "scene1.row3.col3")}
            else:
                views = (0, 1) if scene == "map" else (2, 6)
                pairs = {f"view{view}": (f"disp{view}", f"im{view}") for view in views}
            for view, (disparity, image) in pairs.items():
                depth = first_existing(folder, f"{disparity}.pgm", f"{disparity}.png")
                guide = first_existing(folder, f"{image}.ppm", f"{image}.png", f"{image}.pgm")
                if depth is None:
                    self._lacks(folder / f"{disparity}.pgm", "disparity of this view")
                    continue
                if guide is None:
                    self._lacks(folder / f"{image}.ppm", "colour of this view")
                entries.append(SceneFiles(f"{scene}/{view}", f"middlebury2001/{scene}", depth, guide))
        return entries

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        return read_disparity(entry.depth), "disparity", 16.0 if "tsukuba" in entry.name else 8.0


Size2003 = Literal["quarter", "half", "full"]
SUFFIX_2003: dict[Size2003, tuple[str, ...]] = {"quarter": ("", "Q"), "half": ("H",), "full": ("F",)}
FACTOR_2003: dict[Size2003, float] = {"quarter": 4.0, "half": 2.0, "full": 1.0}


class Middlebury2003(FileSource):
    """cones and teddy, views 2 and 6, at quarter (450 x 375; folder cones), half (conesH) or full size (conesF).

    Stored values are full-size disparities: times 4 at quarter size, 2 at half size (`disparity_scale`); 0 is invalid.
    """

    layout = "middlebury2003"
    looked_for = "folders cones and teddy (conesH, conesF, ... for other sizes) with disp2.png, im2.png"

    def __init__(self, root: str | os.PathLike, size: Size2003 = "quarter") -> None:
        """Index both scenes under `root` at one size.

        Raises:
            FileNotFoundError: no `root`, or neither scene in it.
            ValueError: unknown size.
        """
        if size not in SUFFIX_2003:
            raise ValueError(f"middlebury2003: size must be one of {', '.join(SUFFIX_2003)}, got {size!r}")
        self.size = size
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for scene in ("cones", "teddy"):
            folders = [root / (scene + suffix) for suffix in SUFFIX_2003[self.size]]
            folder = next((folder for folder in folders if folder.is_dir()), None)
            if folder is None:
                self._lacks(folders[0], "the scene's folder")
                continue
            for view in (2, 6):
                depth = first_existing(folder, f"disp{view}.png", f"disp{view}.pgm")
                guide = first_existing(folder, f"im{view}.png", f"im{view}.ppm")
                if depth is None:
                    self._lacks(folder / f"disp{view}.png", "disparity of this view")
                    continue
                if guide is None:
                    self._lacks(folder / f"im{view}.png", "colour of this view")
                entries.append(SceneFiles(f"{scene}/view{view}", f"middlebury2003/{scene}", depth, guide))
        return entries

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        return read_disparity(entry.depth), "disparity", FACTOR_2003[self.size]
