"""``python -m training.benchmark compare``: every method that ships, side by side.

Two data sets, Books and Laundry of Middlebury 2005 at full size and the held-out scenes of Middlebury 2006 at third
size (both views), each with two LR kernels: the papers' MATLAB bicubic and the block mean, which is what a depth camera
does. Time and parameters are those of the full-size images. On the papers' LR images there, diffusion weights held to
that kernel have a second row, averaged over flips and transpositions.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from depth_sr_ros.atomic import write_file
from depth_sr_ros.choices import ADJUSTMENTS
from depth_sr_ros.models import diffuses, list_models, model_class
from depth_sr_ros.zoo.choice import bundled_cards

from .arguments import SHIPPED, add_method_options, entries_of, integers, progress_bar, shown_command
from .datasets import middlebury2005
from .other_datasets import validation2006
from .protocols import PROTOCOL
from .results import Origin, today, write_results
from .rows import RowSpec
from .runner import RowResult, evaluate
from .tables import (
    MEAN,
    CostRow,
    ScoreTable,
    cost_records,
    cost_rows,
    machine,
    print_report,
    score_records,
    score_table,
)

FULL_SIZE, HELD_OUT = "middlebury2005", "validation2006"
SCENES = ["Books", "Laundry"]
RESULTS = (FULL_SIZE, HELD_OUT, "cost", "consistency")
LR_KERNEL_NAMES = {PROTOCOL: "bicubic", "block_mean": "block_mean"}
"""What results files call the LR kernels of the comparison: MATLAB's bicubic (as the papers round it), block mean."""


def compare_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark compare",
        description="Compare all methods that run as installed.",
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="folder that holds middlebury2005/ and middlebury2006_third/"
    )
    parser.add_argument("--scales", type=integers, default=[2, 4, 8, 16], help="comma-separated, default 2,4,8,16")
    add_method_options(parser, [SHIPPED])
    parser.add_argument("--results", type=Path, help=f"folder for {', '.join(RESULTS)} as CSV files")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        results: by data set and LR kernel ("protocol" is MATLAB bicubic).
        consistency: single-depth methods on the held-out scenes with and without consistency, both kernels; may be
            empty.
    """

    results: dict[tuple[str, str], list[RowResult]]
    consistency: list[RowResult]

    def table(self, dataset: str, lr_kernel: str) -> ScoreTable:
        """MAD: all scenes of the full-size data set with the published rows, only the mean of the held-out ones."""
        full = dataset == FULL_SIZE
        found = self.results[dataset, lr_kernel]
        return score_table(found, "mad", with_published=full and lr_kernel == PROTOCOL, means_only=not full)

    def costs(self) -> list[CostRow]:
        """Of the full-size images with bicubic LR."""
        return cost_rows(self.results[FULL_SIZE, PROTOCOL])


def compare_command(arguments: argparse.Namespace) -> int:
    """Run, print, and write what was asked for; 0 done, 1 nothing could run."""
    entries = entries_of(arguments)
    data = {
        FULL_SIZE: middlebury2005(arguments.root / "middlebury2005", SCENES),
        HELD_OUT: validation2006(arguments.root / "middlebury2006_third", None),
    }
    results, problems = {}, []
    held = [replace(entry, options=replace(entry.options, consistent=how)) for entry in entries for how in ADJUSTMENTS]
    held = [entry for entry in dict.fromkeys([*entries, *held]) if not _diffuses(entry) and not _guided(entry)]
    with progress_bar() as progress:
        task = progress.add_task("compare", total=None)
        for dataset, scenes in data.items():
            for lr_kernel in (PROTOCOL, "block_mean"):
                results[dataset, lr_kernel], missing = evaluate(
                    dataset,
                    scenes,
                    _rows(entries, dataset, lr_kernel),
                    arguments.scales,
                    [lr_kernel],
                    [0.0],
                    on_step=lambda text: progress.update(task, advance=1, description=text),
                )
                problems += missing
        consistency, _ = evaluate(
            HELD_OUT,
            data[HELD_OUT],
            held,
            arguments.scales,
            [PROTOCOL, "block_mean"],
            [0.0],
            on_step=lambda text: progress.update(task, advance=1, description=f"{text}, consistency"),
        )
    for problem in dict.fromkeys(problems):
        print(f"warning: {problem}", file=sys.stderr)
    if not all(results.values()):
        print("error: no method could run", file=sys.stderr)
        return 1
    comparison = Comparison(results, consistency)
    print_report([comparison.table(*key) for key in results], comparison.costs(), Console())
    command = shown_command("compare", compare_parser(), arguments)
    if arguments.results:
        for name, (rows, origin) in result_files(comparison, command).items():
            print(f"{write_results(arguments.results, name, rows, origin)} written")
    if arguments.json:
        records = [result.as_json() for found in results.values() for result in found]
        document = {
            "command": command,
            "machine": machine(),
            "results": records,
            "consistency": [result.as_json() for result in comparison.consistency],
            "problems": problems,
        }
        write_file(arguments.json, json.dumps(document, indent=1) + "\n")
    return 0


def _rows(entries: list[RowSpec], dataset: str, lr_kernel: str) -> list[RowSpec]:
    """The entries, and on the LR images of the papers what suits these better."""
    if lr_kernel != PROTOCOL:
        return entries
    return _matching_constraints(entries) + (_ensembled(entries) if dataset == FULL_SIZE else [])


def _matching_constraints(entries: list[RowSpec]) -> list[RowSpec]:
    """With each diffusion method also one that is held to the bicubic kernel which made the LR image, unless its
    weights hold it to that already or its block mean is to equal the image."""
    matched = []
    for entry in entries:
        matched.append(entry)
        held = entry.options.constraint or entry.options.consistent or _made_for_bicubic(entry)
        if _diffuses(entry) and not held:
            matched.append(replace(entry, options=replace(entry.options, constraint="bicubic")))
    return matched


def _ensembled(entries: list[RowSpec]) -> list[RowSpec]:
    """What eight times the time gives the diffusion weights that are held to the papers' kernel."""
    return [
        replace(entry, options=replace(entry.options, self_ensemble=True))
        for entry in entries
        if _made_for_bicubic(entry) and not entry.options.self_ensemble
    ]


def _diffuses(entry: RowSpec) -> bool:
    name = entry.spec.partition(":")[0]
    return name in list_models() and diffuses(name)


def _made_for_bicubic(entry: RowSpec) -> bool:
    name, _, variant = entry.spec.partition(":")
    return any(
        (card.method, card.variant, card.options.get("lr_kernel")) == (name, variant, "bicubic")
        for card in bundled_cards()
    )


def _guided(entry: RowSpec) -> bool:
    name = entry.spec.partition(":")[0]
    return name not in list_models() or model_class(name).requires_guide


def result_files(comparison: Comparison, command: str) -> dict[str, tuple[list[dict], Origin]]:
    """Rows and origin of each of `RESULTS`."""
    measured, made = today(), machine()
    mad = "mean absolute difference in 8-bit disparity levels"
    files: dict[str, tuple[list[dict], Origin]] = {}
    for name in (FULL_SIZE, HELD_OUT):
        rows = [
            record
            for lr_kernel, label in LR_KERNEL_NAMES.items()
            for record in score_records(comparison.table(name, lr_kernel), label)
        ]
        scoring = comparison.table(name, PROTOCOL).scoring
        files[name] = rows, Origin(command, measured, "", f"{mad}; protocol {scoring}")
    cost = "seconds: of one full-size image; times_bicubic: the same over bicubic's; lr_consistency: 8-bit levels"
    files["cost"] = cost_records(comparison.costs()), Origin(command, measured, made, cost)
    if comparison.consistency:
        unit = f"lr_consistency: mean |down(output) - input| in 8-bit levels; mad: {mad}"
        files["consistency"] = consistency_records(comparison.consistency), Origin(command, measured, "", unit)
    return files


def consistency_records(results: list[RowResult]) -> list[dict]:
    """LR consistency and MAD of each method, free, additive and multiplicative: means over the scenes."""
    records: dict[tuple, dict] = {}
    for lr_kernel, label in LR_KERNEL_NAMES.items():
        chosen = [result for result in results if result.lr_kernel == lr_kernel]
        for metric in ("lr_consistency", "mad"):
            table = score_table(chosen, metric, with_published=False, means_only=True)
            for record in score_records(table, label):
                key = (record["method"], label, record["scale"])
                plain = {"method": record["method"], "lr_kernel": label, "scale": record["scale"]}
                records.setdefault(key, plain)[metric] = record[MEAN]
    return list(records.values())
