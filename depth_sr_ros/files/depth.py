"""Depth maps in files, in metres."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..atomic import write_file
from ..depth import from_metres, to_metres, valid_mask
from .arrays import encode_npy, encode_pfm, read_npy, read_pfm
from .images import encode_image, read_image

DEPTH_SUFFIXES = (".png", ".npy", ".tiff", ".tif", ".pfm", ".pgm")
MILLIMETRE_SUFFIXES = (".png", ".pgm")
IMPLAUSIBLE_METRES = 100.0
"""A map whose median is beyond this is taken for millimetres stored as float: no depth camera sees that far."""


def read_depth(path: str | Path, max_depth: float = np.inf) -> np.ndarray:
    """Read a depth map.

    Args:
        path: a 16-bit PNG, PGM or TIFF (millimetres, 0 invalid), or a float .npy, TIFF or .pfm (metres, NaN invalid);
            a .npy of uint16 holds millimetres. Any byte order, array order and float width.
        max_depth: readings beyond this many metres are invalid too.

    Returns:
        (H, W) float32 metres, NaN invalid. Warns (UserWarning) when their median is above 100 m.

    Raises:
        FileNotFoundError: no such file.
        OSError: a folder, a device or a file that may not be read.
        ValueError: not a depth map: another suffix, 8-bit, colour, damaged, truncated or larger than `MAX_PIXELS`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise ValueError(f"{path}: a depth map is read from {', '.join(DEPTH_SUFFIXES)}")
    values = {".npy": read_npy, ".pfm": read_pfm}.get(suffix, read_image)(path)
    if values.ndim != 2:
        raise ValueError(f"{path}: a depth map has one channel, got {values.shape[2]}")
    if values.dtype != np.uint16 and values.dtype.kind != "f":
        raise ValueError(f"{path}: a depth map is uint16 millimetres or float metres, got {values.dtype}")
    depth = to_metres(values, max_depth)
    if values.dtype.kind == "f" and (problem := implausible(depth)):
        warnings.warn(f"{path}: {problem}", stacklevel=2)
    return depth


def implausible(depth: np.ndarray) -> str | None:
    """What speaks against (H, W) `depth` being metres, or None."""
    valid = depth[valid_mask(depth)]
    if not valid.size or (median := float(np.median(valid))) <= IMPLAUSIBLE_METRES:
        return None
    return f"median depth {median:.6g} m: expected metres, these look like millimetres stored as float"


def write_depth(path: str | Path, depth: np.ndarray) -> np.ndarray:
    """Write (H, W) float32 metres: .png and .pgm as uint16 millimetres (0 invalid), others as float32 (NaN invalid).

    The file is replaced as a whole or not at all (see `atomic.write_file`).

    Returns:
        (H, W) float32 metres as the file holds them: rounded to millimetres, NaN where these could not hold a depth.

    Raises:
        ValueError: another suffix, or most valid readings are outside of what 16-bit millimetres hold.
        OSError: the file cannot be written; its previous content stays.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise ValueError(f"{path}: a depth map is written to {', '.join(DEPTH_SUFFIXES)}")
    stored = from_metres(depth, np.uint16 if suffix in MILLIMETRE_SUFFIXES else np.float32)
    written = to_metres(stored)
    before, after = int(valid_mask(depth).sum()), int(valid_mask(written).sum())
    if 2 * after < before:
        raise ValueError(
            f"{path}: {before - after} of {before} valid depths are outside of 0.001 to 65.534 m, what 16-bit "
            "millimetres hold: expected metres, or choose .npy, .tiff or .pfm"
        )
    if suffix == ".npy":
        data = encode_npy(stored)
    else:
        data = encode_pfm(stored) if suffix == ".pfm" else encode_image(path, stored)
    write_file(path, data)
    return written
