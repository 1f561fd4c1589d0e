"""Show a scene larger or smaller: training scenes are small copies, cameras and benchmarks are not.

Colour is filtered as a lens or a resize would; depth never is, because a mean of two surfaces is on neither.
"""

from __future__ import annotations

import cv2
import numpy as np

from depth_sr_ros.depth import fill_holes

JUMP = 0.02  # of the full scale: a step that counts as a depth edge


def zoom(depth: np.ndarray, guide: np.ndarray | None, size: int, full: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Resample a square crop to `size` x `size` pixels.

    Shrunk depth takes the pixel nearest to each new centre. Enlarged depth is interpolated linearly inside a surface;
    at an edge every pixel takes the side that the interpolated value is closer to, so that the contour becomes smooth
    and the edge stays one pixel wide. Enlarged colour is cubic and shrunk colour the mean over its area.

    Args:
        depth: (N, N) float32, NaN invalid.
        guide: (N, N, 3) float32 in [0, 1], or None.
        size: side of the result, pixels.
        full: full scale of the depth values (see `DepthUnit`).

    Returns:
        depth (size, size) float32 with NaN where the nearest source pixel is invalid, and the guide or None.
    """
    side = depth.shape[0]
    if side == size:
        return depth, guide
    target = (size, size)
    if guide is not None:
        method = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
        guide = np.clip(cv2.resize(guide, target, interpolation=method), 0, 1)
    nearest = cv2.resize(depth, target, interpolation=cv2.INTER_NEAREST_EXACT)
    if size < side or np.isnan(depth).all():
        return nearest, guide
    filled = fill_holes(depth)
    linear = cv2.resize(filled, target, interpolation=cv2.INTER_LINEAR)
    kernel = np.ones((3, 3), np.uint8)
    low, high = (
        cv2.resize(extreme(filled, kernel), target, interpolation=cv2.INTER_NEAREST_EXACT)
        for extreme in (cv2.erode, cv2.dilate)
    )
    snapped = np.where(linear - low < high - linear, low, high)
    enlarged = np.where(high - low > JUMP * full, snapped, linear)
    return np.where(np.isnan(nearest), np.nan, enlarged).astype(np.float32), guide
