"""Your own data: a folder of depth images, with colour images of the same name beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from depth_sr_ros.files import DEPTH_SUFFIXES, read_depth

from ..files import read_disparity, visible
from ..sample import Unit
from .middlebury_2006 import SCENES_2005
from .scene_files import FileSource, SceneFiles, natural

COLOUR_FOLDERS = ("color", "colour", "rgb", "image", "images", "img")
COLOUR_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp")


class PairFolder(FileSource):
    """Pairs by equal file name: <root>/depth/NAME.png with <root>/color/NAME.png (or colour/, rgb/, image/,
    images/, img/; .jpg too).

    Depth with unit "m": 16-bit images hold millimetres (0 and 65535 invalid), .npy and .pfm float metres (NaN,
    infinite and <= 0 invalid). With unit "disparity": 8- or 16-bit images or .pfm, 0 and infinite invalid. Colour
    must already be registered to the depth map and have its size; pairs without colour serve depth-only training.
    Names that differ (stamps of two cameras) are paired by their order with pair="order".
    """

    layout = "folder"
    looked_for = (
        "depth/*.png (16-bit millimetres; also .npy, .pfm, .tif) and color/, rgb/ or image/ with equal file names"
    )

    def __init__(
        self,
        root: str | os.PathLike,
        unit: Literal["m", "disparity"] = "m",
        max_depth: float = float("inf"),
        pair: Literal["name", "order"] = "name",
    ) -> None:
        """Index the pairs under `root`.

        Args:
            root: folder with depth/ and one of `COLOUR_FOLDERS`.
            unit: what the depth images hold.
            max_depth: readings beyond this many metres are invalid (unit "m").
            pair: "name" by equal file names; "order": first with first in sorted order, equally many of both.

        Raises:
            FileNotFoundError: no `root`, or no depth image in <root>/depth.
            ValueError: unknown unit or pairing; with pair="order" as many colour as depth images are not there; with
                pair="name" no colour image has a depth image's name.
        """
        if unit not in ("m", "disparity"):
            raise ValueError(f"folder: unit must be 'm' or 'disparity', got {unit!r}")
        if pair not in ("name", "order"):
            raise ValueError(f"folder: pair must be 'name' or 'order', got {pair!r}")
        self.unit, self.max_depth, self.pair = unit, max_depth, pair
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        inside = visible(root.iterdir()) if root.is_dir() else []
        folders = {path.name.lower(): path for path in inside if path.is_dir()}
        folder = folders.get("depth")
        if folder is None:
            self._lacks(root / "depth", "the folder of depth images")
            return []
        colour = next((folders[name] for name in COLOUR_FOLDERS if name in folders), None)
        if colour is None:
            what = f"the folder of colour images, or one of {', '.join(COLOUR_FOLDERS[1:])} (else depth-only training)"
            self._lacks(root / COLOUR_FOLDERS[0], what)
        depths = _files(folder, DEPTH_SUFFIXES)
        colours = _files(colour, COLOUR_SUFFIXES) if colour else []
        if self.pair == "order":
            if len(colours) != len(depths):
                raise ValueError(
                    f"{root}: pairing by order needs as many colour as depth images, "
                    f"got {len(colours)} and {len(depths)}"
                )
            return [SceneFiles(d.stem, self._scene(d), d, c) for d, c in zip(depths, colours)]
        by_name = {path.stem: path for path in colours}
        if depths and colours and not any(path.stem in by_name for path in depths):
            raise ValueError(
                f"{root}: no colour image has the name of a depth image ({depths[0].name}, {colours[0].name}): give "
                "them equal names, or pair='order' to pair the first with the first"
            )
        for path in depths:
            if colour is not None and path.stem not in by_name:
                self._lacks(colour / f"{path.stem}.png", f"colour image for depth/{path.name}")
        return [SceneFiles(path.stem, self._scene(path), path, by_name.get(path.stem)) for path in depths]

    def _scene(self, path: Path) -> str:
        # A benchmark scene copied into a folder of one's own is still a benchmark scene.
        if "middlebury" in str(path.absolute()).lower().replace("_", "") and path.stem in SCENES_2005:
            return f"middlebury2005/{path.stem}"
        return f"{path.absolute().parent.parent}/{path.stem}"

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        if self.unit == "disparity":
            return read_disparity(entry.depth), "disparity", 1.0
        return read_depth(entry.depth, self.max_depth), "m", 1.0


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = [path for path in visible(folder.iterdir()) if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(found, key=lambda path: natural(path.name))
