"""Which weights a network takes, and which method a task takes where none is named. Decided here and nowhere else.

Bundled files are named ``<method>_<size>_x<scale>[_<variant>].safetensors`` and lie in ``depth_sr_ros/weights/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..models import DepthSRModel, create_model, list_models, model_class
from .card import ModelCard, WeightsError, read_card
from .checked import build_network
from .weight_files import check_suffix, load_weights, read_specs

WEIGHTS_DIR = Path(__file__).parents[1] / "weights"
AUTO = "auto"
CLEAN = "clean"
PREFERRED = {AUTO: ("robust", ""), CLEAN: ("bicubic", "")}
"""Variants that `AUTO` and `CLEAN` stand for, the best first; where none of them ships, the only one that does.

A camera's pixel is a block mean or a sample, with noise: the variant "robust" was trained for that, and so were the
unnamed weights of dada, which are held to the block mean of their input. The unnamed weights of the other networks were
trained for MATLAB bicubic LR, which are dada's "bicubic" ones (`ModelCard.lr_kernel`); csan and bridgenet ship these
alone, so that they serve both.
"""


class LoadedModel(NamedTuple):
    """A network ready for inference.

    Attributes:
        model: in eval mode, on the CPU.
        card: of its weights; None for a method without parameters.
        weights: the stem of its weights file; None for a method without parameters.
    """

    model: DepthSRModel
    card: ModelCard | None
    weights: str | None


def weights_path(method: str, scale: int, size: str, variant: str = "") -> Path:
    """Where the bundled weights of this name lie, whether or not they exist."""
    suffix = f"_{variant}" if variant else ""
    return WEIGHTS_DIR / f"{method}_{size}_x{scale}{suffix}.safetensors"


def bundled_cards() -> list[ModelCard]:
    """The cards of all weights that ship with the package, sorted by file name."""
    return [read_card(path) for path in sorted(WEIGHTS_DIR.glob("*.json"))]


def is_weights_file(weights: str | Path) -> bool:
    """Whether `weights`, as users give it, is a file's path; else it is "auto", "clean" or a variant's name."""
    return Path(weights).suffix != ""


def choose_weights(method: str, scale: int, size: str, weights: str | Path = AUTO) -> Path:
    """The weights file for a network with parameters.

    Args:
        method: a name of the registry.
        scale: upsampling factor.
        size: "paper" or "lite".
        weights: "auto" for what serves a camera (`PREFERRED`), "clean" for MATLAB bicubic LR, a bundled variant's name
            such as "robust", or the path of a .safetensors file.

    Raises:
        WeightsError: there is no such file, none ships, or several do and none is preferred.
    """
    if is_weights_file(weights):
        path = Path(weights)
    elif weights in PREFERRED:
        path = _preferred(method, scale, size, str(weights))
    elif str(weights).strip():
        path = weights_path(method, scale, size, str(weights))
    else:
        raise WeightsError(f"weights must be {AUTO}, {CLEAN}, a variant's name or a .safetensors file, got {weights!r}")
    if not path.is_file():
        shipped = ", ".join(p.stem for p in sorted(WEIGHTS_DIR.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"no weights at {path.name} for {method} x{scale} ({size}). Bundled: {shipped}. "
            f"Train some with 'python -m training fit', or choose another method, scale or size."
        )
    check_suffix(path)
    return path


def _preferred(method: str, scale: int, size: str, purpose: str) -> Path:
    unnamed = weights_path(method, scale, size)
    for variant in PREFERRED[purpose]:
        path = weights_path(method, scale, size, variant)
        if path.is_file():
            return path
    others = sorted(WEIGHTS_DIR.glob(f"{unnamed.stem}_*.safetensors"))
    if len(others) > 1:
        variants = ", ".join(path.stem.removeprefix(f"{unnamed.stem}_") for path in others)
        raise WeightsError(f"weights {purpose!r} of {method} x{scale} ({size}) could be any of {variants}: name one")
    return others[0] if others else unnamed


def default_method(guided: bool, scale: int, size: str | None = None, weights: str | Path = AUTO) -> tuple[str, str]:
    """The method where none is named, and in words why: the trained one where it has weights, else one without any.

    Args:
        guided: dada or dada_rgb; else dsrnet or bicubic.
        scale: upsampling factor.
        size: "paper" or "lite"; None for "lite".
        weights: as for `load_model`; a file's card names the method, a variant's name is for the trained one, and
            whether they fit is for `load_model` to say.

    Raises:
        WeightsError: the file is of a method that takes RGB where none is, or takes none where it is.
    """
    if is_weights_file(weights) and Path(weights).is_file():
        method = read_card(weights).method
        if method in list_models() and model_class(method).requires_guide != guided:
            raise WeightsError(
                f"{Path(weights).name} is of {method}, {'single-depth' if guided else 'guided'}: expected weights of a "
                f"{'guided' if guided else 'single-depth'} method"
            )
        return method, f"its card names {method}"
    trained, fallback = ("dada", "dada_rgb") if guided else ("dsrnet", "bicubic")
    if weights not in PREFERRED:
        return trained, f"the weights given are {trained}'s to load"
    size = size or "lite"
    try:
        choose_weights(trained, scale, size, weights)
    except WeightsError:
        return fallback, f"no {trained} {size} x{scale} weights ship with the package"
    return trained, f"{trained} {size} x{scale} ships weights"


def load_model(method: str, scale: int, size: str | None = None, weights: str | Path = AUTO) -> LoadedModel:
    """Create a network ready for inference: with bundled weights, a variant of them, or a file's.

    Args:
        method: a name of the registry.
        scale: upsampling factor.
        size: "paper" or "lite"; None takes that of the weights file, or "lite" where the method has it.
        weights: as for `choose_weights`. A method without parameters takes "auto" and "clean".

    Raises:
        ValueError: unknown method, scale or size.
        WeightsError: when a network with parameters has no weights, the weights do not fit, or weights are given to a
            method that has no parameters.
    """
    model = create_model(method, scale, size)
    if not any(True for _ in model.parameters()):
        if weights not in PREFERRED:
            raise WeightsError(
                f"weights {str(weights)!r} came for {method}, which has no parameters to load: choose the method they "
                f"were trained for, or leave weights at {AUTO!r}"
            )
        return LoadedModel(model.eval(), None, None)
    path = choose_weights(method, scale, model.size, weights)
    card = read_card(path)
    # before anything is built by its options: they are another network's where the card is
    for key, made_for, asked in (("method", card.method, method), ("scale", card.scale, scale)):
        if made_for != asked:
            raise WeightsError(f"{path.name} was made for {key} {made_for}, {key} {asked} was asked for")
    if is_weights_file(weights) and size is None and card.size in model.sizes:
        size = card.size
    if card.options or size != model.size:
        model = build_network(
            path.name, f"the card of {path.name}", method, scale, size, card.options, read_specs(path)[0]
        )
    load_weights(model, path)
    return LoadedModel(model.eval(), card, path.stem)
