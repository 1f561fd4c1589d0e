"""Reading and writing weights: safetensors files, which hold tensors and no code."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ..models import DepthSRModel
from .card import ModelCard, WeightsError, write_card


def save_weights(model: DepthSRModel, path: str | Path, card: ModelCard, half: bool = False) -> Path:
    """Write `model`'s weights and their card.

    Args:
        model: any network of the registry.
        path: ends in ``.safetensors``; the card goes beside it as ``.json``.
        card: must name the model's own method, scale and size.
        half: store float16 (half the file; loading converts back to the model's dtype).

    Raises:
        WeightsError: when the card names another model or the path another file type.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(f"weights are written as .safetensors, got {path.name}")
    named = (card.method, card.scale, card.size)
    if named != (model.name, model.scale, model.size):
        raise WeightsError(f"the card is for {named}, the model is {(model.name, model.scale, model.size)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {}
    for key, value in model.state_dict().items():
        value = value.detach().cpu()
        state[key] = (value.half() if half and value.is_floating_point() else value).contiguous()
    save_file(state, path, metadata={"method": card.method, "scale": str(card.scale), "size": card.size})
    write_card(card, path)
    return path


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name.

    Raises:
        WeightsError: when the file is missing, damaged, no safetensors file, or holds NaN or Inf.
    """
    return _read(Path(path))[0]


def load_weights(model: DepthSRModel, path: str | Path) -> None:
    """Load a safetensors file into `model`, in place and all or nothing.

    Raises:
        WeightsError: as `read_tensors`, and when the file was made for another method, scale or size, or does not hold
            exactly the model's tensors.
    """
    path = Path(path)
    state, made_for = _read(path)
    expected = {"method": model.name, "scale": str(model.scale), "size": model.size}
    for key, value in expected.items():
        if made_for.get(key, value) != value:
            raise WeightsError(f"{path.name} was made for {key} {made_for[key]}, this model has {key} {value}")
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or unknown or shapes:
        raise WeightsError(
            f"{path.name} does not fit {model.name} x{model.scale} {model.size}: "
            f"missing {missing[:3]}, unknown {unknown[:3]}, other shapes {shapes[:3]}"
        )
    model.load_state_dict(state)


def check_suffix(path: Path) -> None:
    """Check that a path is named as a safetensors file.

    Raises:
        WeightsError: it is not; the message names the commands that convert checkpoints.
    """
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path.name} is not a .safetensors file: convert a training checkpoint with 'python -m training export', "
            "one that DADA's authors published with 'depth-sr import-weights'"
        )


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    check_suffix(path)
    try:
        with safe_open(path, framework="pt") as file:
            made_for = file.metadata() or {}
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is damaged or no safetensors file ({error}): get it again") from None
    if not all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point()):
        raise WeightsError(f"{path.name} holds NaN or Inf: the training that wrote it diverged")
    return state, made_for
