"""``python -m training.benchmark cards``: the scores in the cards of shipped weights, measured again.

The mean absolute difference over both views of the four held-out Middlebury 2006 scenes at third size, for LR maps by
MATLAB's bicubic kernel and by the block mean, in float32 on the CPU: the same on every machine to the three decimals
that a card holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from depth_sr_ros.atomic import write_file
from depth_sr_ros.zoo import choice
from depth_sr_ros.zoo.card import card_path, card_text, read_card

from .arguments import check_choices, names, progress_bar
from .datasets import DatasetError, Scenes
from .other_datasets import validation2006
from .rows import RowOptions, RowSpec
from .runner import evaluate

DATASET = "validation2006"
KERNELS = ("bicubic", "block_mean")
DECIMALS = 3


def cards_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.benchmark cards",
        description="Measure the scores in the cards of the weights that ship. Ends with 1 where a card differs.",
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that holds middlebury2006_third/")
    parser.add_argument("--files", type=names, help="comma-separated stems of weights files; default: all that ship")
    parser.add_argument("--write", action="store_true", help="write what was measured into the cards")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON on standard output")
    return parser


def cards_command(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for; 0 the cards agree or were written, 1 a card differs."""
    shipped = sorted(path.stem for path in choice.WEIGHTS_DIR.glob("*.safetensors"))
    stems = arguments.files or shipped
    check_choices("--files", stems, shipped)
    scenes = held_out(arguments.root)
    measured = {}
    with progress_bar() as progress:
        for stem in progress.track(stems, description="cards"):
            measured[stem] = card_scores(choice.WEIGHTS_DIR / f"{stem}.safetensors", scenes)
    noted = {stem: read_card(choice.WEIGHTS_DIR / stem).scores for stem in stems}
    if arguments.json:
        print(json.dumps(measured, indent=1))
    else:
        table = Table("file", "score", "card", "measured")
        for stem in stems:
            for name in measured[stem] | noted[stem]:
                table.add_row(stem, name, *(f"{of[stem].get(name, np.nan):.3f}" for of in (noted, measured)))
        Console().print(table)
    if arguments.write:
        for stem in stems:
            path = choice.WEIGHTS_DIR / stem
            card = read_card(path).model_copy(update={"scores": measured[stem]})
            write_file(card_path(path), card_text(card))
        return 0
    return int(not all(agree(noted[stem], measured[stem]) for stem in stems))


def agree(noted: dict[str, float], measured: dict[str, float]) -> bool:
    """Whether these are the same scores, to one in the last decimal: another processor may round otherwise."""
    return noted.keys() == measured.keys() and all(
        abs(noted[name] - value) < 1.5 * 10**-DECIMALS for name, value in measured.items()
    )


def held_out(root: Path) -> Scenes:
    """The scenes, under the folder that holds middlebury2006_third/."""
    return validation2006(root / "middlebury2006_third", None)


def card_scores(weights: Path, scenes: Scenes) -> dict[str, float]:
    """The scores of a weights file: `DATASET`/kernel to the mean absolute difference in 8-bit disparity levels.

    Raises:
        DatasetError: it cannot run.
    """
    card = read_card(weights)
    entry = RowSpec(f"{card.method}:{weights}", RowOptions(size=card.size, device="cpu", precision="float32"))
    results, problems = evaluate(DATASET, scenes, [entry], [card.scale], list(KERNELS), [0.0])
    if problems:
        raise DatasetError("; ".join(problems))
    return {
        f"{DATASET}/{kernel}": round(
            float(np.mean([result.scores["mad"] for result in results if result.lr_kernel == kernel])), DECIMALS
        )
        for kernel in KERNELS
    }
