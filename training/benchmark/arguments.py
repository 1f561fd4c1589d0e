"""Command-line options that the benchmark's commands share."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from depth_sr_ros.choices import ADJUSTMENTS, CONSTRAINT_KERNELS, PRECISIONS, SIZES

from .datasets import DatasetError
from .rows import RowOptions, RowSpec, available_methods, shipped_entries

FREE = "none"
SHIPPED = "shipped"
SHOWN = ["groups", "frames", "steps", "methods", "scales", "weights", "size", "precision", "consistent", "constraint"]


def add_method_options(parser: argparse.ArgumentParser, default: list[str]) -> None:
    """--methods and how they run; `entries_of` reads them."""
    parser.add_argument(
        "--methods",
        type=names,
        default=default,
        help=f"comma-separated from {', '.join(available_methods())}; 'all' of them; '{SHIPPED}': those that run as "
        f"installed, with all weights that ship; NAME:VARIANT takes other weights (default {','.join(default)})",
    )
    parser.add_argument(
        "--weights",
        help="a .safetensors file, a bundled variant's name, auto or clean (default: clean, for dada auto)",
    )
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of networks, as in DepthUpsampler")
    parser.add_argument(
        "--consistent",
        type=names,
        nargs="?",
        const=["additive"],
        default=[FREE],
        help="make the block mean of each result equal its input: additive (alone: that), multiplicative; several, "
        "such as none,additive, are rows of their own",
    )
    parser.add_argument(
        "--constraint", choices=CONSTRAINT_KERNELS, help="the LR kernel that diffusion methods hold their result to"
    )
    parser.add_argument("--self-ensemble", action="store_true", help="average over flips and transpositions (8 runs)")


def entries_of(arguments: argparse.Namespace) -> list[RowSpec]:
    """The rows that `add_method_options`' options ask for.

    Raises:
        DatasetError: an unknown method or adjustment, naming the choices.
    """
    check_choices("--consistent", arguments.consistent, (FREE, *ADJUSTMENTS))
    specs = []
    for spec in arguments.methods:
        if spec == SHIPPED:
            specs += [(entry.spec, entry.options.size) for entry in shipped_entries()]
        else:
            specs += [(name, None) for name in (available_methods() if spec == "all" else [spec])]
    check_choices("--methods", [spec.partition(":")[0] for spec, _ in specs], available_methods())
    entries = []
    for (spec, size), adjustment in itertools.product(specs, arguments.consistent):
        options = RowOptions(
            size=arguments.size or size,
            weights=arguments.weights,
            device=arguments.device,
            precision=arguments.precision,
            consistent=False if adjustment == FREE else adjustment,
            constraint=arguments.constraint,
            self_ensemble=arguments.self_ensemble,
        )
        entries.append(RowSpec(spec, options))
    return list(dict.fromkeys(entries))


def shown_command(name: str, parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """The command as a page shows it: what was not default, and the reader's own data folder in place of ours."""
    parts = ["python -m training.benchmark", name, "--root $DEPTH_SR_DATA"]
    for option in SHOWN:
        value = getattr(arguments, option, None)
        if value is not None and value != parser.get_default(option):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"--{option} {text}")
    if getattr(arguments, "self_ensemble", False):
        parts.append("--self-ensemble")
    if arguments.results:
        parts.append(f"--results {arguments.results.name if arguments.results.is_absolute() else arguments.results}")
    return " ".join(parts)


def check_choices(option: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `DatasetError` naming the choices when something given is unknown."""
    known = list(known)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise DatasetError(f"{option}: unknown {', '.join(unknown)}; choose from {', '.join(known)}")


def progress_bar() -> Progress:
    """A bar on standard error that leaves nothing behind."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


def names(text: str) -> list[str]:
    """Comma-separated names."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError("expected at least one name")
    return found


def integers(text: str) -> list[int]:
    """Comma-separated whole numbers."""
    return [int(part) for part in names(text)]


def floats(text: str) -> list[float]:
    """Comma-separated numbers."""
    return [float(part) for part in names(text)]
