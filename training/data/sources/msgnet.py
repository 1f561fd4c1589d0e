"""MSG-Net's training depth maps: <root>/Df_<n>.mat, MATLAB v5, variable Df; no colour."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import scipy.io

from ..sample import Unit
from ..splits import MSGNET_SCENES
from .scene_files import FileSource, SceneFiles

COUNT = 70
FIRST_2001, FIRST_2006 = 59, 65


class MSGNet(FileSource):
    """58 Sintel maps (436 x 1024), the six planar Middlebury 2001 scenes, six Middlebury 2006 scenes at full size.

    Sintel's values are arbitrary, and 0 is a valid (far) one; the Middlebury ones are disparities. In the 2006 files
    0 marks the holes that the authors' own filling left, and here becomes NaN.
    """

    layout = "msgnet"
    looked_for = "files Df_1.mat ... Df_70.mat, each with a variable Df"

    def __init__(self, root: str | os.PathLike, first: int = 1, last: int = COUNT) -> None:
        """Index Df_<first>.mat to Df_<last>.mat under `root`.

        Raises:
            FileNotFoundError: no `root`, or none of the files in it.
            ValueError: an empty or impossible range.
        """
        if not 1 <= first <= last <= COUNT:
            raise ValueError(f"msgnet: the files are numbered 1 to {COUNT}, got first={first}, last={last}")
        self._range = range(first, last + 1)
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        entries = []
        for number in self._range:
            path = root / f"Df_{number}.mat"
            if path.is_file():
                scene = MSGNET_SCENES.get(number, f"msgnet/Df_{number}")
                entries.append(SceneFiles(f"Df_{number}", scene, path))
            else:
                self._lacks(path, "depth map")
        return entries

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        try:
            depth = np.asarray(scipy.io.loadmat(entry.depth)["Df"], dtype=np.float32)
        except (KeyError, ValueError, NotImplementedError) as error:
            raise ValueError(f"{entry.depth}: expected a MATLAB v5 file with a variable Df: {error}") from error
        number = int(entry.name.removeprefix("Df_"))
        if number < FIRST_2001:
            return depth, "arbitrary", 1.0
        if number >= FIRST_2006:
            depth[depth <= 0] = np.nan
        return depth, "disparity", 1.0 if number >= FIRST_2006 else 8.0
