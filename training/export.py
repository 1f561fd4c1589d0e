"""``python -m training export CHECKPOINT -o OUT.safetensors``: a training checkpoint becomes weights that ship."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, NonNegativeInt, ValidationError

from depth_sr_ros.models import DepthSRModel, model_class
from depth_sr_ros.zoo.card import ModelCard, WeightsError
from depth_sr_ros.zoo.checked import build_network, check_values, specs_of
from depth_sr_ros.zoo.choice import load_model
from depth_sr_ros.zoo.import_weights import read_checkpoint as read_dictionary
from depth_sr_ros.zoo.weight_files import save_weights

PREFIX = "network."


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code (2: cannot read the checkpoint)."""
    parser = argparse.ArgumentParser(prog="python -m training export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a .ckpt that `python -m training fit` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors file; its card goes beside")
    parser.add_argument("--data", required=True, help="what it was trained on, in words, for the card")
    parser.add_argument("--lr-kernel", required=True, help="the LR kernel or kernels of the training, in words")
    parser.add_argument("--variant", default="", help='"" for the default weights, or a name such as "robust"')
    parser.add_argument("--score", action="append", default=[], metavar="NAME=VALUE", help="a score for the card")
    parser.add_argument("--notes", default="", help="units and protocol of the scores, and anything else")
    parser.add_argument("--licence", default="", help="terms under which the weights may be used")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="of the training")
    parser.add_argument("--half", action="store_true", help="store float16: half the size")
    parser.add_argument(
        "--prior",
        metavar="WEIGHTS",
        help="for dada with a prior: take these weights of it in place of those it was trained with: 'clean', a "
        "shipped variant's name such as 'robust', or a .safetensors file; the checkpoint's validation score is dropped",
    )
    parser.add_argument(
        "--average",
        type=Path,
        metavar="FILE",
        help="export the mean of the checkpoint's weights and this file's; the "
        "checkpoint's validation score is left out",
    )
    parser.add_argument("--json", action="store_true", help="print the card as JSON")
    given = parser.parse_args(arguments)
    try:
        model, checkpoint = read_checkpoint(given.checkpoint)
        changes = []
        if given.average is not None:
            average(model, given.average)
            changes.append(f"the mean of these weights and those of {given.average.name}")
        if given.prior is not None:
            name = exchange_prior(model, given.prior)
            changes.append(f"the prior {name} it was trained with was exchanged for the {given.prior} weights of it")
        validated = {} if changes else validation_scores(checkpoint)  # a score of other weights is not these weights'
        card = card_of(
            model,
            checkpoint,
            variant=given.variant,
            data=given.data,
            lr_kernel=given.lr_kernel,
            date=given.date,
            scores=validated | parse_scores(given.score),
            notes="; ".join(filter(None, [given.notes, *changes])),
            licence=given.licence,
        )
        save_weights(model, given.output, card, half=given.half)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(card.model_dump()) if given.json else f"wrote {given.output} and its card")
    return 0


class NetworkDescription(BaseModel):
    """How to build the network of a checkpoint again: the arguments of `create_model`."""

    method: str
    scale: int
    size: str
    options: dict[str, Any]


class CheckpointContents(BaseModel):
    """What is read of a training checkpoint."""

    network: NetworkDescription
    state_dict: dict[str, Any]
    global_step: NonNegativeInt
    validated: dict[str, float] | None = None


def card_of(model: DepthSRModel, checkpoint: dict[str, Any], **fields: Any) -> ModelCard:
    """The card of what `read_checkpoint` gave: network and steps are the checkpoint's, the rest is said in `fields`."""
    return ModelCard(
        method=model.name,
        scale=model.scale,
        size=model.size,
        options=checkpoint["network"]["options"],
        steps=checkpoint["global_step"],
        **fields,
    )


def read_checkpoint(path: Path) -> tuple[DepthSRModel, dict[str, Any]]:
    """The trained network of a checkpoint (the averaged weights where the run averaged them), and the checkpoint.

    Raises:
        WeightsError: missing or damaged file, pickled code in it, no checkpoint of this package, tensors that do
            not fit, hold NaN or Inf, or are beyond `checked.MAX_MAGNITUDE`.
    """
    try:
        checkpoint = read_dictionary(path)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be read as a checkpoint without running code from it: {error}") from None
    try:
        contents = CheckpointContents.model_validate(checkpoint)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise WeightsError(f"{path} is no checkpoint of `python -m training fit`: {wrong}") from None
    state = {key.removeprefix(PREFIX): value for key, value in contents.state_dict.items() if key.startswith(PREFIX)}
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} is no checkpoint of `python -m training fit`: its weights are no tensors")
    check_values(str(path), state)
    network = contents.network
    try:
        model_class(network.method)
        model = build_network(
            str(path), str(path), network.method, network.scale, network.size, network.options, specs_of(state)
        )
    except ValueError as error:
        raise error if isinstance(error, WeightsError) else WeightsError(f"{path}: {error}") from None
    model.load_state_dict(state)
    return model, checkpoint


def average(model: DepthSRModel, file: Path) -> None:
    """Replace a model's weights by the mean of them and a .safetensors file's.

    Raises:
        WeightsError: no such file, or one of another network.
    """
    own = model.state_dict()
    other, _, _ = load_model(model.name, model.scale, model.size, file)
    if {key: value.shape for key, value in other.state_dict().items()} != {key: v.shape for key, v in own.items()}:
        raise WeightsError(f"--average {file} is of {model.name} with other options: a mean needs the same network")
    model.load_state_dict({key: (own[key] + value) / 2 for key, value in other.state_dict().items()})


def exchange_prior(model: DepthSRModel, weights: str) -> str:
    """Put other weights of the single-depth network into a model that has one as its prior; returns its name.

    Args:
        model: with a prior.
        weights: as `load_model` takes them: "clean", a shipped variant's name or a .safetensors file.

    Raises:
        ValueError: the model has no prior, or one of other widths.
        WeightsError: no such weights.
    """
    prior = getattr(model, "prior", None)
    if prior is None:
        raise ValueError(f"--prior {weights} came for {model.name} without a prior")
    other, card, _ = load_model(prior.name, model.scale, prior.size, weights)
    try:
        prior.load_state_dict(other.state_dict())
    except RuntimeError:
        made_with = card.options if card else {}
        raise ValueError(
            f"--prior {weights} is {prior.name} with options {made_with}, and the prior of this checkpoint was made "
            "with others: their weights do not fit"
        ) from None
    return prior.name


def validation_scores(checkpoint: dict[str, Any]) -> dict[str, float]:
    """{"validation": MAD} where these very weights were validated; {} when the last validation was at another step."""
    validated = checkpoint.get("validated") or {}
    mad = validated.get("mad", math.nan)
    return {"validation": mad} if validated.get("step") == checkpoint["global_step"] and math.isfinite(mad) else {}


def parse_scores(pairs: list[str]) -> dict[str, float]:
    """{"middlebury2005/Books": 0.085} from ["middlebury2005/Books=0.085"].

    Raises:
        ValueError: for a pair that is not NAME=VALUE.
    """
    scores = {}
    for pair in pairs:
        name, equals, value = pair.rpartition("=")
        if not (name and equals):
            raise ValueError(f"a score is NAME=VALUE, got {pair!r}")
        scores[name] = float(value)
    return scores
