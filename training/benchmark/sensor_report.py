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
FIXED = 4
"""Columns before the methods' in a table of ratios with floors."""


@dataclass(frozen=True)
class SensorTable:
    """One table: headings, and rows of text."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def tables(results: list[SensorResult]) -> list[SensorTable]:
    """Per scale: error against the frame, error against the denoised frame, and deviation on planes."""
    made = []
    for scale in sorted({r.scale for r in results}):
        chosen = [r for r in results if r.scale == scale]
        made.append(_ratio_table(f"x{scale}: MAE as a multiple of bicubic's, truth = the frame", chosen, _raw))
        if any(r.denoised_mae is not None for r in chosen):
            title = f"x{scale}: MAE as a multiple of bicubic's, truth = the denoised frame"
            made.append(_ratio_table(title, chosen, _denoised))
        if any(r.plane_std is not None for r in chosen):
            made.append(_plane_table(f"x{scale}: standard deviation on planes, output / LR input", chosen))
    return made


def _raw(result: SensorResult) -> tuple[float, float, float | None] | None:
    return result.mae, result.bicubic_mae, result.floor


def _denoised(result: SensorResult) -> tuple[float, float, float | None] | None:
    return None if result.denoised_mae is None else (result.denoised_mae, result.denoised_bicubic_mae, None)


def _ratio_table(title: str, results: list[SensorResult], values: Callable) -> SensorTable:
    methods = [m for m in dict.fromkeys(r.method for r in results) if m != "bicubic"]
    with_floor = values is _raw
    rows, ratios, cameras = [], {}, {}
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
    return SensorTable(title, headings, rows)


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


def _plane_table(title: str, results: list[SensorResult]) -> SensorTable:
    methods = list(dict.fromkeys(r.method for r in results))
    rows = []
    for group in dict.fromkeys(r.group for r in results):
        for degradation in [d.name for d in DEGRADATIONS]:
            here = [r for r in results if (r.group, r.degradation) == (group, degradation) and r.plane_std is not None]
            if not here:
                continue
            inputs = [r.plane_std_input for r in here if r.method == "bicubic"]
            cells = [group, degradation, f"{np.mean(inputs):.2f} {here[0].unit}"]
            for method in methods:
                own = [(r.plane_std, r.plane_std_input) for r in here if r.method == method]
                cells.append(f"{sum(o for o, _ in own) / sum(i for _, i in own):.2f}" if own else "-")
            rows.append(cells)
    return SensorTable(title, ["frames", "LR made by", "LR input", *methods], rows)


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


def markdown(made: list[SensorTable], command: str) -> str:
    """The tables as GitHub Markdown, after the command that made them."""
    lines = [f"`{command}`", ""]
    for table in made:
        lines += [f"### {table.title}", "", "| " + " | ".join(table.headings) + " |"]
        lines.append("| --- | --- |" + " ---: |" * (len(table.headings) - 2))
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        lines.append("")
    return "\n".join([*lines, NOISE_TEXT]) + "\n"


def mean_markdown(results: list[SensorResult], command: str) -> str:
    """One short table: the mean of the cameras' ratios against the frame, a row per method, a column per LR input.

    Where a method did not run on every camera, each has a row over the cameras with RGB as well, or alone.
    """
    names = [d.name for d in DEGRADATIONS]
    lines = ["| MAE / bicubic's | scale | " + " | ".join(names) + " |", "| --- | --- |" + " ---: |" * len(names)]
    for scale in sorted({r.scale for r in results}):
        table = _ratio_table("", [r for r in results if r.scale == scale], _raw)
        for label, suffix in ((MEAN, ""), (MEAN_RGB, ", cameras with RGB")):
            means = {row[1]: row for row in table.rows if row[0] == label}
            for column, method in enumerate(table.headings[FIXED:], start=FIXED):
                cells = [means[name][column] if name in means else "-" for name in names]
                if any(cell != "-" for cell in cells):
                    lines.append(f"| {method}{suffix} | x{scale} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Written by `{command}`."]) + "\n"
