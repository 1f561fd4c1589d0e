"""Training data: readers of public RGB-D data sets, degradations, patches, and the LightningDataModule."""

from typing import TYPE_CHECKING

from .augment import Augment
from .degradations import Degrader
from .sample import Missing, RGBDSample, Source
from .sources import SOURCES, create_source, list_sources

if TYPE_CHECKING:
    from .datamodule import DepthSRData

__all__ = [
    "SOURCES",
    "Augment",
    "Degrader",
    "DepthSRData",
    "Missing",
    "RGBDSample",
    "Source",
    "create_source",
    "list_sources",
]


def __getattr__(name: str) -> object:
    # Lightning takes seconds to import, and readers and `check` do without it.
    if name == "DepthSRData":
        from .datamodule import DepthSRData

        return DepthSRData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
