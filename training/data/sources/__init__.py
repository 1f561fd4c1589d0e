"""Readers of public RGB-D data sets, one file per layout, and a registry by name."""

from __future__ import annotations

from ..sample import Source
from .folder import PairFolder
from .middlebury_2006 import Middlebury2005, Middlebury2006
from .msgnet import MSGNet
from .synthetic import SyntheticScenes

SOURCES: dict[str, type[Source]] = {
    source.layout: source
    for source in (Middlebury2005, Middlebury2006, MSGNet, PairFolder, SyntheticScenes)
}
"""Layout name -> reader."""

__all__ = ["SOURCES", "create_source", "list_sources", *sorted(source.__name__ for source in SOURCES.values())]


def list_sources() -> list[str]:
    """Names of all layouts."""
    return sorted(SOURCES)


def create_source(name: str, **options) -> Source:
    """The reader of layout `name`, e.g. create_source("middlebury2006", root="data/Middlebury2006").

    Raises:
        ValueError: unknown name; the message lists the choices.
    """
    if name not in SOURCES:
        raise ValueError(f"unknown data layout {name!r}; choose one of {', '.join(list_sources())}")
    return SOURCES[name](**options)
