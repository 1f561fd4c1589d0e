"""Training data: readers of public RGB-D data sets, degradations, patches, and the LightningDataModule."""

from .datamodule import DepthSRData
from .degradations import Degrader
from .sample import Missing, RGBDSample, Source
from .sources import SOURCES, create_source, list_sources

__all__ = ["SOURCES", "Degrader", "DepthSRData", "Missing", "RGBDSample", "Source", "create_source", "list_sources"]
