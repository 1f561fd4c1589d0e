"""The tables of `python -m training.benchmark sensors`: ratios to bicubic, by group of frames and degradation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from .sensors import DEGRADATIONS, NOISE_TEXT, SensorResult

MEAN = "mean of cameras"
MEAN_RGB = "mean of cameras with RGB"
FRAME, DENOISED, PLANES = "frame", "denoised frame", "planes"


@dataclass(frozen=True)
class SensorTable:
    """One table: scale, what is the truth (`FRAME`, `DENOISED`; `PLANES` has none), headings, and rows of text."""

    scale: int
    truth: str
    title: str
    headings: list[str]
    rows: list[list[str]]


def tables(results: list[SensorResult]) -> list[SensorTable]:
    """Per scale: error against the frame, error against the denoised frame, and deviation on planes."""
    made = []
    for scale in sorted({r.scale for r in results}):
        chosen = [r for r in results if r.scale == scale]
        made.append(_ratio_table(scale, FRAME, chosen, _raw))
        if any(r.denoised_mae is not None for r in chosen):
            made.append(_ratio_table(scale, DENOISED, chosen, _denoised))
        if any(r.plane_std is not None for r in chosen):
            made.append(_plane_table(scale, chosen))
    return made


def _raw(result: SensorResult) -> tuple[float, float, float | None] | None:
    return result.mae, result.bicubic_mae, result.floor


def _denoised(result: SensorResult) -> tuple[float, float, float | None] | None:
    if result.denoised_mae is None or result.denoised_bicubic_mae is None:
        return None
    return result.denoised_mae, result.denoised_bicubic_mae, None


def _ratio_table(scale: int, truth: str, results: list[SensorResult], values: Callable) -> SensorTable:
    methods = [m for m in dict.fromkeys(r.method for r in results) if m != "bicubic"]
    with_floor = truth == FRAME
    rows: list[list[str]] = []
    ratios: dict[tuple[str, str], dict[str, float]] = {}
    cameras: dict[str, list[str]] = {}
    groups = [g for g in dict.fromkeys(r.group for r in results) if _of(results, values, group=g)]
    for group in groups:
        for degradation in [d.name for d in DEGRADATIONS]:
            bicubic = _of(results, values, group=group, degradation=degradation, method="bicubic")
            if not bicubic:
                continue
            unit = next(r.unit for r in results if r.group == group)
            error = np.mean([own for own, _, _ in bicubic])
            cells = [group, degradation, f"{error:.2f} {unit}"]
            if unit == "mm":
                cameras.setdefault(degradation, []).append(group)
            if with_floor:
                floors = [floor / own for own, _, floor in bicubic if floor is not None]
                cells.append(f"{np.mean(floors):.2f}" if floors else "-")
            for method in methods:
                found = _of(results, values, group=group, degradation=degradation, method=method)
                # of sums, on the same frames: a frame at which bicubic is nearly exact must not decide
                ratio = sum(own for own, _, _ in found) / sum(base for _, base, _ in found) if found else None
                cells.append("-" if ratio is None else f"{ratio:.2f}")
                if ratio is not None:
                    ratios.setdefault((degradation, method), {})[group] = ratio
            rows.append(cells)
    blanks = ["", ""] if with_floor else [""]
    rows += [[label, degradation, *blanks, *texts] for label, degradation, texts in _means(cameras, ratios, methods)]
    headings = ["frames", "LR made by", "bicubic", *(["floor"] if with_floor else []), *methods]
    title = f"x{scale}: MAE as a multiple of bicubic's, truth = the {truth}"
    return SensorTable(scale, truth, title, headings, rows)


def _means(
    cameras: dict[str, list[str]], ratios: dict[tuple[str, str], dict[str, float]], methods: list[str]
) -> list[tuple[str, str, list[str]]]:
    """Label, degradation and a text per method: over all cameras for the methods that ran on all of them, and where
    some did not (they need RGB), over the cameras that every method ran on."""
    made = []
    for label in (MEAN, MEAN_RGB):
        for degradation in [d.name for d in DEGRADATIONS if d.name in cameras]:
            found = [ratios.get((degradation, method), {}) for method in methods]
            chosen = cameras[degradation]
            if label == MEAN_RGB:
                chosen = [camera for camera in chosen if all(camera in own for own in found)]
                if chosen in ([], cameras[degradation]):
                    continue
            # means over different cameras do not compare: a mean of some of them is not shown as one of all
            means = [np.mean([own[c] for c in chosen]) if set(chosen) <= set(own) else None for own in found]
            if any(mean is not None for mean in means):
                made.append((label, degradation, ["-" if mean is None else f"{mean:.2f}" for mean in means]))
    return made


def _of(results: list[SensorResult], values: Callable, **wanted: str) -> list:
    chosen = (r for r in results if all(getattr(r, key) == value for key, value in wanted.items()))
    return [value for r in chosen if (value := values(r)) is not None]


def _plane_table(scale: int, results: list[SensorResult]) -> SensorTable:
    methods = list(dict.fromkeys(r.method for r in results))
    rows = []
    for group in dict.fromkeys(r.group for r in results):
        for degradation in [d.name for d in DEGRADATIONS]:
            here = [
                (r.method, r.unit, r.plane_std, r.plane_std_input)
                for r in results
                if (r.group, r.degradation) == (group, degradation)
                and r.plane_std is not None
                and r.plane_std_input is not None
            ]
            if not here:
                continue
            inputs = [seen for method, _, _, seen in here if method == "bicubic"]
            cells = [group, degradation, f"{np.mean(inputs):.2f} {here[0][1]}"]
            for method in methods:
                own = [(std, seen) for of, _, std, seen in here if of == method]
                cells.append(f"{sum(o for o, _ in own) / sum(i for _, i in own):.2f}" if own else "-")
            rows.append(cells)
    title = f"x{scale}: standard deviation on planes, output / LR input"
    return SensorTable(scale, PLANES, title, ["frames", "LR made by", "LR input", *methods], rows)


def print_tables(made: list[SensorTable], console: Console) -> None:
    """Print them one after the other."""
    for table in made:
        grid = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
        for index, heading in enumerate(table.headings):
            grid.add_column(heading, justify="left" if index < 2 else "right", overflow="fold")
        previous = None
        for row in table.rows:
            if previous not in (None, row[0]):
                grid.add_section()
            previous = row[0]
            grid.add_row(*row)
        console.print(grid)
    console.print(NOISE_TEXT)


def records(made: list[SensorTable]) -> dict[str, tuple[list[dict], str]]:
    """The tables' rows by results file, and what their columns mean."""
    ratios: list[dict] = []
    planes: list[dict] = []
    for table in made:
        for row in table.rows:
            cells = dict(zip(table.headings, row))
            record = {"scale": table.scale, "frames": cells.pop("frames"), "lr": cells.pop("LR made by")}
            reference = "LR input" if table.truth == PLANES else "bicubic"
            value, _, unit = cells.pop(reference).partition(" ")
            if table.truth == PLANES:
                record |= {"lr_input": value, "unit": unit}
            else:
                record = {"truth": table.truth} | record | {"bicubic": value, "unit": unit}
            record |= {heading: "" if cell == "-" else cell for heading, cell in cells.items()}
            (planes if table.truth == PLANES else ratios).append(record)
    return {
        "sensors": (
            ratios,
            "bicubic: its mean absolute error in `unit`; floor: mean distance between the frame and its denoised "
            f"version over bicubic's error; methods: error over bicubic's. {NOISE_TEXT}",
        ),
        "sensor_planes": (
            planes,
            "standard deviation around the best plane in planar regions; lr_input: of the LR pixels in `unit`; "
            f"methods: of the output over that of the LR pixels. {NOISE_TEXT}",
        ),
    }
