"""Low-resolution (LR) kernels: how a high-resolution (HR) depth map becomes an LR one.

Sensor model, training, benchmark, diffusion constraint and metrics all take their kernels from this list:

- ``block_mean``: mean of the valid pixels of each s x s cell, as a depth camera's pixel integrates. DADA's kernel.
- ``bicubic``: MATLAB's ``imresize``: Keys' cubic with a = -0.5, widened by s (antialiased), borders mirrored.
- ``bicubic_uint8``: the same of an 8-bit image, rounded to whole grey levels after each of the two 1-D passes, rows
  before columns (protocol P2 of the Middlebury 2005 tables).
- ``bicubic_pillow``: ``bicubic`` with the kernel cut at the border and renormalised, as Pillow does (protocol DKN).
- ``nearest``: the pixel (s // 2, s // 2) of each cell. Point sampling, so it aliases.
- ``half_cell``: mean of the central s/2 x s/2 of each cell, where a pixel half inside counts half: a sensor whose
  pixels see less than their pitch. At s = 2 the same as ``block_mean``.
- ``inter_cubic``: ``cv2.resize`` with ``INTER_CUBIC``: 4 x 4 taps with a = -0.75 whatever the scale, so it aliases.

One rule for holes (NaN): an LR cell is invalid where at least half of its HR pixels are invalid, under every kernel.
``block_mean`` averages the valid pixels of a valid cell. Every other kernel reads the map with its holes filled from
the nearest valid pixel (`depth_sr_ros.depth.fill_holes`).

To add a kernel, add a function to `_REDUCE`. For one that a diffusion can be held to, add its matrix to `_ROW_MATRIX`
and its name to `depth_sr_ros.choices.CONSTRAINT_KERNELS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from .depth import fill_holes

Size = tuple[int, int]


def downsample(depth: np.ndarray, scale: int, kernel: str, *, level: float | None = None) -> np.ndarray:
    """Make an LR depth map; computed in float64, so float32 and float64 maps of equal values give equal results.

    Args:
        depth: (H, W) float32 or float64 in any unit, NaN invalid; zero and negative values are valid.
        scale: s, HR pixels per LR pixel on each axis; it divides H and W.
        kernel: one of `LR_KERNELS`.
        level: value of one grey level, in the unit of `depth`; needed by `LEVEL_KERNELS` alone.

    Returns:
        (H / s, W / s) of the dtype of `depth`, NaN where half of a cell or more is invalid.

    Raises:
        ValueError: unknown kernel, another shape or dtype, a scale that does not divide the size, or no `level` above
            0 where the kernel needs one.
    """
    check_lr_kernel(kernel)
    if depth.ndim != 2 or depth.dtype not in (np.float32, np.float64):
        raise ValueError(f"a depth map is (H, W) float32 or float64, got {depth.shape} {depth.dtype}")
    height, width = depth.shape
    if scale < 1 or height % scale or width % scale:
        raise ValueError(f"a {height}x{width} map has no LR map at scale {scale}: crop it to a multiple of the scale")
    step = level if kernel in LEVEL_KERNELS else 1.0
    if step is None or step <= 0:
        raise ValueError(f"{kernel} rounds to grey levels: give the value of one as level, got {level}")
    exact = depth.astype(np.float64)
    invalid = lr_invalid(depth, scale)
    if invalid.all():
        return np.full(invalid.shape, np.nan, depth.dtype)
    if kernel != "block_mean":
        exact = fill_holes(exact)
    result = _REDUCE[kernel](exact / step, (height // scale, width // scale)) * step
    return np.where(invalid, np.nan, result).astype(depth.dtype)


def lr_invalid(depth: np.ndarray, scale: int) -> np.ndarray:
    """(H / scale, W / scale) bool: True where at least half of the cell's pixels of (H, W) `depth` are NaN."""
    return 2 * _cells(np.isnan(depth), scale).sum(axis=(-3, -1)) >= scale * scale


def check_lr_kernel(kernel: str, choices: tuple[str, ...] | None = None) -> None:
    """Raise ValueError, naming the choices, when `kernel` is none of `choices` (None: `LR_KERNELS`)."""
    choices = LR_KERNELS if choices is None else choices
    if kernel not in choices:
        raise ValueError(f"unknown LR kernel {kernel!r}: expected one of {', '.join(choices)}")


def row_matrix(n_hr: int, n_lr: int, kernel: str) -> np.ndarray:
    """The 1-D operator A of a separable linear kernel: LR = A_y HR A_x^T on maps without holes.

    Args:
        n_hr: HR length in pixels, a multiple of `n_lr`.
        n_lr: LR length in pixels.
        kernel: "block_mean", "half_cell", "bicubic", "bicubic_pillow" or "nearest".

    Returns:
        (n_lr, n_hr) float64, read-only; each row sums to 1.

    Raises:
        ValueError: a kernel that is not separable and linear, or lengths that are not multiples.
    """
    check_lr_kernel(kernel, tuple(_ROW_MATRIX))
    if n_lr < 1 or n_hr % n_lr:
        raise ValueError(f"a length of {n_hr} pixels is no multiple of {n_lr}")
    return _ROW_MATRIX[kernel](n_hr, n_lr)


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
        n_out: output length in pixels, smaller or larger.
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


def imresize_uint8(image: np.ndarray, size: Size) -> np.ndarray:
    """MATLAB's imresize of a uint8 image, smaller or larger: rounded after the rows pass and after the columns pass.

    Args:
        image: (H, W) grey levels, any dtype, without NaN.
        size: (height, width) of the result.

    Returns:
        float64 array of whole levels 0 to 255.
    """
    rows, columns = bicubic_matrix(image.shape[0], size[0]), bicubic_matrix(image.shape[1], size[1])
    return round_uint8(round_uint8(rows @ image.astype(np.float64)) @ columns.T)


def round_uint8(x: np.ndarray) -> np.ndarray:
    """MATLAB's uint8(): halves away from zero, clipped to 0..255; NaN stays NaN. float64 in, float64 out."""
    return np.clip(np.floor(x + 0.5), 0, 255)


def cell_mean(x: np.ndarray, scale: int) -> np.ndarray:
    """Mean of the non-NaN values of each scale x scale cell of (..., H, W), NaN where a cell has none; dtype kept."""
    cells = _cells(x, scale)
    valid = ~np.isnan(cells)
    count = valid.sum(axis=(-3, -1))
    total = np.where(valid, cells, 0).sum(axis=(-3, -1), dtype=np.float64)
    mean = np.full(count.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(x.dtype)


def _cells(x: np.ndarray, scale: int) -> np.ndarray:
    """(..., H, W) as (..., H / scale, scale, W / scale, scale)."""
    height, width = x.shape[-2:]
    return x.reshape(*x.shape[:-2], height // scale, scale, width // scale, scale)


def _block_mean(depth: np.ndarray, size: Size) -> np.ndarray:
    return cell_mean(depth, depth.shape[0] // size[0])


def _bicubic(depth: np.ndarray, size: Size, border: str = "symmetric") -> np.ndarray:
    rows, columns = (bicubic_matrix(n, m, border) for n, m in zip(depth.shape, size))
    return rows @ (depth @ columns.T)


def _bicubic_uint8(depth: np.ndarray, size: Size) -> np.ndarray:
    return imresize_uint8(round_uint8(depth), size)


def _bicubic_pillow(depth: np.ndarray, size: Size) -> np.ndarray:
    return _bicubic(depth, size, border="truncate")


def _nearest(depth: np.ndarray, size: Size) -> np.ndarray:
    scale = depth.shape[0] // size[0]
    return depth[scale // 2 :: scale, scale // 2 :: scale]


def _half_cell(depth: np.ndarray, size: Size) -> np.ndarray:
    rows, columns = (_half_cell_matrix(n, m) for n, m in zip(depth.shape, size))
    return rows @ (depth @ columns.T)


def _inter_cubic(depth: np.ndarray, size: Size) -> np.ndarray:
    return cv2.resize(depth, size[::-1], interpolation=cv2.INTER_CUBIC)


@lru_cache(maxsize=64)
def _cell_matrix(n_hr: int, n_lr: int, first: int, count: int) -> np.ndarray:
    """(n_lr, n_hr): the mean over `count` pixels of each cell, from its pixel number `first` on."""
    scale = n_hr // n_lr
    cell = np.zeros((1, scale))
    cell[0, first : first + count] = 1 / count
    matrix = np.kron(np.eye(n_lr), cell)
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=64)
def _half_cell_matrix(n_hr: int, n_lr: int) -> np.ndarray:
    """(n_lr, n_hr): the mean over the middle half of each cell."""
    scale = n_hr // n_lr
    pixels = np.arange(scale)
    covered = np.clip(np.minimum(pixels + 1, 0.75 * scale) - np.maximum(pixels, 0.25 * scale), 0, None)
    matrix = np.kron(np.eye(n_lr), covered[None] / covered.sum())
    matrix.setflags(write=False)
    return matrix


_REDUCE: dict[str, Callable[[np.ndarray, Size], np.ndarray]] = {
    "block_mean": _block_mean,
    "bicubic": _bicubic,
    "bicubic_uint8": _bicubic_uint8,
    "bicubic_pillow": _bicubic_pillow,
    "nearest": _nearest,
    "half_cell": _half_cell,
    "inter_cubic": _inter_cubic,
}
_ROW_MATRIX: dict[str, Callable[[int, int], np.ndarray]] = {
    "block_mean": lambda n_hr, n_lr: _cell_matrix(n_hr, n_lr, 0, n_hr // n_lr),
    "bicubic": bicubic_matrix,
    "bicubic_pillow": lambda n_hr, n_lr: bicubic_matrix(n_hr, n_lr, "truncate"),
    "half_cell": _half_cell_matrix,
    "nearest": lambda n_hr, n_lr: _cell_matrix(n_hr, n_lr, n_hr // n_lr // 2, 1),
}
LR_KERNELS = tuple(_REDUCE)
"""Every kernel, by its one name."""
LEVEL_KERNELS = ("bicubic_uint8",)
"""Kernels of 8-bit images, which need the value of one grey level."""
