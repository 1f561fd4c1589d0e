"""Reading and writing weights: safetensors files, which hold tensors and no code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from ..atomic import write_files
from ..models import DepthSRModel
from .card import ModelCard, WeightsError, card_path, card_text
from .checked import TensorSpec, check_fits, check_values

DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,  # counters of batch norm
}


def save_weights(model: DepthSRModel, path: str | Path, card: ModelCard, half: bool = False) -> Path:
    """Write `model`'s weights and their card.

    Args:
        model: any network of the registry.
        path: ends in ``.safetensors``; the card goes beside it as ``.json``.
        card: must name the model's own method, scale and size.
        half: store float16 (half the file; loading converts back to the model's dtype).

    Raises:
        WeightsError: when the card names another model or the path another file type.
        OSError: they cannot be written; what was there before stays.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(f"weights are written as .safetensors, got {path.name}")
    named = (card.method, card.scale, card.size)
    if named != (model.name, model.scale, model.size):
        raise WeightsError(f"the card is for {named}, the model is {(model.name, model.scale, model.size)}")
    state = {}
    for key, value in model.state_dict().items():
        value = value.detach().cpu()
        state[key] = (value.half() if half and value.is_floating_point() else value).contiguous()
    tensors = save(state, metadata={"method": card.method, "scale": str(card.scale), "size": card.size})
    write_files([(path, tensors), (card_path(path), card_text(card))])
    return path


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name.

    Raises:
        WeightsError: when the file is missing, damaged, no safetensors file, or holds NaN, Inf, complex numbers or
            numbers beyond `checked.MAX_MAGNITUDE`.
    """
    path = Path(path)
    read_specs(path)
    with _readable(path):
        state = load_file(path)
    check_values(path.name, state)
    return state


def read_specs(path: str | Path) -> tuple[dict[str, TensorSpec], dict[str, str]]:
    """Shapes and types of a safetensors file's tensors by name, and the file's metadata; no tensor is read.

    Raises:
        WeightsError: when the file is missing, damaged, no safetensors file, or holds other than real numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    check_suffix(path)
    specs = {}
    with _readable(path), safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        for name in file.keys():  # noqa: SIM118 (no dict: it cannot be iterated)
            part = file.get_slice(name)
            if part.get_dtype() not in DTYPES:
                raise WeightsError(f"{path.name}: {name} is {part.get_dtype()}, expected one of {', '.join(DTYPES)}")
            specs[name] = TensorSpec(tuple(part.get_shape()), DTYPES[part.get_dtype()])
    return specs, metadata


def load_weights(model: DepthSRModel, path: str | Path) -> None:
    """Load a safetensors file into `model`, in place and all or nothing.

    Raises:
        WeightsError: as `read_tensors`, and when the file was made for another method, scale or size, or does not hold
            exactly the model's tensors: names, shapes, and floating where the model's are.
    """
    path = Path(path)
    specs, made_for = read_specs(path)
    expected = {"method": model.name, "scale": str(model.scale), "size": model.size}
    for key, value in expected.items():
        if made_for.get(key, value) != value:
            raise WeightsError(f"{path.name} was made for {key} {made_for[key]}, this model has {key} {value}")
    check_fits(path.name, model, specs)
    model.load_state_dict(read_tensors(path))


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


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path.name} is damaged or no safetensors file ({error}): get it again") from None
