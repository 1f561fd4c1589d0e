"""``depth-sr import-weights``: a checkpoint that authors publish becomes a weights file of this package.

Nothing is downloaded here, and nothing in a checkpoint is run: tensors, numbers and strings are read from it, or it is
refused.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .card import ModelCard

# torch takes seconds to import, and `depth-sr --help` does without it: it is imported where it is needed.

FORMATS = ("dada",)
DEPTH_UNITS = {"middlebury": 1.1227, "nyuv2": 1.38605, "diml": 1.15429}
"""The authors divide depth by its standard deviation over the data set, in metres here."""
SOURCE_URL = "https://github.com/prs-eth/Diffusion-Super-Resolution"
EXTRACTOR, KAPPA = "feature_extractor.1.", "logk"
LEFTOVERS = {"logk2", "mean_guide", "std_guide"}  # of an older code base; never used by the published network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the checkpoint, as downloaded (.pth)")
    parser.add_argument("--format", choices=FORMATS, required=True, help=f"dada: {SOURCE_URL}")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="the .safetensors file")
    parser.add_argument("--scale", type=int, help="what it was trained for (default: the args.csv beside FILE)")
    parser.add_argument(
        "--dataset", choices=sorted(DEPTH_UNITS), help="what it was trained on (default: the args.csv beside FILE)"
    )
    parser.add_argument("--half", action="store_true", help="store float16: half the size")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def main(args: argparse.Namespace) -> None:
    """Run the command with parsed arguments.

    Raises:
        WeightsError: see `import_dada`.
    """
    card = import_dada(args.file, args.output, args.scale, args.dataset, args.half)
    if args.json:
        print(json.dumps({"output": str(args.output), **card.model_dump()}))
    else:
        print(f"wrote {args.output} and its card: {card.method} x{card.scale} {card.size}, {card.data}")


def import_dada(
    file: Path, output: Path, scale: int | None = None, dataset: str | None = None, half: bool = False
) -> ModelCard:
    """Convert a checkpoint of DADA's published code (its `best_model.pth`) into weights of `dada` `paper`.

    The network has the same tensors at every scale, so the checkpoint itself cannot tell its scale; the training run's
    `args.csv`, where it lies beside the file, does.

    Args:
        file: the checkpoint.
        output: ends in ``.safetensors``; its card is written beside it.
        scale: upsampling factor it was trained for; None takes it from `args.csv`.
        dataset: a key of `DEPTH_UNITS`; None takes it from `args.csv`.
        half: store float16.

    Returns:
        The card.

    Raises:
        WeightsError: missing, truncated or damaged file, pickled code in it, another network's checkpoint, a scale or
            data set that is unknown or contradicts `args.csv`.
    """
    import torch

    from ..models.dada import DADA
    from .card import ModelCard, WeightsError
    from .weight_files import save_weights

    checkpoint = read_checkpoint(file)
    run = _training_run(file.parent / "args.csv")
    scale = _agreed("scale", scale, run.get("scaling"), "--scale 8")
    dataset = _agreed("dataset", dataset, run.get("dataset"), "--dataset nyuv2")
    if dataset not in DEPTH_UNITS:
        raise WeightsError(f"unknown dataset {dataset!r}: expected one of {', '.join(sorted(DEPTH_UNITS))}")
    if scale not in DADA.scales:
        raise WeightsError(f"dada has scales {DADA.scales[0]} to {DADA.scales[-1]}, got {scale}")
    options: dict[str, Any] = {"depth_unit": DEPTH_UNITS[dataset]}
    with torch.device("meta"):  # names and shapes alone: the numbers come from the checkpoint
        model = DADA(scale, "paper", **options)
    model.load_state_dict(_fitting_state(file, checkpoint, model.state_dict()), assign=True)
    card = ModelCard(
        method="dada",
        scale=scale,
        size="paper",
        variant=dataset,
        options=options,
        data=f"{dataset}, trained by the authors of DADA",
        lr_kernel="block mean",
        steps=int(checkpoint.get("iter", 0)) if isinstance(checkpoint.get("iter", 0), int) else 0,
        date=datetime.date.today().isoformat(),
        notes=f"converted from {file.name} of {SOURCE_URL}; the date is that of the conversion; depth in metres",
        licence="the authors': see their repository",
    )
    save_weights(model, output, card, half=half)
    return card


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint, read without running code from it.

    Raises:
        WeightsError: missing, truncated or damaged file, or one that holds anything but tensors and plain values.
    """
    import torch

    from .card import WeightsError

    if not file.is_file():
        raise WeightsError(f"no checkpoint at {file}")
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        text = str(error)
        if "Unsupported global" in text or "Unsupported class" in text:
            what = text.partition("Unsupported ")[2].split("\n")[0][:120]
            raise WeightsError(
                f"{file.name} holds pickled code (unsupported {what}), and loading it would run that code: refused. "
                "Ask its author for a file that holds tensors alone."
            ) from None
        raise WeightsError(
            f"{file.name} ({file.stat().st_size} bytes) is truncated, damaged or no torch checkpoint "
            f"({type(error).__name__}): get it again, and compare its size with the original's"
        ) from None
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"{file.name} holds a {type(checkpoint).__name__}, a dictionary of tensors was expected")
    return checkpoint


def _training_run(path: Path) -> dict[str, Any]:
    """`scaling` and `dataset` from the settings that the authors' training script leaves beside its checkpoints."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        settings = {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}
    run: dict[str, Any] = {}
    if settings.get("scaling", "").isdigit():
        run["scaling"] = int(settings["scaling"])
    if settings.get("dataset"):
        run["dataset"] = settings["dataset"].lower()
    return run


def _agreed(name: str, given: Any, recorded: Any, example: str) -> Any:
    from .card import WeightsError

    if given is None and recorded is None:
        raise WeightsError(f"the checkpoint does not say its {name}, and no args.csv beside it does: give {example}")
    if given is not None and recorded is not None and given != recorded:
        raise WeightsError(
            f"args.csv beside the checkpoint says that it was trained with {name} {recorded}, not {given}: "
            f"give --{name} {recorded}, or none"
        )
    return recorded if given is None else given


def _fitting_state(
    file: Path, checkpoint: dict[str, Any], expected: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The checkpoint's tensors under this package's names; exactly those of `expected`, in shape too."""
    import torch

    from .card import WeightsError

    state = checkpoint.get("model", checkpoint)
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(
            f"{file.name} is no checkpoint of DADA: expected tensors by name, or a dictionary of them under 'model'; "
            f"found {', '.join(map(str, list(checkpoint)[:5])) or 'nothing'}"
        )
    names = {_published_name(own): own for own in expected}
    missing = sorted(names.keys() - state.keys())
    unknown = sorted(str(key) for key in state.keys() - names.keys() - LEFTOVERS)
    if missing or unknown:
        raise WeightsError(
            f"{file.name} is another network's checkpoint, or incomplete: of the {len(names)} tensors of DADA's U-Net "
            f"with ResNet-50 encoder {len(missing)} are missing ({', '.join(missing[:3]) or 'none'}) and "
            f"{len(unknown)} are unknown ({', '.join(unknown[:3]) or 'none'})"
        )
    converted = {}
    for name, own in names.items():
        value, shape = state[name], tuple(expected[own].shape)
        if tuple(value.shape) != shape:
            raise WeightsError(
                f"{file.name} is for another network: {name} has shape {tuple(value.shape)}, expected {shape}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{file.name}: {name} holds NaN or Inf, so the training that wrote it diverged")
        converted[own] = value.to(expected[own].dtype)
    return converted


def _published_name(own: str) -> str:
    return KAPPA if own == "log_kappa" else EXTRACTOR + own.removeprefix("features.")
