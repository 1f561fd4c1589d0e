"""Your own data: a folder of depth images, with colour images of the same name beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from depth_sr_ros.depth import to_metres

from ..files import read_disparity, read_grey, read_pfm
from ..sample import Unit
from .middlebury_2006 import SCENES_2005
from .scene_files import Entry, FileSource, natural

DEPTH_SUFFIXES = (".png", ".pgm", ".tif", ".tiff", ".pfm", ".npy")
COLOUR_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp")


class PairFolder(FileSource):
    """Pairs by equal file name: <root>/depth/NAME.png with <root>/color/NAME.png (or colour/, rgb/; .jpg too).

    Depth with unit "m": 16-bit images hold millimetres (0 and 65535 invalid), .npy and .pfm float metres (NaN,
    infinite and <= 0 invalid). With unit "disparity": 8- or 16-bit images or .pfm, 0 and infinite invalid. Colour
    must already be registered to the depth map and have its size; pairs without colour serve depth-only training.
    Names that differ (stamps of two cameras) are paired by their order with pair="order".
    """

    layout = "folder"
    looked_for = "depth/*.png (16-bit millimetres; also .npy, .pfm, .tif) and color/ or rgb/ with equal file names"

    def __init__(
        self,
        root: str | os.PathLike,
        unit: Literal["m", "disparity"] = "m",
        max_depth: float = float("inf"),
        pair: Literal["name", "order"] = "name",
    ) -> None:
        """Index the pairs under `root`.

        Args:
            root: folder with depth/ and color/, colour/ or rgb/.
            unit: what the depth images hold.
            max_depth: readings beyond this many metres are invalid (unit "m").
            pair: "name" by equal file names; "order": first with first in sorted order, equally many of both.

        Raises:
            FileNotFoundError: no `root`, or no depth image in <root>/depth.
            ValueError: unknown unit or pairing; with pair="order" as many colour as depth images are not there.
        """
        if unit not in ("m", "disparity"):
            raise ValueError(f"folder: unit must be 'm' or 'disparity', got {unit!r}")
        if pair not in ("name", "order"):
            raise ValueError(f"folder: pair must be 'name' or 'order', got {pair!r}")
        self.unit, self.max_depth, self.pair = unit, max_depth, pair
        super().__init__(root)

    def _scan(self, root: Path) -> list[Entry]:
        folder = root / "depth"
        if not folder.is_dir():
            self._lacks(folder, "the folder of depth images")
            return []
        colour = next((root / name for name in ("color", "colour", "rgb") if (root / name).is_dir()), None)
        if colour is None:
            self._lacks(root / "color", "the folder of colour images (only depth-only training is possible)")
        depths = _files(folder, DEPTH_SUFFIXES)
        colours = _files(colour, COLOUR_SUFFIXES) if colour else []
        if self.pair == "order":
            if len(colours) != len(depths):
                raise ValueError(
                    f"{root}: pairing by order needs as many colour as depth images, "
                    f"got {len(colours)} and {len(depths)}"
                )
            return [Entry(d.stem, self._scene(d), d, c) for d, c in zip(depths, colours)]
        by_name = {path.stem: path for path in colours}
        for path in depths:
            if colour is not None and path.stem not in by_name:
                self._lacks(colour / f"{path.stem}.png", f"colour image for depth/{path.name}")
        return [Entry(path.stem, self._scene(path), path, by_name.get(path.stem)) for path in depths]

    def _scene(self, path: Path) -> str:
        # A benchmark scene copied into a folder of one's own is still a benchmark scene.
        if "middlebury" in str(path.absolute()).lower().replace("_", "") and path.stem in SCENES_2005:
            return f"middlebury2005/{path.stem}"
        return f"{path.absolute().parent.parent}/{path.stem}"

    def _read_depth(self, entry: Entry) -> tuple[np.ndarray, Unit, float]:
        if self.unit == "disparity":
            return read_disparity(entry.depth), "disparity", 1.0
        suffix = entry.depth.suffix.lower()
        if suffix == ".npy":
            raw = np.load(entry.depth, allow_pickle=False)
        else:
            raw = read_pfm(entry.depth) if suffix == ".pfm" else read_grey(entry.depth)
        try:
            return to_metres(raw, self.max_depth), "m", 1.0
        except ValueError as error:
            raise ValueError(f"{entry.depth}: {error}") from error


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return sorted(found, key=lambda path: natural(path.name))
