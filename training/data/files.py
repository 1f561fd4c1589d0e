"""Decoding the file formats that RGB-D data sets use, each checked and with the file named in every error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

DPT_TAG = 202021.25


def read_rgb(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB from PNG, JPEG, PPM, BMP, ...; a grey image gives three equal channels."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not readable as an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_grey(path: Path) -> np.ndarray:
    """(H, W) uint8 or uint16 as stored, from PNG, PGM, BMP or TIFF.

    Raises:
        ValueError: for an unreadable file or one with differing colour channels.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{path}: not readable as an image")
    if image.ndim == 3:
        if image.shape[2] < 3 or (image[..., :3] != image[..., :1]).any():
            raise ValueError(f"{path}: a depth image has one channel, got {image.shape[2]} that differ")
        image = np.ascontiguousarray(image[..., 0])
    return image


def read_pfm(path: Path) -> np.ndarray:
    """(H, W) float32 from a one-channel PFM, top row first; both byte orders."""
    with open(path, "rb") as file:
        if file.readline().strip() != b"Pf":
            raise ValueError(f"{path}: not a one-channel PFM (its first line must be 'Pf')")
        try:
            width, height = (int(n) for n in file.readline().split())
            little_endian = float(file.readline()) < 0
        except ValueError as error:
            raise ValueError(f"{path}: broken PFM header: {error}") from error
        values = np.frombuffer(file.read(), dtype="<f4" if little_endian else ">f4")
    if values.size != width * height:
        raise ValueError(f"{path}: {width}x{height} pixels announced, {values.size} present: the file is truncated")
    return values.reshape(height, width)[::-1].astype(np.float32)


def read_dpt(path: Path) -> np.ndarray:
    """(H, W) float32 from MPI Sintel's .dpt: float32 tag 202021.25, int32 width, int32 height, rows of float32."""
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != DPT_TAG:
        raise ValueError(f"{path}: not a Sintel .dpt file (its tag must be {DPT_TAG})")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    if width < 1 or height < 1 or len(data) != 12 + 4 * width * height:
        raise ValueError(f"{path}: {width}x{height} pixels announced, {(len(data) - 12) // 4} present")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width).astype(np.float32)


def read_disparity(path: Path) -> np.ndarray:
    """(H, W) float32 disparity from PNG, PGM, BMP or PFM; 0, negative and infinite values become NaN."""
    stored = read_pfm(path) if path.suffix.lower() == ".pfm" else read_grey(path)
    disparity = stored.astype(np.float32)
    disparity[~(np.isfinite(disparity) & (disparity > 0))] = np.nan
    return disparity
