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

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def cubic_kernel(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5; support (-2, 2)."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


@lru_cache(maxsize=64)
def bicubic_matrix(n_in: int, n_out: int, border: str = "symmetric") -> np.ndarray:
    """The 1-D bicubic resampling operator as a dense, read-only float64 matrix (n_out, n_in); its rows sum to 1.

    Args:
        n_in: input length in pixels.
        n_out: output length in pixels.
        border: "symmetric" mirrors the signal at its edge (MATLAB); "truncate" renormalises the cut kernel (Pillow).

    Raises:
        ValueError: for a length below 1 or an unknown border.
    """
    if n_in < 1 or n_out < 1:
        raise ValueError(f"bicubic needs lengths of at least 1 pixel, got {n_in} -> {n_out}")
    if border not in ("symmetric", "truncate"):
        raise ValueError(f"border must be 'symmetric' or 'truncate', got {border!r}")
    ratio = n_out / n_in
    stretch = max(1.0, 1.0 / ratio)
    centres = (np.arange(n_out) + 0.5) / ratio - 0.5
    first = np.floor(centres - 2 * stretch).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 2)
    weights = cubic_kernel((centres[:, None] - taps) / stretch)
    if border == "truncate":
        weights[(taps < 0) | (taps >= n_in)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps, 2 * n_in)
    mirrored = np.where(mirrored >= n_in, 2 * n_in - 1 - mirrored, mirrored)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], mirrored), weights)
    matrix.setflags(write=False)
    return matrix


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
    cells = x.reshape(*x.shape[:-2], height // scale, scale, width // scale, scale)
    if isinstance(x, torch.Tensor):
        return torch.nanmean(cells, dim=(-3, -1))
    valid = ~np.isnan(cells)
    count = valid.sum(axis=(-3, -1))
    total = np.where(valid, cells, 0).sum(axis=(-3, -1), dtype=np.float64)
    mean = np.full(count.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(x.dtype)


def repeat(x: Array, scale: int) -> Array:
    """Nearest-neighbour upsampling of the last two axes by an integer: each pixel becomes a scale x scale cell."""
    if isinstance(x, torch.Tensor):
        return x.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return np.repeat(np.repeat(x, scale, -2), scale, -1)
