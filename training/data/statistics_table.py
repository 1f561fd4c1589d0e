"""The statistics of real and of synthetic scenes, a row per data set: `python -m training.data statistics`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import partial
from pathlib import Path

from .sample import Source
from .sources import Middlebury2006, MSGNet, NYUv2, PairFolder, SyntheticScenes
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


def data_sets(root: Path, scenes: int, seed: int = 0) -> dict[str, Callable[[], Source]]:
    """Label -> how to open it; opening raises FileNotFoundError where the data is not under `root`."""
    real = {
        "Middlebury 2006, third size": partial(Middlebury2006, root / "middlebury2006_third"),
        "MSG-Net, Middlebury 2006, full size": partial(MSGNet, root / "msgnet_depth", first=FIRST_2006),
        "MSG-Net, Sintel": partial(MSGNet, root / "msgnet_depth", last=FIRST_2001 - 1),
        "NYUv2, raw": partial(NYUv2, root / "nyuv2", split="all", depth="raw"),
        "NYUv2, samples": partial(PairFolder, root / "nyuv2_samples", pair="order"),
        "RealSense, aligned": partial(PairFolder, root / "realsense_aligned", pair="order"),
    }
    made = {
        f"synthetic `{kind}`, {name}": partial(SyntheticScenes, scenes, seed, kind=kind, unit=unit)
        for kind in ("any", "clutter")
        for unit, name in (("m", "metres"), ("disparity", "disparity"))
    }
    return real | made


def rows(root: Path, scenes: int, seed: int = 0) -> Iterator[Row]:
    """(label, number of maps, mean statistics) of each data set that is there.

    Args:
        root: folder of the data sets, with the names that training/configs use.
        scenes: number of synthetic scenes per row, 640 x 480.
        seed: of the first of them.
    """
    for label, open_source in data_sets(root, scenes, seed).items():
        try:
            source = open_source()
        except FileNotFoundError:
            continue
        yield label, len(source), mean([measure(sample) for sample in source])


def markdown(table: list[Row]) -> str:
    """The rows as a Markdown table; shares, contrast and slope in per cent."""
    lines = ["| data | maps | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for label, count, statistics in table:
        cells = ("-" if math.isnan(value) else f"{100 * value:.1f}" for value in astuple(statistics))
        lines.append(f"| {label} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
