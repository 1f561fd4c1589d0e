"""The paper's table, measured rows and published rows together: for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from depth_sr_ros.atomic import write_file
from depth_sr_ros.inference.precision import fastest_precision

from .datasets import SCENES_2005
from .protocols import PROTOCOL
from .published import rows_for
from .runner import RowResult
from .scores import HIGHER_IS_BETTER

MEAN = "mean"
COLUMNS_PER_TABLE = 12
MOST_SCENES = 12
"""Data sets of more scenes than this are shown by their mean only."""
SCORE_TITLES = {
    "mad": "MAD",
    "rmse": "RMSE",
    "mse": "MSE",
    "psnr": "PSNR (dB)",
    "pe": "PE (% of pixels off by more than 4 levels)",
    "lr_consistency": "LR consistency, mean |down(output) - input|",
}

Column = tuple[str, int]


@dataclass(frozen=True)
class Row:
    """A line of a table: what it is, where it comes from, its cells by (scene, scale), and the paper's own digits."""

    method: str
    source: str
    lr_kernel: str
    cells: dict[Column, float]
    measured: bool
    printed: dict[Column, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreTable:
    """One metric over all columns; `scoring` says by which protocol the measured rows were scored."""

    title: str
    metric: str
    columns: list[Column]
    rows: list[Row]
    scoring: str

    def text(self, value: float | None) -> str:
        """A cell: three decimals for measured precision, "-" where there is none."""
        if value is None or not np.isfinite(value):
            return "-"
        if self.metric == "lr_consistency":
            return f"{value:.1e}"
        return f"{value:.2f}" if self.metric in ("psnr", "pe") or abs(value) >= 100 else f"{value:.3f}"

    def best(self, column: Column) -> float | None:
        """The best measured value of a column."""
        values = [row.cells[column] for row in self.rows if row.measured and column in row.cells]
        if not values:
            return None
        return max(values) if self.metric in HIGHER_IS_BETTER else min(values)


def score_table(
    results: list[RowResult], metric: str, with_published: bool = True, means_only: bool = False
) -> ScoreTable:
    """Arrange results as the papers do: a row per method and LR input, a column per scene and scale.

    The mean column is over the scenes of this run. Published rows get it when they have all of these scenes; a paper
    that gives the mean of the data set only shows it when all scenes of that data set ran. `means_only` leaves that
    column alone, as many scenes do by themselves.
    """
    scenes = list(dict.fromkeys(r.scene for r in results))
    scales = sorted({r.scale for r in results})
    columns = [(scene, scale) for scene in scenes for scale in scales]
    if means_only or len(scenes) > MOST_SCENES:
        columns = []
    rows = _measured_rows(results, metric)
    if with_published:
        rows += _published_rows(results, metric, columns, scales)
    if len(scenes) > 1:
        columns += [(MEAN, scale) for scale in scales]
        for row in rows:
            _add_means(row, scenes, scales)
    first = results[0]
    unit = "" if metric in ("psnr", "pe") else f", {first.unit}" + ("^2" if metric == "mse" else "")
    return ScoreTable(f"{first.dataset}: {SCORE_TITLES[metric]}{unit}", metric, columns, rows, _scoring_text(results))


def _measured_rows(results: list[RowResult], metric: str) -> list[Row]:
    rows: dict[tuple, Row] = {}
    for result in results:
        if metric not in result.scores:
            continue
        key = (result.method, result.lr_kernel, result.noise)
        if key not in rows:
            rows[key] = Row(result.method, "measured", _kernel_text(results, *key[1:]), {}, True)
        rows[key].cells[result.scene, result.scale] = result.scores[metric]
    return list(rows.values())


def _kernel_text(results: list[RowResult], lr_kernel: str, noise: float) -> str:
    names = {r.kernel for r in results if r.lr_kernel == lr_kernel}
    protocols = " / ".join(sorted({r.protocol for r in results if r.lr_kernel == lr_kernel}))
    text = " / ".join(sorted(names))
    if lr_kernel == PROTOCOL and results[0].dataset == "middlebury2005":
        text = f"{protocols}: {text}"
    return f"{text} + noise {noise:g}" if noise else text


def _scoring_text(results: list[RowResult]) -> str:
    protocols: dict[str, list[str]] = {}
    for result in results:
        protocols.setdefault(result.scoring, []).append(result.protocol)
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {scoring}" for scoring, names in protocols.items())


def _published_rows(results: list[RowResult], metric: str, columns: list[Column], scales: list[int]) -> list[Row]:
    wanted = list(columns)
    if _whole_dataset(results):
        wanted += [(MEAN, scale) for scale in scales]
    datasets = {f"{r.dataset}_noisy" if r.noise else r.dataset: None for r in results}  # noisy LR has tables of its own
    rows = []
    for published in (row for dataset in datasets for row in rows_for(dataset, metric, wanted)):
        printed = {column: published.printed[column] for column in wanted if column in published.printed}
        cells = {column: float(text) for column, text in printed.items()}
        rows.append(Row(published.method, published.source, published.lr_kernel, cells, False, printed))
    return rows


def _whole_dataset(results: list[RowResult]) -> bool:
    return results[0].dataset != "middlebury2005" or {r.scene for r in results} == set(SCENES_2005)


def _add_means(row: Row, scenes: list[str], scales: list[int]) -> None:
    for scale in scales:
        values = [row.cells[scene, scale] for scene in scenes if (scene, scale) in row.cells]
        if len(values) == len(scenes) and (MEAN, scale) not in row.cells:
            row.cells[MEAN, scale] = float(np.mean(values))


@dataclass(frozen=True)
class CostRow:
    """What a method costs at one scale: learned values, median seconds per image, multiple of bicubic's time."""

    method: str
    scale: int
    parameters: int | None
    seconds: float
    time_ratio: float
    lr_consistency: float
    note: str


def cost_rows(results: list[RowResult]) -> list[CostRow]:
    """One row per method and scale, over all scenes and LR inputs of the run."""
    groups: dict[tuple[str, int], list[RowResult]] = {}
    for result in results:
        groups.setdefault((result.method, result.scale), []).append(result)
    return [
        CostRow(
            method,
            scale,
            group[0].parameters,
            float(np.median([r.seconds for r in group])),
            float(np.median([r.time_ratio for r in group])),
            float(np.mean([r.scores["lr_consistency"] for r in group])),
            group[0].note,
        )
        for (method, scale), group in groups.items()
    ]


def column_blocks(table: ScoreTable, most: int = COLUMNS_PER_TABLE) -> list[list[Column]]:
    """The columns in groups of whole scenes, at most `most` in a group unless one scene has more."""
    blocks: list[list[Column]] = [[]]
    scenes = list(dict.fromkeys(scene for scene, _ in table.columns))
    for scene in scenes:
        own = [column for column in table.columns if column[0] == scene]
        if blocks[-1] and len(blocks[-1]) + len(own) > most:
            blocks.append([])
        blocks[-1] += own
    return blocks


def print_report(tables: list[ScoreTable], costs: list[CostRow], console: Console) -> None:
    """Print the tables; the best measured value of each column is bold."""
    for table in tables:
        for block in column_blocks(table, most=max(4, (console.width - 42) // 8)):
            grid = Table(title=table.title, title_justify="left", padding=(0, 0, 0, 1), box=box.SIMPLE_HEAD)
            for heading in ("method", "source", "LR kernel"):
                grid.add_column(heading, overflow="fold", min_width=12)
            for scene, scale in block:
                grid.add_column(f"{scene}\nx{scale}", justify="right", overflow="fold", min_width=5)
            measured_before = True
            for row in table.rows:
                if not any(column in row.cells for column in block):
                    continue
                if measured_before and not row.measured:
                    grid.add_section()
                measured_before = row.measured
                cells = [_marked(table, row, column, "[bold]", "[/bold]") for column in block]
                grid.add_row(row.method, row.source, row.lr_kernel, *cells)
            console.print(grid)
        console.print(f"Protocol {table.scoring}.")
    grid = Table(title="cost per image", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("method", "scale", "parameters", "time (s)", "x bicubic", "LR consistency"):
        grid.add_column(heading, justify="left" if heading == "method" else "right")
    for cost in costs:
        grid.add_row(*_cost_cells(cost))
    console.print(grid)


def _marked(table: ScoreTable, row: Row, column: Column, start: str, end: str) -> str:
    value = row.cells.get(column)
    text = row.printed.get(column) or table.text(value)
    return f"{start}{text}{end}" if row.measured and value is not None and value == table.best(column) else text


def _cost_cells(cost: CostRow) -> list[str]:
    return [
        cost.method,
        f"x{cost.scale}",
        "-" if cost.parameters is None else f"{cost.parameters:,}",
        f"{cost.seconds:.3f}",
        f"{cost.time_ratio:.0f}",
        f"{cost.lr_consistency:.2g}",
    ]


def markdown(tables: list[ScoreTable], costs: list[CostRow], command: str, problems: Iterable[str]) -> str:
    """The whole report as GitHub Markdown; names the command and the machine that made it."""
    lines = ["# Benchmark", "", f"`{command}`", "", f"{machine()}. The best measured value of each column is bold.", ""]
    for table in tables:
        lines += [f"## {table.title}", "", table_markdown(table)]
    lines += ["## Cost per image", "", cost_markdown(costs)]
    lines += [f"- {problem}" for problem in problems]
    return "\n".join(lines).rstrip() + "\n"


def table_markdown(table: ScoreTable) -> str:
    """One table, in blocks of columns."""
    lines = []
    for block in column_blocks(table):
        lines.append("| method | source | LR kernel | " + " | ".join(f"{n} x{s}" for n, s in block) + " |")
        lines.append("| --- | --- | --- |" + " ---: |" * len(block))
        for row in table.rows:
            if any(column in row.cells for column in block):
                cells = [_marked(table, row, column, "**", "**") for column in block]
                lines.append("| " + " | ".join([row.method, row.source, row.lr_kernel, *cells]) + " |")
        lines.append("")
    lines += [f"Protocol {table.scoring}.", ""]
    return "\n".join(lines)


def cost_markdown(costs: list[CostRow]) -> str:
    """What each method costs, a line per scale."""
    lines = ["| method | scale | parameters | time (s) | x bicubic | LR consistency | weights or settings |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    lines += ["| " + " | ".join([*_cost_cells(cost), cost.note or "-"]) + " |" for cost in costs]
    return "\n".join([*lines, ""])


def machine() -> str:
    """Processor count, device, precision and library versions: what a time depends on."""
    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} CPU threads"
    precision = fastest_precision(torch.device("cuda" if cuda else "cpu"))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.machine()}, {device}, networks in {precision}, diffusions in float32, {versions}"


def score_records(table: ScoreTable, lr_kernel: str) -> list[dict[str, str | int]]:
    """The table's cells for a results file: a record per row and scale, a column per scene, digits as shown."""
    records = []
    for row in table.rows:
        for scale in sorted({scale for _, scale in row.cells}):
            record: dict[str, str | int] = {"method": row.method, "source": row.source}
            record |= {"lr_kernel": lr_kernel, "scale": scale}
            for scene, of_scale in table.columns:
                cell = (scene, of_scale)
                if of_scale == scale and cell in row.cells:
                    record[scene] = row.printed.get(cell) or table.text(row.cells[cell])
            records.append(record)
    return records


def cost_records(costs: list[CostRow]) -> list[dict[str, str | int | None]]:
    """What each method costs, for a results file."""
    return [
        {
            "method": cost.method,
            "scale": cost.scale,
            "parameters": cost.parameters,
            "seconds": f"{cost.seconds:.3f}",
            "times_bicubic": f"{cost.time_ratio:.0f}",
            "lr_consistency": f"{cost.lr_consistency:.2g}",
            "weights": cost.note,
        }
        for cost in costs
    ]


def write_json(
    path: Path, results: list[RowResult], tables: list[ScoreTable], command: str, problems: list[str]
) -> None:
    """Everything measured, one record per method, scene, scale and LR input, and the published rows shown."""
    published = [
        {
            "metric": table.metric,
            "method": row.method,
            "source": row.source,
            "lr_kernel": row.lr_kernel,
            "scores": [{"scene": n, "scale": s, "value": v} for (n, s), v in row.cells.items()],
        }
        for table in tables
        for row in table.rows
        if not row.measured
    ]
    document = {
        "command": command,
        "machine": machine(),
        "results": [result.as_json() for result in results],
        "published": published,
        "problems": problems,
    }
    write_file(path, json.dumps(document, indent=1) + "\n")
