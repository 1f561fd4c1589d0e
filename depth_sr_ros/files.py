"""Depth maps and colour guides in files: 16-bit PNG holds millimetres, .npy, .tiff and .pfm hold float32 metres."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .depth import from_metres, to_metres

DEPTH_SUFFIXES = (".png", ".npy", ".tiff", ".tif", ".pfm")


def read_depth(path: str | Path) -> np.ndarray:
    """Read a depth map.

    Args:
        path: a 16-bit PNG or TIFF (millimetres, 0 invalid), or a float .npy, .tiff or .pfm (metres, NaN invalid).

    Returns:
        (H, W) float32 metres, NaN invalid.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a depth map: another suffix, 8-bit, colour or damaged.
    """
    path = _existing(path)
    if path.suffix.lower() not in DEPTH_SUFFIXES:
        raise ValueError(f"{path.name}: a depth map is read from {', '.join(DEPTH_SUFFIXES)}")
    if path.suffix.lower() == ".npy":
        try:
            image = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path.name} is not a NumPy array file: {error}") from None
    else:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{path.name} cannot be read as an image: damaged, or not what its suffix says")
    if image.ndim != 2 or image.dtype not in (np.uint16, np.float32, np.float64):
        raise ValueError(
            f"{path.name} holds {image.dtype} of shape {image.shape}; a depth map is one channel of uint16 "
            f"millimetres or float metres"
        )
    return to_metres(image)


def read_guide(path: str | Path) -> np.ndarray:
    """Read a colour image as (H, W, 3) uint8 RGB.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image.
    """
    path = _existing(path)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path.name} cannot be read as a colour image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_depth(path: str | Path, depth: np.ndarray) -> None:
    """Write (H, W) float32 metres: .png as uint16 millimetres (0 invalid), the others as float32 (NaN invalid).

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise ValueError(f"{path.name}: a depth map is written to {', '.join(DEPTH_SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".npy":
        np.save(path, from_metres(depth, np.float32))
        return
    image = from_metres(depth, np.uint16 if suffix == ".png" else np.float32)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path} could not be written")


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    return path
