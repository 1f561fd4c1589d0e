from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def root2005(data_set) -> Path:
    """The real Middlebury 2005 scenes, where they are."""
    return data_set("middlebury2005")


@pytest.fixture
def root2006(data_set) -> Path:
    """The real third-size Middlebury 2006 scenes, where they are."""
    return data_set("middlebury2006_third")


def _scene_images(seed: int = 0, size: tuple[int, int] = (70, 86)) -> tuple[np.ndarray, np.ndarray]:
    """A disparity map (H, W) uint8 of two planes and a disc, and a colour image whose edges are the depth's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    depth = 60 + 0.3 * x
    depth[:, size[1] // 2 :] += 50
    depth[np.hypot(y - 30, x - 25) < 14] = 160
    colour = np.stack([depth, 255 - depth, 0 * depth + 90], -1) + rng.normal(0, 1.5, (*size, 3))
    return np.rint(depth).astype(np.uint8), np.clip(np.rint(colour), 0, 255).astype(np.uint8)


@pytest.fixture
def scene_images():
    """(seed, size) -> disparity map and colour image of a synthetic scene."""
    return _scene_images


@pytest.fixture
def small2005(tmp_path) -> Path:
    """A tiny data set in the 2005 layout: Books (P1, ground truth shifted by (3, 7) against depth.png) and Laundry."""
    for seed, name in enumerate(("Books", "Laundry")):
        folder = tmp_path / "small2005" / name
        folder.mkdir(parents=True)
        depth, colour = _scene_images(seed)
        cv2.imwrite(str(folder / "depth.png"), depth)
        cv2.imwrite(str(folder / "color.png"), colour[..., ::-1])
        if name == "Books":
            y, x = np.clip(np.arange(66) - 3, 0, None), np.clip(np.arange(82) - 7, 0, None)
            cv2.imwrite(str(folder / "depth_msgnet_b.bmp"), depth[y][:, x])
    return tmp_path / "small2005"


@pytest.fixture
def data(tmp_path, small2005, scene_images):
    """Tiny data in the layouts of the comparison: Books and Laundry, and one held-out scene with both views."""
    root = tmp_path / "data"
    root.mkdir()
    small2005.rename(root / "middlebury2005")
    folder = root / "middlebury2006_third" / "Rocks2"
    folder.mkdir(parents=True)
    for view in (1, 5):
        disparity, colour = scene_images(view)
        disparity[5:9, 5:9] = 0  # a hole
        cv2.imwrite(str(folder / f"disp{view}.png"), disparity)
        cv2.imwrite(str(folder / f"view{view}.png"), colour[..., ::-1])
    return root
