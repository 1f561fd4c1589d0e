"""Test protocols: which kernel makes the LR input, what is rounded where, which pixels and units are scored.

Middlebury 2005, as in the papers' MAD tables, comes in two versions of "imresize" (MATLAB bicubic, a = -0.5,
antialiased when shrinking, mirrored borders, rows before columns):

- P1 (Art, Books, Moebius): double precision down and up; only the final output is rounded to uint8.
- P2 (Dolls, Laundry, Reindeer): images stay uint8, so every 1-D pass is rounded, down and up.

Both: the ground truth is cropped at the bottom and right to a multiple of the scale; every pixel counts, no mask,
no border; results are rounded to uint8 before they are scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_sr_ros.depth import fill_holes
from depth_sr_ros.resize import bicubic, bicubic_matrix, block_mean

LR_KERNELS = ("protocol", "bicubic", "block", "nearest", "inter_cubic")


@dataclass(frozen=True)
class Protocol:
    """How a data set is degraded and scored.

    Attributes:
        name: what a table row calls it.
        kernel: the LR kernel behind ``--lr-kernel protocol``: "imresize", "imresize_uint8", "pillow" or "block".
        unit: unit of the depth maps and of MAD and RMSE.
        metric: the scores that the data set's published tables give, the first one is the headline.
        round_to_uint8: results are rounded and clipped to 0..255 before scoring.
        border: pixels ignored at every image border.
    """

    name: str
    kernel: str
    unit: str
    metric: tuple[str, ...]
    round_to_uint8: bool = False
    border: int = 0

    def finish(self, output: np.ndarray) -> np.ndarray:
        """The output (H, W) in the form in which it is scored, float64."""
        output = output.astype(np.float64)
        return round_uint8(output) if self.round_to_uint8 else output

    def bicubic(self, depth_lr: np.ndarray, scale: int) -> np.ndarray:
        """The papers' "Bicubic" row: the same resampling (and rounding) upwards; (h, w) -> (h * scale, w * scale)."""
        size = (depth_lr.shape[0] * scale, depth_lr.shape[1] * scale)
        if self.kernel == "imresize_uint8":
            return imresize_uint8(depth_lr, size)
        border = "truncate" if self.kernel == "pillow" else "symmetric"
        return bicubic(depth_lr.astype(np.float64), size=size, border=border)


P1 = Protocol("P1", "imresize", "uint8 disparity", ("mad",), round_to_uint8=True)
P2 = Protocol("P2", "imresize_uint8", "uint8 disparity", ("mad",), round_to_uint8=True)
DISPARITY = Protocol("disparity", "imresize", "uint8 disparity", ("mad", "rmse"), round_to_uint8=True)
DADA = Protocol("DADA", "block", "cm", ("mse", "mad"))
TOFMARK = Protocol("ToFMark", "imresize", "mm", ("mad",))
DKN = Protocol("DKN", "pillow", "cm", ("rmse",), border=6)


def round_uint8(x: np.ndarray) -> np.ndarray:
    """MATLAB's uint8(): halves away from zero, clipped to 0..255; NaN stays NaN. float64 in, float64 out."""
    return np.clip(np.floor(x + 0.5), 0, 255)


def imresize_uint8(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """MATLAB's imresize of a uint8 image: rounded after the rows pass and again after the columns pass.

    Args:
        image: (H, W) with integer values 0..255, any dtype.
        size: (height, width) of the result.

    Returns:
        float64 array of integer values.
    """
    rows = bicubic_matrix(image.shape[0], size[0])
    columns = bicubic_matrix(image.shape[1], size[1])
    return round_uint8(round_uint8(rows @ image.astype(np.float64)) @ columns.T)


def downsample(depth: np.ndarray, scale: int, kernel: str) -> np.ndarray:
    """Make a low-resolution depth map.

    The block mean skips invalid pixels. Every other kernel would smear NaN, so it works on the map with its holes
    filled from the nearest valid pixel; scoring still ignores them.

    Args:
        depth: (H, W) float64, multiples of `scale`; NaN invalid.
        scale: integer factor.
        kernel: "imresize" or "bicubic" (antialiased, double precision), "imresize_uint8" (P2), "pillow" (antialiased,
            cut borders), "block" (mean), "nearest" (the cell's pixel at scale // 2), "inter_cubic" (OpenCV's
            INTER_CUBIC: 4 x 4 taps whatever the scale, so it aliases).

    Returns:
        (H / scale, W / scale) float64; NaN only for "block", where a cell has no valid pixel.

    Raises:
        ValueError: for an unknown kernel or a size that the scale does not divide.
    """
    height, width = depth.shape
    if height % scale or width % scale:
        raise ValueError(f"a {height}x{width} map has no LR map at scale {scale}: crop it first (crop_to_multiple)")
    if kernel == "block":
        return block_mean(depth, scale)
    filled = fill(depth)
    size = (height // scale, width // scale)
    if kernel in ("imresize", "bicubic"):
        return bicubic(filled, size=size)
    if kernel == "imresize_uint8":
        return imresize_uint8(filled, size)
    if kernel == "pillow":
        return bicubic(filled, size=size, border="truncate")
    if kernel == "nearest":
        return filled[scale // 2 :: scale, scale // 2 :: scale].copy()
    if kernel == "inter_cubic":
        import cv2

        return cv2.resize(filled, size[::-1], interpolation=cv2.INTER_CUBIC)
    raise ValueError(f"unknown LR kernel {kernel!r}: choose one of {', '.join(LR_KERNELS)}")


def fill(depth: np.ndarray) -> np.ndarray:
    """(H, W) with every NaN replaced by the nearest valid value, float64; 0 and negative values are valid here."""
    if np.isfinite(depth).all():
        return depth.astype(np.float64)
    # fill_holes takes values <= 0 for invalid as well, which a disparity of 0 is not
    offset = 1.0 - np.nanmin(depth)
    return fill_holes(depth + offset).astype(np.float64) - offset


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut rows and columns at the bottom and right so that `scale` divides the height and width."""
    height, width = image.shape[0] // scale * scale, image.shape[1] // scale * scale
    if not height or not width:
        raise ValueError(f"an image of {image.shape[0]}x{image.shape[1]} pixels is too small for scale {scale}")
    return image[:height, :width]
