"""What only data sets store: disparities, grey images of 8 bits, MPI Sintel's .dpt. The formats are read by
`depth_sr_ros.files`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from depth_sr_ros.files.arrays import read_npy, read_pfm
from depth_sr_ros.files.contents import check_size, read_bytes
from depth_sr_ros.files.images import read_image

DPT_TAG = 202021.25


def visible(paths: Iterable[Path]) -> list[Path]:
    """The paths whose name does not begin with a dot, sorted: macOS leaves `._NAME.png` beside NAME.png."""
    return sorted(path for path in paths if not path.name.startswith("."))


def read_values(path: Path) -> np.ndarray:
    """(H, W) values as stored in a .npy, .pfm or image file, without a unit."""
    return {".npy": read_npy, ".pfm": read_pfm}.get(path.suffix.lower(), read_grey)(path)


def read_grey(path: Path) -> np.ndarray:
    """(H, W) as stored, from PNG, PGM, BMP or TIFF; three equal colour channels count as one.

    Raises:
        OSError, ValueError: as `depth_sr_ros.files.images.read_image`, and for differing colour channels.
    """
    image = read_image(path)
    if image.ndim == 3:
        if image.shape[2] < 3 or (image[..., :3] != image[..., :1]).any():
            raise ValueError(f"{path}: a depth image has one channel, got {image.shape[2]} that differ")
        image = np.ascontiguousarray(image[..., 0])
    return image


def read_dpt(path: Path) -> np.ndarray:
    """(H, W) float32 from MPI Sintel's .dpt: float32 tag 202021.25, int32 width, int32 height, rows of float32."""
    data = read_bytes(path)
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != DPT_TAG:
        raise ValueError(f"{path}: not a Sintel .dpt file (its tag must be {DPT_TAG})")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    check_size(path, width, height)
    if len(data) != 12 + 4 * width * height:
        raise ValueError(f"{path}: {width}x{height} pixels announced, {(len(data) - 12) // 4} present")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width).astype(np.float32)


def read_disparity(path: Path) -> np.ndarray:
    """(H, W) float32 disparity from PNG, PGM, BMP, PFM or .npy; 0, negative and infinite values become NaN."""
    disparity = read_values(path).astype(np.float32)
    disparity[~(np.isfinite(disparity) & (disparity > 0))] = np.nan
    return disparity
