"""What the registry offers, as plain data: `depth-sr models`."""

from __future__ import annotations

import torch

from ..models import create_model, list_models, model_class
from .card import ModelCard
from .choice import bundled_cards, weights_path


def catalogue() -> list[dict]:
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
                "parameters": {size: _count(name, scale, size) for size in cls.sizes},
                "parameters_scale": scale,
                "weights": [_entry(card) for card in cards if card.method == name],
            }
        )
    return rows


def _count(name: str, scale: int, size: str) -> int:
    with torch.device("meta"):  # shapes only: no memory, no initialisation
        return sum(p.numel() for p in create_model(name, scale, size).parameters())


def _entry(card: ModelCard) -> dict:
    return {
        "size": card.size,
        "scale": card.scale,
        "variant": card.variant,
        "file": weights_path(card.method, card.scale, card.size, card.variant).stem,
    }
