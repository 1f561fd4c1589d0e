"""Checks on tensors and options from a file, made before anything is built or loaded from them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ..models import DepthSRModel, create_model
from .card import WeightsError

MAX_MAGNITUDE = 1e6
"""Largest absolute value of a weight: trained ones stay below 1e3, and beyond this activations overflow."""
MAX_OPTION = 1e5
"""Largest absolute value of a number among a network's options."""
OPTION_DEPTH = 4


class TensorSpec(NamedTuple):
    """Shape and type of a tensor in a file."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def specs_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, TensorSpec]:
    """Shapes and types by name."""
    return {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def check_values(source: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that tensors hold real, finite numbers of at most MAX_MAGNITUDE.

    Raises:
        WeightsError: one does not; `source` names the file.
    """
    for name, tensor in tensors.items():
        if tensor.is_complex():
            raise WeightsError(f"{source}: {name} holds complex numbers, expected real ones")
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        largest = float(tensor.detach().abs().max())  # NaN where one is NaN
        if not math.isfinite(largest):
            raise WeightsError(f"{source} holds NaN or Inf in {name}: the training that wrote it diverged")
        if largest > MAX_MAGNITUDE:
            raise WeightsError(f"{source}: {name} holds {largest:.3g}, weights are at most {MAX_MAGNITUDE:g}")


def check_fits(source: str, model: DepthSRModel, given: Mapping[str, TensorSpec]) -> None:
    """Check that a file has exactly the model's tensors: names, shapes, and floating where the model's are.

    Raises:
        WeightsError: it has not; `source` names the file.
    """
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    both = own.keys() & given.keys()
    shapes = [key for key in sorted(both) if tuple(own[key].shape) != given[key].shape]
    if missing or unknown or shapes:
        raise WeightsError(
            f"{source} does not fit {model.name} x{model.scale} {model.size}: "
            f"missing {missing[:3]}, unknown {unknown[:3]}, other shapes {shapes[:3]}"
        )
    for key in sorted(both):
        floats = own[key].is_floating_point() and given[key].dtype.is_floating_point
        if not floats and own[key].dtype != given[key].dtype:
            raise WeightsError(f"{source}: {key} is {given[key].dtype}, expected {own[key].dtype}")


def check_options(source: str, options: Any, depth: int = OPTION_DEPTH) -> None:
    """Check a network's options from a file: plain values, few levels deep, numbers of at most MAX_OPTION.

    Raises:
        WeightsError: they are not; `source` names the file.
    """
    if isinstance(options, (dict, list, tuple)):
        if depth == 0 or len(options) > MAX_OPTION:
            raise WeightsError(f"{source} has options nested too deeply or too many of them")
        for value in options.values() if isinstance(options, dict) else options:
            check_options(source, value, depth - 1)
    elif isinstance(options, (int, float)):
        if not abs(options) <= MAX_OPTION:
            raise WeightsError(f"{source} has an option of {options}: numbers are at most {MAX_OPTION:g}")
    elif not isinstance(options, str) and options is not None:
        raise WeightsError(f"{source} has an option of type {type(options).__name__}: expected plain values")


def build_network(
    source: str,
    described_by: str,
    method: str,
    scale: int,
    size: str | None,
    options: dict[str, Any],
    given: Mapping[str, TensorSpec],
) -> DepthSRModel:
    """The network that a file describes, weights not loaded; built only if the file has exactly its tensors.

    It is laid out on the meta device first, without memory, and no further than the file's number of tensors.

    Args:
        source: names the file in errors.
        described_by: names what its options were read from.
        method: as for `create_model`, from the file, as the next three.
        scale: upsampling factor.
        size: "paper" or "lite".
        options: the network's own keyword arguments.
        given: shapes and types of the file's tensors.

    Raises:
        WeightsError: options that the network does not know or refuses, or tensors of another network.
    """
    check_options(described_by, options)
    try:
        with torch.device("meta"), _at_most_parameters(len(given)):
            outline = create_model(method, scale, size, **options)
    except _TooManyParameters:
        raise WeightsError(
            f"{source} does not fit {method} x{scale}: its options make a network of more than its {len(given)} tensors"
        ) from None
    except TypeError as error:
        raise WeightsError(f"{described_by} has options that {method} does not know: {error}") from None
    except Exception as error:  # options of any type and value reach the constructor
        raise WeightsError(f"{described_by} has options that {method} refuses: {error}") from None
    check_fits(source, outline, given)
    return create_model(method, scale, size, **options)


class _TooManyParameters(Exception):
    """The network under construction has more parameters than it may have."""


@contextmanager
def _at_most_parameters(count: int) -> Iterator[None]:
    """Let this thread register at most `count` parameters in modules, then raise `_TooManyParameters`."""
    thread, seen = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal seen
        if threading.get_ident() != thread or parameter is None:
            return
        seen += 1
        if seen > count:
            raise _TooManyParameters

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()
