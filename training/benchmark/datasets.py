"""The benchmark's data sets: scenes with a ground truth, an RGB guide where there is one, and their protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from depth_sr_ros.files import read_guide

from ..data.files import read_grey
from ..data.sample import DepthUnit, Unit
from .protocols import P1, P2, Protocol

SCENES_2005 = ("Art", "Books", "Dolls", "Laundry", "Moebius", "Reindeer")
P1_SCENES = ("Art", "Books", "Moebius")


class DatasetError(ValueError):
    """A data set that is not where or what it should be; the message names the files."""


@dataclass(frozen=True)
class Scene:
    """One test image.

    Attributes:
        name: as published tables name it.
        depth: (H, W) float64 ground truth in the protocol's unit, NaN invalid.
        guide: (H, W, 3) uint8 RGB in the depth view, or None.
        protocol: how it is degraded and scored.
        measured: (H, W) float64 sensor reading from which the LR map is made; None makes it from `depth`.
    """

    name: str
    depth: np.ndarray
    guide: np.ndarray | None
    protocol: Protocol
    measured: np.ndarray | None = None

    @property
    def level(self) -> float:
        """One grey level of an 8-bit image that holds `depth`, in its unit (see `DepthUnit`)."""
        unit: Unit = "disparity" if "disparity" in self.protocol.unit else "m"
        return DepthUnit.of(unit, float(np.nanmax(self.depth))).level


@dataclass(frozen=True)
class Scenes:
    """The scenes of a run, loaded one at a time: iterate, or take `len`.

    Attributes:
        names: in order.
        load: name -> scene.
        metrics: the scores that the data set's published tables give.
    """

    names: list[str]
    load: Callable[[str], Scene]
    metrics: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Scene]:
        return map(self.load, self.names)


def read_image(path: Path, colour: bool) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB, or (H, W) in its own dtype.

    Raises:
        DatasetError: when the file is missing or no image.
    """
    try:
        return read_guide(path) if colour else read_grey(path)
    except (OSError, ValueError) as error:
        raise DatasetError(str(error)) from None


def middlebury2005(root: Path, scenes: list[str] | None) -> Scenes:
    """The six test scenes of the MAD tables: ``<root>/<Scene>/{depth.png, color.png}``, disparity 0..255, no holes.

    For P1 scenes the ground truth is MSG-Net's version, ``depth_msgnet_b.bmp``; the colour image is shifted to it (its
    edge pixels repeated where it does not reach). Without that file depth.png takes its place and the protocol's
    name says so: such a row is close to the published ones, but not the same image.
    """
    chosen = choose_scenes(root, scenes, SCENES_2005, lambda scene: (root / scene / "depth.png").is_file())
    return Scenes(chosen, lambda name: _load_2005(root / name), P1.metric)


def _load_2005(folder: Path) -> Scene:
    name = folder.name
    depth = read_image(folder / "depth.png", colour=False)
    colour = folder / "color.png"
    guide = read_image(colour, colour=True) if colour.is_file() else None
    if guide is not None and guide.shape[:2] != depth.shape:
        raise DatasetError(f"{colour} has {guide.shape[:2]} pixels, depth.png {depth.shape}: they must agree")
    if name not in P1_SCENES:
        return Scene(name, depth.astype(np.float64), guide, P2)
    msgnet = folder / "depth_msgnet_b.bmp"
    if not msgnet.is_file():
        return Scene(name, depth.astype(np.float64), guide, replace(P1, name="P1 on depth.png"))
    truth = read_image(msgnet, colour=False)
    if guide is not None:
        guide = shift_image(guide, *find_offset(truth, depth), truth.shape)
    return Scene(name, truth.astype(np.float64), guide, P1)


def find_offset(truth: np.ndarray, depth: np.ndarray, reach: int = 12) -> tuple[int, int]:
    """The (rows, columns) shift with ``truth[y, x] = depth[y - rows, x - columns]`` for most pixels.

    Args:
        truth: (H, W) uint8 disparities, one version of a scene.
        depth: (H', W') uint8 disparities, the other version.
        reach: largest shift tried in either direction.
    """
    height = min(truth.shape[0], depth.shape[0]) - reach
    width = min(truth.shape[1], depth.shape[1]) - reach
    y, x = np.mgrid[reach:height:5, reach:width:5]
    window = truth[y, x].astype(np.int16)
    best, best_share = (0, 0), -1.0
    for rows in range(-reach, reach + 1):
        for columns in range(-reach, reach + 1):
            share = float((np.abs(window - depth[y - rows, x - columns]) <= 1).mean())
            if share > best_share:
                best, best_share = (rows, columns), share
    return best


def shift_image(image: np.ndarray, rows: int, columns: int, shape: tuple[int, int]) -> np.ndarray:
    """``out[y, x] = image[y - rows, x - columns]`` of size `shape`, the image's edge repeated beyond it."""
    y = np.clip(np.arange(shape[0]) - rows, 0, image.shape[0] - 1)
    x = np.clip(np.arange(shape[1]) - columns, 0, image.shape[1] - 1)
    return np.ascontiguousarray(image[y][:, x])


def choose_scenes(
    root: Path, wanted: list[str] | None, known: tuple[str, ...], present: Callable[[str], bool]
) -> list[str]:
    """The scenes to run: the wanted ones (all must be there), or all known ones that are there."""
    if not root.is_dir():
        raise DatasetError(f"no folder {root}: give the data set's folder with --root")
    unknown = [scene for scene in wanted or () if scene not in known]
    if unknown:
        raise DatasetError(f"unknown scenes {', '.join(unknown)}: this data set has {', '.join(known)}")
    found = [scene for scene in known if present(scene)]
    missing = [scene for scene in wanted or () if scene not in found]
    if missing:
        raise DatasetError(f"missing scenes under {root}: {', '.join(missing)} (found {', '.join(found) or 'none'})")
    if not found:
        raise DatasetError(f"no scene under {root}: expected folders {', '.join(known)}")
    return list(wanted or found)
