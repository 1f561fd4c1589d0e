"""Middlebury stereo 2005 and 2006: <root>/<Scene>/{view1,view5,disp1,disp5}.png at full, half or third size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from ..files import read_disparity
from ..sample import Unit
from .scene_files import FileSource, SceneFiles, first_existing

SCENES_2005 = ("Art", "Books", "Dolls", "Laundry", "Moebius", "Reindeer")
SCENES_2006 = (
    "Aloe",
    "Baby1",
    "Baby2",
    "Baby3",
    "Bowling1",
    "Bowling2",
    "Cloth1",
    "Cloth2",
    "Cloth3",
    "Cloth4",
    "Flowerpots",
    "Lampshade1",
    "Lampshade2",
    "Midd1",
    "Midd2",
    "Monopoly",
    "Plastic",
    "Rocks1",
    "Rocks2",
    "Wood1",
    "Wood2",
)
FOCAL_PIXELS = 3740.0  # full size, as the data set's page gives it
BASELINE_METRES = 0.160
FULL_HEIGHT = 1110  # rows at full size, before anyone's cropping
Size = Literal["auto", "full", "half", "third"]
DIVISOR: dict[Size, int] = {"full": 1, "half": 2, "third": 3}
DISPARITY_NAMES = {1: ("disp1.png", "depth.png"), 5: ("disp5.png",)}  # depth.png, color.png: filled copies
COLOUR_NAMES = {
    1: ("view1.png", "view1.jpg", "Illum2/Exp1/view1.png", "color.png"),
    5: ("view5.png", "view5.jpg", "Illum2/Exp1/view5.png"),
}


class _Middlebury0506(FileSource):
    """Shared by both years.

    Disparities are 8-bit, 0 invalid, and stored in full-size pixels whatever the size of the image: at third size
    a stored 90 is a shift of 30 pixels (`disparity_scale` = 3). Depth in metres needs the scene's dmin.txt, the
    number of full-size pixels by which the views were shifted against each other: Z = 3740 * 0.16 / (d + dmin).
    """

    scenes: tuple[str, ...] = ()
    looked_for = "folders named after its scenes, each with disp1.png and view1.png (disp5.png and view5.png)"

    def __init__(
        self,
        root: str | os.PathLike,
        size: Size = "auto",
        views: tuple[int, ...] = (1, 5),
        unit: Literal["disparity", "m"] = "disparity",
        scenes: list[str] | None = None,
    ) -> None:
        """Index the scenes under `root`.

        Args:
            root: folder of scene folders.
            size: which download it is; sets `disparity_scale`. "auto" goes by the image's height.
            views: which of the two views with ground truth (1, 5).
            unit: "disparity" keeps the stored values; "m" converts them and needs every scene's dmin.txt.
            scenes: only these; None for all.

        Raises:
            FileNotFoundError: no `root`, or no complete scene in it.
            ValueError: unknown size, view or scene name.
        """
        if size != "auto" and size not in DIVISOR:
            raise ValueError(f"{self.layout}: size must be auto or one of {', '.join(DIVISOR)}, got {size!r}")
        if not views or not set(views) <= {1, 5}:
            raise ValueError(f"{self.layout}: only views 1 and 5 have ground truth, got views={views}")
        unknown = set(scenes or ()) - set(self.scenes)
        if unknown:
            raise ValueError(f"{self.layout} has no scene {sorted(unknown)}; it has {', '.join(self.scenes)}")
        if unit not in ("disparity", "m"):
            raise ValueError(f"{self.layout}: unit must be 'disparity' or 'm', got {unit!r}")
        self.size, self.views, self.unit = size, tuple(views), unit
        self._wanted = tuple(scenes or self.scenes)
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for scene in self._wanted:
            folder = root / scene
            if not folder.is_dir():
                self._lacks(folder, "the scene's folder")
                continue
            for view in self.views:
                depth = first_existing(folder, *DISPARITY_NAMES[view])
                guide = first_existing(folder, *COLOUR_NAMES[view])
                if depth is None:
                    self._lacks(folder / f"disp{view}.png", "disparity of this view")
                    continue
                if guide is None:
                    self._lacks(folder / f"view{view}.png", "colour of this view")
                if self.unit == "m" and not (folder / "dmin.txt").is_file():
                    self._lacks(folder / "dmin.txt", "disparity offset, needed for metres")
                    continue
                entries.append(SceneFiles(f"{scene}/view{view}", f"{self.layout}/{scene}", depth, guide))
        return entries

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        disparity = read_disparity(entry.depth)
        if self.unit == "disparity":
            divisor = DIVISOR.get(self.size) or max(1, round(FULL_HEIGHT / disparity.shape[0]))
            return disparity, "disparity", float(divisor)
        dmin = float((entry.depth.parent / "dmin.txt").read_text())
        metres = FOCAL_PIXELS * BASELINE_METRES / (disparity + dmin)
        return metres.astype(np.float32), "m", 1.0


class Middlebury2005(_Middlebury0506):
    """The six standard test scenes: for `test_sources` only, refused everywhere else."""

    layout = "middlebury2005"
    scenes = SCENES_2005


class Middlebury2006(_Middlebury0506):
    """The 21 scenes that the papers train on."""

    layout = "middlebury2006"
    scenes = SCENES_2006
