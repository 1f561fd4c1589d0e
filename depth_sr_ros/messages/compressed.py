"""sensor_msgs/CompressedImage as image_transport's plugins write it: `compressed` and `compressedDepth` (PNG, RVL)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np

from .errors import DecodeError

MAX_PIXELS = 1 << 27
"""A compressed image that claims more pixels is refused before it is decoded."""

_CONFIG = struct.Struct("<iff")  # compressed_depth_image_transport's header: format, two parameters of inverse depth
_RVL_SIZE = struct.Struct("<ii")
_PNG_SIZE = struct.Struct(">II")
_COLOUR_ENCODINGS = ("rgb8", "bgr8", "rgba8", "bgra8")


class CompressedMessage(Protocol):
    """What is read of a CompressedImage, of rclpy or of rosbags."""

    header: Any
    format: str
    data: Any


@dataclass
class _Pixels:
    encoding: str
    array: np.ndarray


class DecompressedImage:
    """A CompressedImage with the fields of an Image; it is decompressed when its pixels or its size are asked for.

    Raises (any attribute but `header`):
        DecodeError: an unsupported format, or damaged data.
    """

    is_bigendian = 0

    def __init__(self, message: CompressedMessage):
        self.header = message.header
        self._message = message

    @cached_property
    def _pixels(self) -> _Pixels:
        return decompress(self._message)

    @property
    def encoding(self) -> str:
        return self._pixels.encoding

    @property
    def height(self) -> int:
        return self._pixels.array.shape[0]

    @property
    def width(self) -> int:
        return self._pixels.array.shape[1]

    @property
    def step(self) -> int:
        return self._pixels.array.strides[0]

    @property
    def data(self) -> np.ndarray:
        return self._pixels.array.reshape(-1).view(np.uint8)


def encoding_of(format_text: str) -> str:
    """The encoding after decompression that a CompressedImage's `format` promises: "16UC1; compressedDepth png".

    A format that names none ("jpeg", "png") is colour.
    """
    first = format_text.split(";")[0].strip()
    return first if ";" in format_text and first not in _COLOUR_ENCODINGS else "bgr8"


def decompress(message: CompressedMessage) -> _Pixels:
    """Decode a CompressedImage.

    Raises:
        DecodeError: an unsupported format, or damaged data.
    """
    data = np.frombuffer(message.data, np.uint8)
    if "compresseddepth" in message.format.lower():
        return _decompress_depth(data.tobytes(), message.format)
    encoding = encoding_of(message.format)
    image = _decode_image(data, cv2.IMREAD_COLOR_BGR if encoding == "bgr8" else cv2.IMREAD_UNCHANGED, message.format)
    expected = {"bgr8": (np.uint8, 3), "mono8": (np.uint8, 2), "16UC1": (np.uint16, 2), "mono16": (np.uint16, 2)}
    dtype, third = expected.get(encoding, (None, 0))
    channels = 3 if third == 3 else 2
    if dtype is None or image.dtype != dtype or image.ndim != channels:
        raise DecodeError(
            f"unsupported format {message.format!r} of a compressed image: expected 'jpeg' or 'png' of bgr8, rgb8, "
            "mono8 or 16UC1, or compressedDepth"
        )
    return _Pixels(encoding, np.ascontiguousarray(image))


def _decompress_depth(data: bytes, format_text: str) -> _Pixels:
    encoding = format_text.split(";")[0].strip()
    if encoding not in ("16UC1", "32FC1"):
        raise DecodeError(f"unsupported format {format_text!r} of a compressed depth image: expected 16UC1 or 32FC1")
    if len(data) <= _CONFIG.size:
        raise DecodeError(f"truncated compressed depth image: {len(data)} bytes, expected more than {_CONFIG.size}")
    _, quantisation, offset = _CONFIG.unpack_from(data)
    body = data[_CONFIG.size :]
    if "rvl" in format_text.lower():
        levels = decode_rvl(body)
    else:
        levels = _decode_image(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED, format_text)
        if levels.dtype != np.uint16 or levels.ndim != 2:
            raise DecodeError(f"compressed depth holds {levels.dtype} {levels.shape}: expected uint16, one channel")
    if encoding == "16UC1":
        return _Pixels(encoding, np.ascontiguousarray(levels))
    inverse = levels.astype(np.float32) - np.float32(offset)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(levels > 0, np.float32(quantisation) / inverse, np.float32(np.nan))
    return _Pixels(encoding, depth.astype(np.float32))


def _decode_image(data: np.ndarray, flags: int, format_text: str) -> np.ndarray:
    png = data[:24].tobytes()
    if png[:4] == b"\x89PNG" and len(png) == 24:
        width, height = _PNG_SIZE.unpack(png[16:24])
        _check_size(width, height)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise DecodeError(f"damaged image of format {format_text!r}: {error}") from None
    if image is None:
        raise DecodeError(f"damaged image of format {format_text!r}: {data.size} bytes that are no image")
    return image


def decode_rvl(data: bytes) -> np.ndarray:
    """Decode RVL, lossless run-length and delta coding of depth (Wilson, "Fast Lossless Depth Compression", 2017).

    Args:
        data: width and height as int32, then the code as 32-bit words of eight nibbles, the first one highest; a number
            is a sequence of nibbles of 3 bits, the lowest first, whose highest bit says that another follows.

    Returns:
        (height, width) uint16.

    Raises:
        DecodeError: the code is damaged or ends early.
    """
    if len(data) < _RVL_SIZE.size:
        raise DecodeError(f"truncated RVL image: {len(data)} bytes, expected at least {_RVL_SIZE.size}")
    width, height = _RVL_SIZE.unpack_from(data)
    _check_size(width, height)
    numbers = _rvl_numbers(data[_RVL_SIZE.size :])
    pixels = width * height
    deltas = np.zeros(pixels, np.int64)
    present = np.zeros(pixels, bool)
    at = filled = 0
    while filled < pixels:
        if at + 1 >= len(numbers):
            raise DecodeError(f"truncated RVL image: {filled} of {pixels} pixels")
        zeros, count = int(numbers[at]), int(numbers[at + 1])
        coded = numbers[at + 2 : at + 2 + count]
        start, end = filled + zeros, filled + zeros + count
        if end > pixels or len(coded) < count or zeros + count == 0:
            raise DecodeError(f"damaged RVL image: a run to pixel {end} of {pixels}")
        deltas[start:end] = (coded >> 1) ^ -(coded & 1)
        present[start:end] = True
        at, filled = at + 2 + count, end
    depth = np.where(present, np.cumsum(deltas), 0)
    return depth.astype(np.uint16).reshape(height, width)


def _rvl_numbers(code: bytes) -> np.ndarray:
    """All numbers of an RVL stream, int64."""
    words = np.frombuffer(code[: len(code) // 4 * 4], "<u4")
    nibbles = ((words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 0xF).ravel().astype(np.int64)
    ends = np.flatnonzero(nibbles < 8)
    if not len(ends):
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    nibbles = nibbles[: ends[-1] + 1]
    position = np.arange(len(nibbles)) - np.repeat(starts, ends - starts + 1)
    if position.max() > 10:
        raise DecodeError("damaged RVL image: a number of more than 32 bits")
    return np.add.reduceat((nibbles & 7) << (3 * position), starts)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise DecodeError(f"a compressed image claims {width}x{height} pixels: expected 1 to {MAX_PIXELS} in all")
