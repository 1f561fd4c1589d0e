"""The published rows that stand beside the measured ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from .scores import PUBLISHED_NAMES

FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table.

    Attributes:
        source: paper and table.
        lr_kernel: as the paper says.
        printed: value by (scene, scale), digit for digit; the scene "mean" is the mean over the whole data set.
    """

    method: str
    guided: bool
    source: str
    dataset: str
    metric: str
    lr_kernel: str
    printed: dict[tuple[str, int], str]


@lru_cache(maxsize=1)
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row of the data file, in its order."""
    # BaseLoader leaves scalars as text: a printed 0.30 stays 0.30
    return tuple(_rows(yaml.load(FILE.read_text(), Loader=yaml.BaseLoader)))


def _rows(tables: list[dict]) -> Iterator[PublishedRow]:
    for table in tables:
        for row in table["rows"]:
            printed = {
                (scene, int(scale)): value
                for scene, values in row["scores"].items()
                for scale, value in zip(table["scales"], values, strict=True)
                if value != "null"
            }
            yield PublishedRow(
                method=row["method"],
                guided=row["guided"] == "true",
                source=table["paper"] if table["table"] == "-" else f"{table['paper']}, {table['table']}",
                dataset=table["dataset"],
                metric=PUBLISHED_NAMES.get(table["metric"], table["metric"]),
                lr_kernel=table["lr_kernel"],
                printed=printed,
            )


def rows_for(dataset: str, metric: str, columns: list[tuple[str, int]]) -> list[PublishedRow]:
    """The rows that have at least one of the wanted columns, without those that only repeat an earlier paper's row.

    Args:
        dataset: name of the data set.
        metric: one of `scores.SCORES`.
        columns: (scene, scale) pairs.
    """
    chosen: list[PublishedRow] = []
    for row in published_rows():
        values = {column: row.printed[column] for column in columns if column in row.printed}
        if row.dataset != dataset or row.metric != metric or not values:
            continue
        repeated = any(
            other.method == row.method and all(other.printed.get(c) == v for c, v in values.items()) for other in chosen
        )
        if not repeated:
            chosen.append(row)
    return chosen
