"""MPI Sintel: training/depth/<sequence>/frame_NNNN.dpt with training/{clean,final}/<sequence>/frame_NNNN.png."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from ..files import read_dpt, visible
from ..sample import Unit
from .scene_files import FileSource, SceneFiles


class Sintel(FileSource):
    """23 sequences, 436 x 1024. Depth and colour are two downloads: side by side under `root`, or merged.

    Depth is along the camera's Z axis in the film's own metres; sky and far backdrops reach thousands.
    """

    layout = "sintel"
    looked_for = "training/depth/<sequence>/*.dpt (depth download) and training/clean or training/final (images)"

    def __init__(
        self,
        root: str | os.PathLike,
        rendering: Literal["clean", "final"] = "clean",
        values: Literal["depth", "inverse"] = "depth",
        max_depth: float = 100.0,
        every: int = 1,
    ) -> None:
        """Index the frames under `root`.

        Args:
            root: folder that holds training/, or the folders of both downloads.
            rendering: colour pass; "final" has motion blur and fog.
            values: "depth" in metres, or "inverse", 1 / depth, unit "arbitrary", in which the sky is a plain 0.
            max_depth: depths beyond are invalid; only for "depth".
            every: keep every n-th frame of a sequence.

        Raises:
            FileNotFoundError: no `root`, or no .dpt file in it.
            ValueError: unknown rendering or values, `every` below 1.
        """
        if rendering not in ("clean", "final") or values not in ("depth", "inverse") or every < 1:
            raise ValueError(
                "sintel: rendering is clean or final, values depth or inverse, every at least 1; "
                f"got {rendering!r}, {values!r}, {every}"
            )
        self.rendering, self.values, self.max_depth, self.every = rendering, values, max_depth, every
        super().__init__(root)

    def _scan(self, root: Path) -> list[SceneFiles]:
        depth_root, image_root = self._folder(root, "depth"), self._folder(root, self.rendering)
        if depth_root is None:
            self._lacks(root / "training/depth", "the depth download")
            return []
        if image_root is None:
            self._lacks(root / "training" / self.rendering, "the image download")
        entries = []
        for sequence in visible(path for path in depth_root.iterdir() if path.is_dir()):
            for path in visible(sequence.glob("frame_*.dpt"))[:: self.every]:
                guide = image_root and image_root / sequence.name / f"{path.stem}.png"
                if guide and not guide.is_file():
                    self._lacks(guide, "colour of this frame")
                    guide = None
                entries.append(SceneFiles(f"{sequence.name}/{path.stem}", f"sintel/{sequence.name}", path, guide))
        return entries

    @staticmethod
    def _folder(root: Path, name: str) -> Path | None:
        places = [root / "training" / name, root / name, *sorted(root.glob(f"*/training/{name}"))]
        return next((place for place in places if place.is_dir()), None)

    def _read_depth(self, entry: SceneFiles) -> tuple[np.ndarray, Unit, float]:
        depth = read_dpt(entry.depth)
        depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
        if self.values == "inverse":
            return 1 / depth, "arbitrary", 1.0
        depth[depth > self.max_depth] = np.nan
        return depth, "m", 1.0
