"""ToFMark: three scenes with a time-of-flight reading in the colour camera's view and exact structured-light depth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import scipy.io

from depth_sr_ros.files import read_guide

from ..files import read_values, visible
from ..sample import RGBDSample, existing_root
from .scene_files import FileSource, SceneFiles

SCENES = ("Books", "Devil", "Shark")
SUFFIXES = (".mat", ".npy", ".pfm", ".png", ".tif", ".tiff", ".bmp")
TRUTH, READING, COLOUR = ("gt", "groundtruth", "ground_truth"), ("tof", "depth", "lr"), ("intensity", "rgb", "color")


class ToFMark(FileSource):
    """Ground truth, ToF reading (projected into the same view, 0 or NaN where no point fell) and intensity image.

    One folder per scene (<root>/Books) or one prefix per scene (<root>/Books_...). A file's role goes by the words in
    its name: gt or groundtruth; tof, depth or lr; intensity, rgb or color. MATLAB v5 and .npy files hold one array
    each, in millimetres like the 16-bit images.

    The sample's `measured` is the ToF reading. By the papers' protocol its missing points are filled, it is reduced
    by 2 with the bicubic kernel, and the x2 network's output is compared with the ground truth: give this source as
    a test source with scale 2.
    """

    layout = "tofmark"
    looked_for = "folders Books, Devil, Shark (or files of these prefixes) with *gt*, *tof* and *intensity* files"

    def __init__(self, root: str | os.PathLike, metres_per_unit: float = 0.001) -> None:
        """Index the scenes under `root`.

        Args:
            root: folder of the benchmark.
            metres_per_unit: what 1 in the depth files means.

        Raises:
            FileNotFoundError: no `root`, or no scene with ground truth and reading in it.
        """
        self.metres_per_unit = metres_per_unit
        self._readings: dict[str, Path] = {}
        super().__init__(existing_root(root, self.looked_for, self.layout))

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        files = [path for path in visible(root.rglob("*")) if path.suffix.lower() in SUFFIXES]
        for scene in SCENES:
            own = [path for path in files if scene.lower() in str(path.relative_to(root)).lower()]
            truth = _with_word(own, scene, TRUTH)
            colour = _with_word([path for path in own if path != truth], scene, COLOUR)
            reading = _with_word([path for path in own if path not in (truth, colour)], scene, READING)
            for role, words, path in (("ground truth", TRUTH, truth), ("ToF reading", READING, reading)):
                if path is None:
                    self._lacks(root / scene / f"*{words[0]}*", role)
            if colour is None:
                self._lacks(root / scene / f"*{COLOUR[0]}*", "intensity image")
            if truth is not None and reading is not None:
                self._readings[scene] = reading
                entries.append(SceneFiles(scene, f"tofmark/{scene}", truth, colour))
        return entries

    def __getitem__(self, index: int) -> RGBDSample:
        entry = self._entries[index]
        depth, measured = self._metres(entry.depth), self._metres(self._readings[entry.name])
        if measured.shape != depth.shape:
            raise ValueError(
                f"{self._readings[entry.name]}: the ToF reading must lie in the view of the ground truth, "
                f"{depth.shape}, got {measured.shape}"
            )
        guide = None if entry.guide is None else read_guide(entry.guide)
        return RGBDSample(depth, guide, entry.name, "m", measured=measured)

    def _metres(self, path: Path) -> np.ndarray:
        if path.suffix.lower() == ".mat":
            arrays = [v for k, v in scipy.io.loadmat(path).items() if not k.startswith("_") and np.ndim(v) == 2]
            if len(arrays) != 1:
                raise ValueError(f"{path}: expected one two-dimensional variable, got {len(arrays)}")
            raw = arrays[0]
        else:
            raw = read_values(path)
        depth = np.asarray(raw, np.float32) * np.float32(self.metres_per_unit)
        depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
        return depth


def _with_word(paths: list[Path], scene: str, words: tuple[str, ...]) -> Path | None:
    """The first file whose name, without the scene's, contains one of `words`; earlier words first."""
    for word in words:
        for path in paths:
            if word in path.stem.lower().replace(scene.lower(), ""):
                return path
    return None
