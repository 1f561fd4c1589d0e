"""NYU Depth v2, the labelled part: one MATLAB v7.3 (HDF5) file of 2.8 GB, read frame by frame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from ..sample import Missing, RGBDSample, Source, existing_root

FILE_NAME = "nyu_depth_v2_labeled.mat"
FRAMES, TRAINING_FRAMES = 1449, 1000


class NYUv2(Source):
    """Kinect v1 frames 480 x 640 in metres; the papers train on the first 1000 and test on the last 449.

    MATLAB stores columns first, so HDF5 shows `depths` as (frame, column, row) and `images` as (frame, channel,
    column, row); only the frame asked for is read.
    """

    layout = "nyuv2"
    root: Path
    looked_for = f"{FILE_NAME} (labelled data set, 2.8 GB)"

    def __init__(
        self,
        root: str | os.PathLike,
        split: Literal["train", "test", "all"] = "train",
        depth: Literal["filled", "raw"] = "filled",
    ) -> None:
        """Open the file's index.

        Args:
            root: the .mat file, or the folder that holds it.
            split: the first 1000 frames, the last 449, or all.
            depth: "filled" is the data set's colourisation-filled `depths`; "raw" the sensor's `rawDepths` projected
                into the colour view, 0 invalid.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a v7.3 file with the variables needed, or an unknown split or depth.
        """
        if split not in ("train", "test", "all") or depth not in ("filled", "raw"):
            raise ValueError(f"nyuv2: split is train, test or all and depth filled or raw; got {split!r}, {depth!r}")
        root = existing_root(root, self.looked_for, self.layout)
        self.root = root / FILE_NAME if root.is_dir() else root
        if not self.root.is_file():
            raise FileNotFoundError(f"nyuv2: {self.root.absolute()} is not there. Looked for {self.looked_for}.")
        self._variable = "depths" if depth == "filled" else "rawDepths"
        self._opened: tuple[int, h5py.File] | None = None
        try:
            frames = len(self._file()[self._variable])
            if len(self._file()["images"]) != frames:
                raise ValueError("images and depths differ in number")
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"{self.root}: expected a MATLAB v7.3 file with images and {self._variable}: {error}"
            ) from error
        chosen = {"train": range(min(TRAINING_FRAMES, frames)), "test": range(TRAINING_FRAMES, frames)}
        self._frames = chosen.get(split, range(frames))
        self._total = frames
        if not len(self._frames):
            raise ValueError(f"{self.root}: holds {frames} frames, none of them in the split {split!r}")

    def _file(self) -> h5py.File:
        # An HDF5 handle does not survive a fork: each loader process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), h5py.File(self.root, "r")
        return self._opened[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": None}

    @property
    def names(self) -> list[str]:
        return [f"{frame + 1:04d}" for frame in self._frames]

    def __getitem__(self, index: int) -> RGBDSample:
        frame, file = self._frames[index], self._file()
        depth = np.ascontiguousarray(file[self._variable][frame].T, dtype=np.float32)
        depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
        guide = np.ascontiguousarray(file["images"][frame].transpose(2, 1, 0))
        return RGBDSample(depth, guide, f"{frame + 1:04d}", "m")

    def missing(self) -> list[Missing]:
        lacking = FRAMES - self._total
        return [Missing(self.root, f"{lacking} of {FRAMES} frames")] if lacking > 0 else []
