"""Bicubic and block-mean resampling, the same numbers from NumPy and from torch.

`bicubic` is MATLAB's ``imresize``: Keys' cubic (a = -0.5), pixel centres at half-integers, the kernel widened by
the scale when shrinking (antialiasing), columns and rows separately, borders mirrored. ``border="truncate"`` cuts
the kernel at the border and renormalises it instead, which is what Pillow does; inside they agree.

`block_mean` is the depth camera's own kernel: the average of the valid pixels of each s x s cell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from .lr_kernels import bicubic_matrix, cell_mean, cubic_kernel

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def bicubic(
    x: Array, scale: float | None = None, size: tuple[int, int] | None = None, border: str = "symmetric"
) -> Array:
    """Resample the last two axes by MATLAB's bicubic `imresize` (see the module text).

    Args:
        x: (..., H, W) floating NumPy array or torch tensor, without NaN (a NaN spreads over the kernel's support).
        scale: factor on both axes; the output size is ceil(H * scale), ceil(W * scale), as in MATLAB.
        size: (height, width) of the output instead of `scale`.
        border: "symmetric" (MATLAB) or "truncate" (Pillow).

    Returns:
        (..., H', W') of the same kind and dtype, a tensor also computed in its dtype whatever autocast says.

    Raises:
        ValueError: when not exactly one of `scale` and `size` is given, or the input is not floating.
    """
    height, width = x.shape[-2:]
    if scale is not None and size is None:
        size = (int(np.ceil(height * scale - 1e-9)), int(np.ceil(width * scale - 1e-9)))
    elif size is None or scale is not None:
        raise ValueError("give exactly one of scale and size")
    if isinstance(x, torch.Tensor):
        if not x.is_floating_point():
            raise ValueError(f"bicubic needs a floating tensor, got {x.dtype}")
        # autocast would round depths to its 8 or 11 bits, more than a network's detail on top is worth
        with torch.autocast(x.device.type, enabled=False):
            return _bicubic_tensor(x, size, border)
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"bicubic needs a floating array, got {x.dtype}")
    rows = bicubic_matrix(height, size[0], border).astype(x.dtype)
    columns = bicubic_matrix(width, size[1], border).astype(x.dtype)
    return rows @ (x @ columns.T)


def _bicubic_tensor(x: torch.Tensor, size: tuple[int, int], border: str) -> torch.Tensor:
    height, width = x.shape[-2:]
    up_y, up_x = size[0] // height, size[1] // width
    if border == "symmetric" and size == (height * up_y, width * up_x) and min(height, width) > 1:
        return _upsample_axis(_upsample_axis(x, up_x, -1), up_y, -2)
    rows = torch.as_tensor(bicubic_matrix(height, size[0], border).copy(), dtype=x.dtype, device=x.device)
    columns = torch.as_tensor(bicubic_matrix(width, size[1], border).copy(), dtype=x.dtype, device=x.device)
    return rows @ (x @ columns.T)


@lru_cache(maxsize=32)
def _phase_kernels(scale: int) -> np.ndarray:
    """The `scale` output phases of integer bicubic upsampling as 5-tap kernels (scale, 5) around an LR pixel."""
    offsets = (np.arange(scale) + 0.5) / scale - 0.5
    kernels = cubic_kernel(offsets[:, None] - np.arange(-2, 3))
    return kernels / kernels.sum(axis=1, keepdims=True)


def _upsample_axis(x: torch.Tensor, scale: int, axis: int) -> torch.Tensor:
    """Integer bicubic upsampling of one axis as a convolution: independent of the size, so it exports and is cheap."""
    if scale == 1:
        return x
    n = x.shape[axis]
    x = x.movedim(axis, -1)
    lead = x.shape[:-1]
    padded = torch.cat([x[..., :2].flip(-1), x, x[..., -2:].flip(-1)], -1).reshape(-1, 1, n + 4)
    kernels = torch.from_numpy(_phase_kernels(scale).copy()).to(device=x.device, dtype=x.dtype)
    out = F.conv1d(padded, kernels[:, None])  # (N, scale, n)
    return out.transpose(1, 2).reshape(*lead, n * scale).movedim(-1, axis)


def block_mean(x: Array, scale: int) -> Array:
    """Average of the valid (non-NaN) pixels of each scale x scale cell: the depth camera's kernel, DADA's `down`.

    Args:
        x: (..., H, W), H and W multiples of `scale`; NaN marks invalid pixels.
        scale: cell size in pixels.

    Returns:
        (..., H / scale, W / scale) of the same kind and dtype; NaN where a cell has no valid pixel.

    Raises:
        ValueError: when H or W is not a multiple of `scale`.
    """
    height, width = x.shape[-2:]
    if scale < 1 or height % scale or width % scale:
        raise ValueError(
            f"block_mean needs a height and width that scale {scale} divides, got {height}x{width}: crop first"
        )
    if isinstance(x, torch.Tensor):
        cells = x.reshape(*x.shape[:-2], height // scale, scale, width // scale, scale)
        return torch.nanmean(cells, dim=(-3, -1))
    return cell_mean(x, scale)


def repeat(x: Array, scale: int) -> Array:
    """Nearest-neighbour upsampling of the last two axes by an integer: each pixel becomes a scale x scale cell."""
    if isinstance(x, torch.Tensor):
        return x.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return np.repeat(np.repeat(x, scale, -2), scale, -1)
