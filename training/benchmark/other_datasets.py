"""The other data sets, as thin adapters over the readers in training/data; metres become the protocol's unit.

``nyuv2``, ``diml`` and ``middlebury`` follow DADA (block-mean LR, MSE in cm^2, MAE in cm), ``nyuv2_dkn`` the RMSE
tables (bicubic LR, the last 449 frames, a border of 6 pixels left out), ``tofmark`` CTKT's table 3. Whole frames are
scored.
The lists of test frames behind the DADA tables are not published with the paper: ``nyuv2`` takes the last 300 frames
and ``middlebury`` every scene it finds, so the numbers come near the tables without being the same experiment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_sr_ros.depth import to_metres

from ..data.files import visible
from ..data.sample import Source
from ..data.sources import create_source
from ..data.sources.middlebury_2006 import SCENES_2006
from ..data.splits import VALIDATION_SCENES
from .datasets import DatasetError, Scene, Scenes, choose_scenes, middlebury2005, read_image
from .protocols import DADA, DISPARITY, DKN, TOFMARK, Protocol

HELD_OUT_SEED = 1_000_000
"""Seed of the first synthetic test scene, far from the seeds that training starts from."""

UNITS = {"cm": 100.0, "mm": 1000.0}


def validation2006(root: Path, scenes: list[str] | None) -> Scenes:
    """The four held-out Middlebury 2006 scenes (training/data/splits.py), third size, colour registered, both views.

    View 1 has the scene's name, view 5 "-view5" behind it.
    """
    held_out = tuple(scene.removeprefix("middlebury2006/") for scene in VALIDATION_SCENES)
    known = tuple(f"{scene}{view}" for scene in held_out for view in ("", "-view5"))

    def present(name: str) -> bool:
        return (root / name.removesuffix("-view5") / ("disp5.png" if "-" in name else "disp1.png")).is_file()

    chosen = choose_scenes(root, scenes, known, present)
    return _third_size(root, list(dict.fromkeys(name.removesuffix("-view5") for name in chosen)), (1, 5), chosen)


def tuning2006(root: Path) -> Scenes:
    """The Middlebury 2006 scenes that are not held out, for settings of methods that do not learn."""
    held_out = {scene.removeprefix("middlebury2006/") for scene in VALIDATION_SCENES}
    known = tuple(scene for scene in SCENES_2006 if scene not in held_out)
    return _third_size(root, choose_scenes(root, None, known, lambda scene: (root / scene / "disp1.png").is_file()))


def _third_size(
    root: Path, scenes: list[str], views: tuple[int, ...] = (1,), wanted: list[str] | None = None
) -> Scenes:
    source = _open("middlebury2006", root, size="third", views=views, scenes=scenes)
    return _scenes([source], DISPARITY, wanted, rename=lambda name: name.replace("/view1", "").replace("/", "-"))


def nyuv2(root: Path, scenes: list[str] | None) -> Scenes:
    """NYUv2 in DADA's units: the last 300 of the 1449 frames."""
    source = _open("nyuv2", root, split="test")
    return _scenes([source], DADA, scenes, last=300)


def nyuv2_dkn(root: Path, scenes: list[str] | None) -> Scenes:
    """NYUv2 as in the RMSE tables: the last 449 frames."""
    return _scenes([_open("nyuv2", root, split="test")], DKN, scenes)


def diml(root: Path, scenes: list[str] | None) -> Scenes:
    """DIML indoor test frames in DADA's units."""
    return _scenes([_open("diml", root, split="test")], DADA, scenes)


def middlebury(root: Path, scenes: list[str] | None) -> Scenes:
    """Middlebury 2005, 2006 and 2014 scenes that have calibration, in DADA's units.

    They lie in the root itself or in its folders 2005, 2006, 2014.
    """
    sources, refused = [], []
    for year, view in (("2005", 1), ("2006", 1), ("2014", 0)):
        for folder in (root, root / year):
            try:
                sources.append(_open(f"middlebury{year}", folder, unit="m", views=(view,)))
            except DatasetError as error:
                refused.append(str(error))
    if not sources:
        raise DatasetError("no Middlebury scene with calibration:\n" + "\n".join(refused))
    return _scenes(sources, DADA, scenes, rename=lambda name: name.partition("/")[0])


def tofmark(root: Path, scenes: list[str] | None) -> Scenes:
    """ToFMark as in CTKT's table 3: LR made from the ToF reading (holes filled), MAD in mm against the ground truth."""
    return _scenes([_open("tofmark", root)], TOFMARK, scenes)


def folder(root: Path, scenes: list[str] | None) -> Scenes:
    """Your own frames, ``<root>/depth`` (16-bit mm) and registered ``<root>/color``; that depth is the truth."""
    return _scenes([_open("folder", root)], DADA, scenes)


def sevenscenes(root: Path, scenes: list[str] | None) -> Scenes:
    """7-Scenes, ``frame-*.depth.png`` in mm: Kinect v1 depth, no guide because the colour is not registered to it."""
    files = {path.name.removesuffix(".depth.png"): path for path in visible(root.glob("frame-*.depth.png"))}
    chosen = choose_scenes(root, scenes, tuple(files), lambda name: True)

    def load(name: str) -> Scene:
        return Scene(name, to_metres(read_image(files[name], colour=False)).astype(np.float64) * 100, None, DADA)

    return Scenes(chosen, load, DADA.metric)


def synthetic(root: Path | None, scenes: list[str] | None) -> Scenes:
    """Eight generated RGB-D scenes with exact depth, of seeds that training does not use; needs no files."""
    return _scenes([create_source("synthetic", count=8, seed=HELD_OUT_SEED)], DADA, scenes)


def _open(layout: str, root: Path, **options: Any) -> Source:
    try:
        return create_source(layout, root=root, **options)
    except (FileNotFoundError, ValueError) as error:
        raise DatasetError(str(error)) from None


@dataclass(frozen=True)
class _Place:
    source: Source
    index: int


def _scenes(
    sources: list[Source],
    protocol: Protocol,
    wanted: list[str] | None,
    last: int | None = None,
    rename: Callable[[str], str] = str,
) -> Scenes:
    """Samples of readers as scenes, metres in the protocol's unit; `last` keeps only so many from the end."""
    places = {rename(name): _Place(source, i) for source in sources for i, name in enumerate(source.names)}
    if last is not None:
        places = dict(list(places.items())[-last:])
    missing = [name for name in wanted or () if name not in places]
    if missing:
        known = ", ".join(list(places)[:12])
        raise DatasetError(f"missing scenes {', '.join(missing)}; found {len(places)}: {known} ...")

    def load(name: str) -> Scene:
        sample = places[name].source[places[name].index]
        factor = UNITS[protocol.unit] if sample.unit == "m" else 1.0
        measured = getattr(sample, "measured", None)
        measured = None if measured is None else measured.astype(np.float64) * factor
        return Scene(name, sample.depth.astype(np.float64) * factor, sample.guide, protocol, measured)

    return Scenes(list(wanted or places), load, protocol.metric)


DATASETS: dict[str, Callable[[Path, list[str] | None], Scenes]] = {
    function.__name__: function
    for function in (
        *(middlebury2005, validation2006, nyuv2, nyuv2_dkn, diml, middlebury),
        *(tofmark, folder, sevenscenes, synthetic),
    )
}
"""Name -> (root, wanted scenes or None) -> scenes; each raises `DatasetError`, naming what is missing."""
