"""Readers of public RGB-D data sets, one file per layout, and a registry by name."""

from __future__ import annotations

from typing import Any

from ..sample import Source
from .diml import DIML
from .folder import PairFolder
from .middlebury_2001 import Middlebury2001, Middlebury2003
from .middlebury_2006 import Middlebury2005, Middlebury2006
from .middlebury_2014 import Middlebury2014, Middlebury2021
from .msgnet import MSGNet
from .nyuv2 import NYUv2
from .sintel import Sintel
from .synthetic import SyntheticScenes
from .tofmark import ToFMark

SOURCES: dict[str, type[Source]] = {
    source.layout: source
    for source in (
        *(Middlebury2001, Middlebury2003, Middlebury2005, Middlebury2006, Middlebury2014, Middlebury2021),
        *(Sintel, MSGNet, NYUv2, ToFMark, DIML, PairFolder, SyntheticScenes),
    )
}
"""Layout name -> reader."""

__all__ = [
    "DIML",
    "SOURCES",
    "MSGNet",
    "Middlebury2001",
    "Middlebury2003",
    "Middlebury2005",
    "Middlebury2006",
    "Middlebury2014",
    "Middlebury2021",
    "NYUv2",
    "PairFolder",
    "Sintel",
    "SyntheticScenes",
    "ToFMark",
    "create_source",
    "list_sources",
]


def list_sources() -> list[str]:
    """Names of all layouts."""
    return sorted(SOURCES)


def create_source(name: str, **options: Any) -> Source:
    """The reader of layout `name`, e.g. create_source("middlebury2006", root="data/Middlebury2006").

    Raises:
        ValueError: unknown name; the message lists the choices.
    """
    if name not in SOURCES:
        raise ValueError(f"unknown data layout {name!r}; choose one of {', '.join(list_sources())}")
    return SOURCES[name](**options)
