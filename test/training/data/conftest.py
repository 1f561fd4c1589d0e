"""Tiny data sets on disk, written byte for byte in the layouts that the public ones are downloaded in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


class Writer:
    """Writes images below `root`, folders included."""

    def __init__(self, root: Path, rng: np.random.Generator) -> None:
        self.root, self.rng = root, rng

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, name: str, array: np.ndarray) -> np.ndarray:
        """Grey or RGB, 8 or 16 bit, format by suffix."""
        stored = cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if array.ndim == 3 else array
        assert cv2.imwrite(str(self.path(name)), stored)
        return array

    def colour(self, name: str, shape: tuple[int, int] = (40, 48)) -> np.ndarray:
        return self.image(name, self.rng.integers(0, 256, (*shape, 3), dtype=np.uint8))

    def disparity(self, name: str, shape: tuple[int, int] = (40, 48), holes: bool = True) -> np.ndarray:
        """8-bit disparities 30..200 of a slanted plane with a box before it; a hole of 0 in the corner."""
        rows, columns = np.indices(shape)
        values = 30 + rows + columns
        values[10:30, 12:32] = 200
        if holes:
            values[:3, :4] = 0
        return self.image(name, values.astype(np.uint8))

    def pfm(self, name: str, values: np.ndarray, little_endian: bool = True) -> None:
        header = f"Pf\n{values.shape[1]} {values.shape[0]}\n{'-1' if little_endian else '1'}\n".encode()
        data = values[::-1].astype("<f4" if little_endian else ">f4").tobytes()
        self.path(name).write_bytes(header + data)

    def dpt(self, name: str, depth: np.ndarray) -> None:
        header = np.float32(202021.25).tobytes() + np.array(depth.shape[::-1], "<i4").tobytes()
        self.path(name).write_bytes(header + depth.astype("<f4").tobytes())

    def third_size_scene(self, scene: str, shape: tuple[int, int] = (96, 100)) -> None:
        for view in (1, 5):
            self.disparity(f"{scene}/disp{view}.png", shape)
            self.colour(f"{scene}/view{view}.png", shape)


@pytest.fixture
def writer(tmp_path: Path, rng: np.random.Generator) -> Writer:
    return Writer(tmp_path, rng)


@pytest.fixture
def real_data(data_set) -> Path:
    """The folder that holds Middlebury 2006 at third size and MSG-Net's maps."""
    data_set("msgnet_depth")
    return data_set("middlebury2006_third").parent
