"""Test protocols: which kernel makes the LR input, what is rounded where, which pixels and units are scored.

Middlebury 2005, as in the papers' MAD tables, comes in two versions of "imresize" (MATLAB bicubic, a = -0.5,
antialiased when shrinking, mirrored borders, rows before columns):

- P1 (Art, Books, Moebius): double precision down and up; only the final output is rounded to uint8.
- P2 (Dolls, Laundry, Reindeer): images stay uint8, so every 1-D pass is rounded, down and up.

Both: the ground truth is cropped at the bottom and right to a multiple of the scale; its maps have no hole, so every
pixel counts, no mask, no border; results are rounded to uint8 before they are scored.

Data sets with holes: an LR cell with at least half of its pixels invalid is invalid (`depth_sr_ros.lr_kernels`), and
the pixels under it are not scored, as in training's validation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_sr_ros.depth import fill_holes
from depth_sr_ros.lr_kernels import LR_KERNELS, imresize_uint8, round_uint8
from depth_sr_ros.resize import bicubic

PROTOCOL = "protocol"
KERNEL_CHOICES = (PROTOCOL, *LR_KERNELS)
"""What ``--lr-kernel`` takes: the data set's own kernel, or one for all of them."""


@dataclass(frozen=True)
class Protocol:
    """How a data set is degraded and scored.

    Attributes:
        name: what a table row calls it.
        kernel: the LR kernel behind ``--lr-kernel protocol``, one of `LR_KERNELS`.
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

    @property
    def scoring(self) -> str:
        """Which pixels count and what is rounded, for the line below a table."""
        rounded = "results rounded to whole levels 0 to 255" if self.round_to_uint8 else "results not rounded"
        border = f", {self.border} pixels at each image border left out" if self.border else ""
        return f"{rounded}; scored where the ground truth and the LR pixel are valid{border}"

    def finish(self, output: np.ndarray) -> np.ndarray:
        """The output (H, W) in the form in which it is scored, float64."""
        output = output.astype(np.float64)
        return round_uint8(output) if self.round_to_uint8 else output

    def bicubic(self, depth_lr: np.ndarray, scale: int) -> np.ndarray:
        """The papers' "Bicubic" row: the same resampling (and rounding) upwards; (h, w) -> (h * scale, w * scale).

        Holes of `depth_lr` are filled first, so the result is finite everywhere.
        """
        size = (depth_lr.shape[0] * scale, depth_lr.shape[1] * scale)
        filled = fill_holes(depth_lr.astype(np.float64))
        if self.kernel == "bicubic_uint8":
            return imresize_uint8(filled, size)
        border = "truncate" if self.kernel == "bicubic_pillow" else "symmetric"
        return bicubic(filled, size=size, border=border)


P1 = Protocol("P1", "bicubic", "uint8 disparity", ("mad",), round_to_uint8=True)
P2 = Protocol("P2", "bicubic_uint8", "uint8 disparity", ("mad",), round_to_uint8=True)
DISPARITY = Protocol("disparity", "bicubic", "uint8 disparity", ("mad", "rmse"), round_to_uint8=True)
DADA = Protocol("DADA", "block_mean", "cm", ("mse", "mad"))
TOFMARK = Protocol("ToFMark", "bicubic", "mm", ("mad",))
DKN = Protocol("DKN", "bicubic_pillow", "cm", ("rmse",), border=6)


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut rows and columns at the bottom and right so that `scale` divides the height and width."""
    height, width = image.shape[0] // scale * scale, image.shape[1] // scale * scale
    if not height or not width:
        raise ValueError(f"an image of {image.shape[0]}x{image.shape[1]} pixels is too small for scale {scale}")
    return image[:height, :width]
