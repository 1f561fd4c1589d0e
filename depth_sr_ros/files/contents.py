"""The bytes of an input file, and the limits that every format is held to."""

from __future__ import annotations

import os
from pathlib import Path

MAX_PIXELS = 1 << 26
"""Most pixels (67 million, 8192 x 8192) an image may claim; more is refused before anything is decoded."""
MAX_BYTES = 1 << 30
"""Largest input file, in bytes: MAX_PIXELS float64 with room to spare."""


def read_bytes(path: str | Path) -> bytes:
    """The content of a regular file.

    Raises:
        FileNotFoundError: no file there (or a broken or circular link).
        OSError: a folder, a device, or no permission.
        ValueError: an empty file, or one larger than MAX_BYTES.
    """
    path = Path(path)
    if "\0" in str(path):
        raise ValueError(f"{str(path)!r} is no file name: it holds a NUL byte")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: a file was expected")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    size = os.path.getsize(path)
    if size == 0:
        raise ValueError(f"{path} is empty")
    if size > MAX_BYTES:
        raise ValueError(f"{path} has {size} bytes: at most {MAX_BYTES} are read")
    return path.read_bytes()


def check_size(path: str | Path, width: int, height: int) -> None:
    """Raise ValueError unless an image of this size may be decoded."""
    if width < 1 or height < 1:
        raise ValueError(f"{path} claims {width}x{height} pixels: it is damaged or empty")
    if width * height > MAX_PIXELS:
        raise ValueError(f"{path} claims {width}x{height} pixels: at most {MAX_PIXELS} are read")
