"""What the registry offers, as plain data: `depth-sr models`."""

from __future__ import annotations

from typing import Any

import torch

from ..models import create_model, list_models, model_class
from .card import ModelCard
from .choice import bundled_cards, weights_path


def catalogue() -> list[dict[str, Any]]:
    """One entry per network, sorted by name.

    Each has `name`, `input` ("depth" or "depth + RGB"), `scales`, `parameters` (count by size, at `parameters_scale`),
    and `weights`: size, scale, variant and file of those that ship with the package.
    """
    cards = bundled_cards()
    rows = []
    for name in list_models():
        cls = model_class(name)
        scale = 4 if 4 in cls.scales else cls.scales[0]
        rows.append(
            {
                "name": name,
                "input": "depth + RGB" if cls.requires_guide else "depth",
                "scales": list(cls.scales),
                "parameters": {size: parameter_count(name, scale, size) for size in cls.sizes},
                "parameters_scale": scale,
                "weights": [_entry(card) for card in cards if card.method == name],
            }
        )
    return rows


def parameter_count(name: str, scale: int, size: str, **options: Any) -> int:
    """How many values a network learns; `options` as for `create_model`."""
    with torch.device("meta"):  # shapes only: no memory, no initialisation
        return sum(p.numel() for p in create_model(name, scale, size, **options).parameters())


def _entry(card: ModelCard) -> dict[str, Any]:
    return {
        "size": card.size,
        "scale": card.scale,
        "variant": card.variant,
        "file": weights_path(card.method, card.scale, card.size, card.variant).stem,
    }
