"""Depth maps and colour guides in files: the one reader of each format, for the command line and for training.

16-bit PNG, PGM and TIFF hold millimetres, .npy, .pfm and float TIFF metres. Pixels are taken as stored: an orientation
tag (EXIF, TIFF) turns neither the guide nor the depth map, because a pair is registered pixel by pixel and the tag is
usually on one of the two files alone.
"""

from .depth import DEPTH_SUFFIXES, read_depth, write_depth
from .images import MAX_PIXELS, read_guide

__all__ = ["DEPTH_SUFFIXES", "MAX_PIXELS", "read_depth", "read_guide", "write_depth"]
