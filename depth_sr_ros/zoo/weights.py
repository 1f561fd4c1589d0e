"""Weights: a safetensors file (no code in it) and a JSON card beside it that says where they come from.

Bundled files are named ``<method>_<size>_x<scale>[_<variant>].safetensors`` and lie in ``depth_sr_ros/weights/``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ..models import DepthSRModel, create_model

WEIGHTS_DIR = Path(__file__).parents[1] / "weights"
ROBUST = "robust"  # the variant trained on several LR kernels and on sensor noise


class WeightsError(ValueError):
    """Weights that cannot be used: missing, damaged, or made for another network. The message says what to do."""


class ModelCard(BaseModel):
    """What a weights file holds and where it comes from; stored as JSON beside it.

    `scores` maps a row such as "middlebury2005/Books" to a number; its unit and kernel stand in `notes`.
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


def weights_path(method: str, scale: int, size: str, variant: str = "") -> Path:
    """Where the bundled weights of this name lie, whether or not they exist."""
    suffix = f"_{variant}" if variant else ""
    return WEIGHTS_DIR / f"{method}_{size}_x{scale}{suffix}.safetensors"


def find_weights(method: str, scale: int, size: str, variant: str = "") -> Path | None:
    """The bundled weights of this name, or None when the package ships none."""
    path = weights_path(method, scale, size, variant)
    return path if path.is_file() else None


def camera_weights(method: str, scale: int, size: str) -> str | None:
    """What a real camera's depth is best served by: "robust" where that variant ships, else None, the bundled default.

    Networks trained on one exact LR kernel do no better than bicubic on a camera that samples otherwise.
    """
    return ROBUST if find_weights(method, scale, size, ROBUST) else None


def bundled_cards() -> list[ModelCard]:
    """The cards of all weights that ship with the package, sorted by file name."""
    return [read_card(path.with_suffix(".safetensors")) for path in sorted(WEIGHTS_DIR.glob("*.json"))]


def read_card(path: str | Path) -> ModelCard:
    """The card beside a weights file.

    Raises:
        WeightsError: when it is missing or not a card.
    """
    card_path = Path(path).with_suffix(".json")
    try:
        return ModelCard.model_validate_json(card_path.read_text())
    except FileNotFoundError:
        raise WeightsError(f"{card_path} is missing: a weights file needs its card beside it") from None
    except ValidationError as error:
        raise WeightsError(f"{card_path} is not a model card: {error}") from None


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
    path.with_suffix(".json").write_text(json.dumps(card.model_dump(), indent=2) + "\n")
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


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    _check_suffix(path)
    try:
        with safe_open(path, framework="pt") as file:
            made_for = file.metadata() or {}
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is damaged or no safetensors file ({error}): get it again") from None
    if not all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point()):
        raise WeightsError(f"{path.name} holds NaN or Inf: the training that wrote it diverged")
    return state, made_for


def _check_suffix(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path.name} is not a .safetensors file: convert a training checkpoint with 'python -m training export', "
            "one that DADA's authors published with 'depth-sr import-weights'"
        )


def is_weights_file(weights: str | Path) -> bool:
    """Whether `weights`, as users give it, is a file's path; else it is the name of a bundled variant."""
    return Path(weights).suffix != ""


def default_method(
    guided: bool, scale: int, size: str | None = None, weights: str | Path | None = None
) -> tuple[str, str]:
    """The method where none is named, and in words why: the trained one where it has weights, else one without any.

    Args:
        guided: dada or dada_rgb; else dsrnet or bicubic.
        scale: upsampling factor.
        size: "paper" or "lite"; None for "lite".
        weights: a bundled variant's name or a file, as for `load_model`: it can only be for the trained method, so it
            decides; whether it fits is for `load_model` to say.
    """
    trained, fallback = ("dada", "dada_rgb") if guided else ("dsrnet", "bicubic")
    if weights:
        return trained, f"the weights given are {trained}'s to load"
    size = size or "lite"
    if any(find_weights(trained, scale, size, variant) for variant in ("", ROBUST)):
        return trained, f"{trained} {size} x{scale} ships weights"
    return fallback, f"no {trained} {size} x{scale} weights ship with the package"


def load_model(
    method: str, scale: int, size: str | None = None, weights: str | Path | None = None
) -> tuple[DepthSRModel, ModelCard | None]:
    """Create a network ready for inference: with bundled weights, a variant of them, or a file's.

    Args:
        size: "paper" or "lite"; None takes that of the weights file, or "lite" where the method has it.
        weights: None for the bundled default, a variant's name such as "robust", or the path of a .safetensors file.

    Returns:
        The model in eval mode and its card (None for a method without parameters).

    Raises:
        WeightsError: when a network with parameters has no weights, the weights do not fit, or weights are given to a
            method that has no parameters.
    """
    model = create_model(method, scale, size)
    if not any(True for _ in model.parameters()):
        if weights:
            raise WeightsError(
                f"weights {str(weights)!r} came for {method}, which has no parameters to load: choose the method they "
                "were trained for, or give no weights"
            )
        return model.eval(), None
    if not weights and not find_weights(method, scale, model.size):
        weights = camera_weights(method, scale, model.size)  # the only ones, where they ship
    is_file = bool(weights) and is_weights_file(weights)
    path = Path(weights) if is_file else weights_path(method, scale, model.size, str(weights or ""))
    if not path.is_file():
        shipped = ", ".join(p.stem for p in sorted(WEIGHTS_DIR.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"no weights at {path.name} for {method} x{scale} ({model.size}). Bundled: {shipped}. "
            f"Train some with 'python -m training fit', or choose another method, scale or size."
        )
    _check_suffix(path)
    card = read_card(path)
    # before anything is built by its options: they are another network's where the card is
    for key, made_for, asked in (("method", card.method, method), ("scale", card.scale, scale)):
        if made_for != asked:
            raise WeightsError(f"{path.name} was made for {key} {made_for}, {key} {asked} was asked for")
    if is_file and size is None and card.size in model.sizes:
        size = card.size
    if card.options or size != model.size:
        try:
            model = create_model(method, scale, size, **card.options)
        except TypeError as error:
            raise WeightsError(f"the card of {path.name} has options that {method} does not know: {error}") from None
        except ValueError as error:
            raise WeightsError(f"the card of {path.name} has options that {method} refuses: {error}") from None
    load_weights(model, path)
    return model.eval(), card
