"""The statistics of real and of synthetic scenes, a row per data set: `python -m training.data statistics`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal

from .sample import Source
from .sources import Middlebury2006, MSGNet, NYUv2, PairFolder, SyntheticScenes, create_source
from .sources.msgnet import FIRST_2001, FIRST_2006
from .statistics import DepthStatistics, mean, measure

BLOCK = "data-statistics"
"""Name of the block in a Markdown page that `--write` renews."""

COLUMNS = (
    "depth-edge pixels",
    "edge contrast, median",
    "90th percentile",
    "thin structures",
    "slope per 100 pixels, median",
    "90th percentile",
    "depth edges without a colour edge",
    "colour edges without a depth edge",
)

Row = tuple[str, int, DepthStatistics]

REAL: dict[str, tuple[str, type[Source], dict[str, Any]]] = {
    "Middlebury 2006, third size": ("middlebury2006_third", Middlebury2006, {}),
    "MSG-Net, Middlebury 2006, full size": ("msgnet_depth", MSGNet, {"first": FIRST_2006}),
    "MSG-Net, Sintel": ("msgnet_depth", MSGNet, {"last": FIRST_2001 - 1}),
    "NYUv2, raw": ("nyuv2", NYUv2, {"split": "all", "depth": "raw"}),
    "NYUv2, samples": ("nyuv2_samples", PairFolder, {"pair": "order"}),
    "RealSense, aligned": ("realsense_aligned", PairFolder, {"pair": "order"}),
}
"""Label -> the data set's folder, its reader, and the reader's options."""

FOLDERS = tuple(dict.fromkeys(folder for folder, *_ in REAL.values()))
"""The folders of real scenes that have rows, where they are there."""


def open_real(root: Path) -> tuple[dict[str, Source], list[str]]:
    """The data sets of real scenes under `root` by label, and a line for each that was not found: what, and where."""
    found, absent = {}, []
    for label, (folder, reader, options) in REAL.items():
        try:
            found[label] = create_source(reader.layout, root=root / folder, **options)
        except FileNotFoundError:
            place = (root / folder).absolute()
            absent.append(f"{label}: not found in {place}, looked there for {reader.looked_for}")
    return found, absent


def synthetic(scenes: int, seed: int = 0) -> dict[str, Source]:
    """So many rendered scenes of 640 x 480 for each kind and unit, by label; `seed` is the first one's."""
    units: tuple[tuple[Literal["m", "disparity"], str], ...] = (("m", "metres"), ("disparity", "disparity"))
    return {
        f"synthetic `{kind}`, {name}": SyntheticScenes(scenes, seed=seed, kind=kind, unit=unit)
        for kind in ("any", "clutter")
        for unit, name in units
    }


def rows(sources: dict[str, Source]) -> Iterator[Row]:
    """(label, number of maps, mean statistics) of each data set, measured when asked for."""
    for label, source in sources.items():
        yield label, len(source), mean([measure(sample) for sample in source])


def markdown(table: list[Row]) -> str:
    """The rows as a Markdown table; shares, contrast and slope in per cent."""
    lines = ["| data | maps | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for label, count, statistics in table:
        cells = ("-" if math.isnan(value) else f"{100 * value:.1f}" for value in astuple(statistics))
        lines.append(f"| {label} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
