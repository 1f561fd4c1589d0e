"""NumPy .npy and PFM files of one array."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np

from .contents import check_size, read_bytes

PFM_HEADER = re.compile(rb"(P[fF])\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,40})(?:\r\n|\s)")


def read_npy(path: str | Path) -> np.ndarray:
    """The two-dimensional array of a .npy file, in its own type but in this machine's byte order.

    The header is checked before anything of the announced size is allocated.

    Raises:
        OSError, ValueError: as `read_bytes`; damaged, truncated, too large, not two-dimensional, or not of numbers.
    """
    data = read_bytes(path)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # a damaged header is parsed as Python and can raise anything
        raise ValueError(f"{path} is not a NumPy array file: {str(error).splitlines()[0][:200]}") from None
    if dtype.kind not in "fuib":
        raise ValueError(f"{path} is not a NumPy array of numbers: its type is {str(dtype)[:40]}")
    if len(shape) != 2:
        raise ValueError(f"{path} holds an array of shape {shape}: a depth map has shape (H, W)")
    check_size(path, shape[1], shape[0])
    start, count = file.tell(), shape[0] * shape[1]
    if len(data) - start < count * dtype.itemsize:
        raise ValueError(
            f"{path} is truncated: {count * dtype.itemsize} bytes of values announced, {len(data) - start} present"
        )
    values = np.frombuffer(data, dtype, count, start).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(values, dtype.newbyteorder("="))


def read_pfm(path: str | Path) -> np.ndarray:
    """(H, W) float32 from a one-channel PFM, top row first.

    The sign of the header's scale is the byte order (negative: little-endian). Its magnitude is no factor: depth and
    disparity files hold their values directly, whatever number is written there (Middlebury 2014 has -0.003922).

    Raises:
        OSError, ValueError: as `read_bytes`; damaged, truncated, too large or three-channel.
    """
    data = read_bytes(path)
    header = PFM_HEADER.match(data)
    if header is None:
        raise ValueError(f"{path} is no PFM file: expected a header 'Pf', width, height and scale")
    if header[1] == b"PF":
        raise ValueError(f"{path} is a colour PFM: expected one channel ('Pf')")
    width, height = int(header[2]), int(header[3])
    try:
        scale = float(header[4])
    except ValueError:
        scale = math.nan
    if scale == 0 or not math.isfinite(scale):
        raise ValueError(f"{path}: PFM scale {header[4].decode()!r}, expected a number other than 0")
    check_size(path, width, height)
    values = np.frombuffer(data, np.uint8, offset=header.end())
    if values.size != 4 * width * height:
        raise ValueError(
            f"{path}: {width}x{height} pixels announced, {values.size // 4} present: it is truncated or damaged"
        )
    values = values.view("<f4" if scale < 0 else ">f4")
    return values.reshape(height, width)[::-1].astype(np.float32)


def encode_npy(values: np.ndarray) -> bytes:
    """The content of a .npy file."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def encode_pfm(values: np.ndarray) -> bytes:
    """The content of a little-endian one-channel PFM file of (H, W) values."""
    height, width = values.shape
    return f"Pf\n{width} {height}\n-1.0\n".encode() + np.ascontiguousarray(values[::-1], "<f4").tobytes()
