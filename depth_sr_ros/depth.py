"""What a depth map is here: float32 metres along the camera's Z axis, NaN where the sensor saw nothing (REP 118)."""

from __future__ import annotations

import cv2
import numpy as np

MILLIMETRES_SATURATED = 65535  # Kinect v1 drivers write it for "no reading"; no depth camera measures 65.535 m


def to_metres(raw: np.ndarray, max_depth: float = np.inf) -> np.ndarray:
    """Convert a sensor's depth image to float32 metres with NaN for every invalid pixel.

    Args:
        raw: (H, W) uint16 millimetres (0 and 65535 invalid) or float metres of any width (NaN, +-Inf and <= 0
            invalid), as REP 117 and REP 118 define 16UC1 and 32FC1; either byte order.
        max_depth: readings beyond this many metres are invalid too.

    Returns:
        (H, W) float32, a new array.

    Raises:
        ValueError: for another dtype or shape.
    """
    if raw.ndim != 2 or raw.size == 0:
        raise ValueError(f"a depth image has shape (H, W) and at least one pixel, got {raw.shape}")
    if raw.dtype.kind == "u" and raw.dtype.itemsize == 2:  # of either byte order
        depth = raw.astype(np.float32) / np.float32(1000)  # dividing rounds once: 1500 mm is 1.5 m exactly
        invalid = (raw == 0) | (raw == MILLIMETRES_SATURATED)
    elif raw.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 is infinite, so invalid
            depth = raw.astype(np.float32)
        invalid = ~(np.isfinite(depth) & (depth > 0))
    else:
        raise ValueError(f"a depth image is uint16 millimetres or float metres, got {raw.dtype}")
    if np.isfinite(max_depth):
        invalid |= depth > max_depth
    depth[invalid] = np.nan
    return depth


def from_metres(depth: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Convert float32 metres with NaN back to a sensor encoding: uint16 millimetres (0 invalid) or float32 (NaN).

    Depths that millimetres cannot hold (below 0.5 mm or above 65.534 m) become 0, never a wrapped or clipped value.
    """
    dtype = np.dtype(dtype)
    if dtype == np.float32:
        return np.asarray(depth, dtype=np.float32)
    if dtype != np.uint16:
        raise ValueError(f"depth is written as uint16 millimetres or float32 metres, not {dtype}")
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    millimetres[(millimetres < 1) | (millimetres >= MILLIMETRES_SATURATED)] = 0
    return millimetres.astype(np.uint16)


def valid_mask(depth: np.ndarray) -> np.ndarray:
    """(H, W) bool: True where `depth` in metres is finite and positive."""
    return np.isfinite(depth) & (depth > 0)


def fill_holes(depth: np.ndarray) -> np.ndarray:
    """Give every invalid pixel the value of its nearest valid one, so that a kernel or a network sees no NaN.

    The fill copies measured values only: it never blends two surfaces into a depth that neither has. Invalid is what
    is not finite; zero and negative values are copied like any other, because disparities may have them. In metres
    they are invalid, and `to_metres` has made them NaN.

    Args:
        depth: (H, W) float32 or float64 in any unit, NaN or infinite where invalid, at least one pixel valid.

    Returns:
        (H, W) of the same dtype, finite everywhere; `depth` itself where it has no hole.

    Raises:
        ValueError: when no pixel is valid.
    """
    valid = np.isfinite(depth)
    if valid.all():
        return depth
    if not valid.any():
        raise ValueError("no valid pixel to fill from: the depth image is invalid everywhere")
    return depth[nearest_valid(valid)]


def nearest_valid(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, each (H, W), of the True pixel of (H, W) bool `valid` that is nearest to every pixel.

    The distance is the 5 x 5 chamfer distance, within 3 % of the Euclidean one; at least one pixel must be True.
    """
    _, labels = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixel_of_label = np.zeros(int(labels.max()) + 1, dtype=np.intp)
    pixel_of_label[labels[valid]] = np.flatnonzero(valid)
    return np.unravel_index(pixel_of_label[labels], valid.shape)


def expand_mask(valid: np.ndarray, scale: int) -> np.ndarray:
    """(h, w) bool LR validity to (h * scale, w * scale): each LR pixel rules its own cell of HR pixels."""
    return valid.repeat(scale, axis=-2).repeat(scale, axis=-1)
