"""The registry of networks: one file each, created by name.

>>> from depth_sr_ros.models import create_model, list_models
>>> model = create_model("bicubic", scale=4)
"""

from __future__ import annotations

from typing import Any, TypeVar

from ..choices import SIZES
from .base import DepthSRModel, ResidualNetwork
from .bicubic import Bicubic
from .bridgenet import BridgeNet
from .csan import CSAN
from .dada import DADA
from .dada_rgb import DadaRGB
from .dsrnet import DSRNet
from .equilibrium import EquilibriumModel

_REGISTRY: dict[str, type[DepthSRModel]] = {cls.name: cls for cls in (Bicubic, BridgeNet, CSAN, DADA, DadaRGB, DSRNet)}


Model = TypeVar("Model", bound=type[DepthSRModel])


def register_model(cls: Model) -> Model:
    """Add a network from outside the package to the registry, under its `name`; also as a class decorator.

    Then `create_model`, `DepthUpsampler`, `save_weights` and `load_model` take that name in this process.

    Args:
        cls: a subclass of `DepthSRModel` or `ResidualNetwork` with a `name` of its own.

    Returns:
        `cls`.

    Raises:
        TypeError: `cls` is no such subclass, or leaves an abstract method out.
        ValueError: it has no name, or another class has that name.
    """
    if not (isinstance(cls, type) and issubclass(cls, DepthSRModel)):
        raise TypeError(f"expected a subclass of DepthSRModel, got {cls!r}")
    if cls.__abstractmethods__:
        raise TypeError(f"{cls.__name__} lacks {', '.join(sorted(cls.__abstractmethods__))}")
    if not cls.name:
        raise ValueError(f"{cls.__name__} has no name: set the class attribute `name`")
    if _REGISTRY.get(cls.name, cls) is not cls:
        raise ValueError(f"the name {cls.name!r} is taken by {_REGISTRY[cls.name].__name__}: choose another one")
    _REGISTRY[cls.name] = cls
    return cls


def list_models() -> list[str]:
    """Names that `create_model` takes, sorted."""
    return sorted(_REGISTRY)


def model_class(name: str) -> type[DepthSRModel]:
    """The class behind a name; its attributes (`scales`, `sizes`, `requires_guide`, ...) describe the method.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    try:
        return _REGISTRY[name]
    except KeyError:
        raise ValueError(f"unknown method {name!r}: choose one of {', '.join(list_models())}") from None


def diffuses(name: str) -> bool:
    """Whether this method ends in a diffusion's equilibrium, held to the LR depth by a kernel (`EquilibriumModel`).

    Raises:
        ValueError: for an unknown name.
    """
    return issubclass(model_class(name), EquilibriumModel)


def create_model(name: str, scale: int, size: str | None = None, **options: Any) -> DepthSRModel:
    """Create a network with fresh weights, in training mode, on the CPU.

    Args:
        name: one of `list_models()`.
        scale: upsampling factor, one of the model's `scales`.
        size: "paper" or "lite"; None takes "lite" where the model has it. A method that comes in one size only
            (it has no weights) takes any.
        options: the model's own keyword arguments (see its class).

    Raises:
        ValueError: for an unknown name, scale or size.
    """
    cls = model_class(name)
    if size is None or (len(cls.sizes) == 1 and size in SIZES):
        size = "lite" if "lite" in cls.sizes else cls.sizes[0]
    return cls(scale=scale, size=size, **options)


__all__ = [
    "DepthSRModel",
    "ResidualNetwork",
    "create_model",
    "diffuses",
    "list_models",
    "model_class",
    "register_model",
]
