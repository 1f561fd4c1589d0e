"""Middlebury stereo 2014 and 2021: <Scene>/{im0.png,im1.png,disp0.pfm,disp1.pfm,calib.txt}, infinity invalid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from ..files import read_disparity
from ..sample import Unit
from .scene_files import FileSource, SceneFiles, first_existing

SCENES_2014 = (
    *("Adirondack", "Backpack", "Bicycle1", "Cable", "Classroom1", "Couch", "Flowers", "Jadeplant", "Mask"),
    *("Motorcycle", "Piano", "Pipes", "Playroom", "Playtable", "Recycle", "Shelves", "Shopvac", "Sticks"),
    *("Storage", "Sword1", "Sword2", "Umbrella", "Vintage"),
)
SCENES_2021 = (
    *("artroom1", "artroom2", "bandsaw1", "bandsaw2", "chess1", "chess2", "chess3", "curule1", "curule2"),
    *("curule3", "ladder1", "ladder2", "octogons1", "octogons2", "pendulum1", "pendulum2", "podium1"),
    *("skates1", "skates2", "skiboots1", "skiboots2", "skiboots3", "traproom1", "traproom2"),
)


def read_calibration(path: Path) -> dict[str, float]:
    """Focal length (pixels), `doffs` (pixels) and baseline (metres) from a calib.txt.

    Raises:
        ValueError: a line that is needed is absent or broken.
    """
    lines = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    try:
        return {
            "focal": float(lines["cam0"].strip().strip("[]").split()[0]),
            "doffs": float(lines["doffs"]),
            "baseline": float(lines["baseline"]) / 1000,
        }
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: needs lines cam0=[f 0 cx; ...], doffs=, baseline= : {error!r}") from error


class _Middlebury1421(FileSource):
    """Shared by both years: floating-point disparities in pixels of the image; metres by calib.txt.

    Z = focal * baseline / (d + doffs).
    """

    scenes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ("",)
    looked_for = "folders named after its scenes, each with disp0.pfm, im0.png and calib.txt"

    def __init__(
        self,
        root: str | os.PathLike,
        unit: Literal["disparity", "m"] = "disparity",
        views: tuple[int, ...] = (0, 1),
        scenes: list[str] | None = None,
    ) -> None:
        """Index the scenes under `root`.

        Args:
            root: folder of scene folders.
            unit: "disparity" in pixels, or "m".
            views: which of the views 0 and 1.
            scenes: only these; None for all.

        Raises:
            FileNotFoundError: no `root`, or no complete scene in it.
            ValueError: unknown unit, view or scene name.
        """
        if unit not in ("disparity", "m"):
            raise ValueError(f"{self.layout}: unit must be 'disparity' or 'm', got {unit!r}")
        if not views or not set(views) <= {0, 1}:
            raise ValueError(f"{self.layout}: views are 0 and 1, got {views}")
        unknown = set(scenes or ()) - set(self.scenes)
        if unknown:
            raise ValueError(f"{self.layout} has no scene {sorted(unknown)}; it has {', '.join(self.scenes)}")
        self.unit, self.views, self._wanted = unit, tuple(views), tuple(scenes or self.scenes)
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for scene in self._wanted:
            folders = [root / (scene + suffix) for suffix in self.suffixes if (root / (scene + suffix)).is_dir()]
            if not folders:
                self._lacks(root / (scene + self.suffixes[0]), "the scene's folder")
                continue
            for view in self.views:
                depth = first_existing(folders[0], f"disp{view}.pfm", f"disp{view}GT.pfm")
                guide = first_existing(folders[0], f"im{view}.png")
                if depth is None:
                    self._lacks(folders[0] / f"disp{view}.pfm", "disparity of this view")
                    continue
                if guide is None:
                    self._lacks(folders[0] / f"im{view}.png", "colour of this view")
                if self.unit == "m" and not (folders[0] / "calib.txt").is_file():
                    self._lacks(folders[0] / "calib.txt", "calibration, needed for metres")
                    continue
                entries.append(SceneFiles(f"{scene}/view{view}", self._scene(scene), depth, guide))
        return entries

    def _scene(self, scene: str) -> str:
        return f"{self.layout}/{scene}"

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        disparity = read_disparity(entry.depth)
        if self.unit == "disparity":
            return disparity, "disparity", 1.0
        c = read_calibration(entry.depth.parent / "calib.txt")
        return (c["focal"] * c["baseline"] / (disparity + c["doffs"])).astype(np.float32), "m", 1.0


class Middlebury2014(_Middlebury1421):
    """23 scenes of 5-6 megapixels (folders <Scene>-perfect, else <Scene>-imperfect or <Scene>)."""

    layout = "middlebury2014"
    scenes = SCENES_2014
    suffixes = ("-perfect", "", "-imperfect")


class Middlebury2021(_Middlebury1421):
    """24 views of 11 scenes taken with a phone, 2 megapixels."""

    layout = "middlebury2021"
    scenes = SCENES_2021

    def _scene(self, scene: str) -> str:
        # chess1, chess2 and chess3 are one scene seen from three places.
        return f"{self.layout}/{scene.rstrip('0123456789')}"
