"""The model card: a JSON file beside each weights file that says what it holds and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class WeightsError(ValueError):
    """Weights that cannot be used: missing, damaged, or made for another network. The message says what to do."""


class ModelCard(BaseModel):
    """What a weights file holds and where it comes from.

    Attributes:
        method: the network's name in the registry.
        scale, size: of the network.
        variant: tells several weights of one method, scale and size apart; "" for the first ones.
        options: further keyword arguments of the network.
        data: what it was trained on.
        lr_kernel: the LR kernel or kernels of the training, in words.
        steps: optimiser steps.
        date: of the training, ISO 8601.
        scores: "validation2006/bicubic" and "validation2006/block_mean" (data set and LR kernel) to the mean absolute
            difference in 8-bit disparity levels, as ``python -m training.benchmark cards`` measures it; a card that
            `export` wrote also has "validation", the training's own last one.
        notes: how it was trained.
        licence: terms under which the weights may be used.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    method: str
    scale: int
    size: str
    variant: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    data: str
    lr_kernel: str
    steps: int
    date: str
    scores: dict[str, float] = Field(default_factory=dict)
    notes: str = ""
    licence: str = ""


def card_path(path: str | Path) -> Path:
    """Where the card of a weights file lies."""
    return Path(path).with_suffix(".json")


def read_card(path: str | Path) -> ModelCard:
    """The card beside a weights file.

    Raises:
        WeightsError: when it is missing, cannot be read or is not a card.
    """
    try:
        return ModelCard.model_validate_json(card_path(path).read_bytes())
    except FileNotFoundError:
        raise WeightsError(f"{card_path(path)} is missing: a weights file needs its card beside it") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{card_path(path)} is not a model card: {error}") from None


def card_text(card: ModelCard) -> str:
    """The JSON text that `read_card` reads."""
    return json.dumps(card.model_dump(), indent=2) + "\n"
