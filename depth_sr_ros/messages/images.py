"""sensor_msgs/Image to arrays, without a copy where that is possible."""

from __future__ import annotations

import numpy as np

from ..inference.frames import ColourImage, DepthImage
from .errors import DecodeError
from .packed import PACKED_BYTES, decode_packed
from .protocols import ImageMessage, stamp_ns

DEPTH_DTYPES: dict[str, np.dtype] = {"16UC1": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}
"""Encodings of depth: millimetres and metres (REP 118)."""

_COLOUR_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}
COLOUR_ENCODINGS = (*_COLOUR_CHANNELS, "mono8", *PACKED_BYTES)


def decode_depth(message: ImageMessage) -> DepthImage:
    """The depth image in `message`: 16UC1 millimetres or 32FC1 metres, as REP 118 has it.

    The pixels are a view of the message's memory, row padding included; only the other byte order costs a copy. The
    last row may lack its padding.

    Raises:
        DecodeError: for another encoding, a zero size, a row step that is too small, or truncated data.
    """
    dtype = DEPTH_DTYPES.get(message.encoding)
    if dtype is None:
        hint = "mono16 does not say its unit, republish it as 16UC1" if message.encoding == "mono16" else "see REP 118"
        raise DecodeError(
            f"unsupported depth encoding {message.encoding!r}: expected 16UC1 (millimetres) or 32FC1 (metres); {hint}"
        )
    stored = dtype.newbyteorder(">" if message.is_bigendian else "<")
    view = _rows(message, dtype.itemsize).view(stored)
    return DepthImage(stamp_ns(message), message.header.frame_id, view if stored.isnative else view.astype(dtype))


def decode_colour(message: ImageMessage) -> ColourImage:
    """The colour image in `message`; nothing is looked at before its pixels are asked for (see `colour_pixels`)."""
    return ColourImage(
        stamp_ns(message),
        message.header.frame_id,
        message.width,
        message.height,
        message.encoding,
        lambda: colour_pixels(message),
    )


def colour_pixels(message: ImageMessage) -> np.ndarray:
    """The colour image in `message` as (H, W, 3) uint8 RGB; a view for rgb8, bgr8, rgba8, bgra8 and mono8.

    Bayer and YUV 4:2:2 images are decoded by cv_bridge where a working ROS 2 one is installed, else by rosbags-image.

    Raises:
        DecodeError: for another encoding, a zero size, a row step that is too small, or truncated data.
    """
    encoding = message.encoding
    if encoding in _COLOUR_CHANNELS:
        channels = _COLOUR_CHANNELS[encoding]
        pixels = _rows(message, channels).reshape(message.height, message.width, channels)
        return pixels[..., 2::-1] if encoding.startswith("bgr") else pixels[..., :3]
    if encoding == "mono8":
        return np.broadcast_to(_rows(message, 1)[..., None], (message.height, message.width, 3))
    if encoding in PACKED_BYTES:
        return decode_packed(_rows(message, PACKED_BYTES[encoding]), encoding)
    raise DecodeError(
        f"unsupported colour encoding {encoding!r}: expected one of {', '.join(COLOUR_ENCODINGS)}; convert it with "
        "image_proc, or set mode to single"
    )


def _rows(message: ImageMessage, pixel_bytes: int) -> np.ndarray:
    """(H, W * pixel_bytes) uint8 view of the pixels, without row padding; reshapable along the last axis."""
    size = f"{message.width}x{message.height}"
    if message.height == 0 or message.width == 0:
        raise DecodeError(f"image of {size} pixels: expected at least 1x1; check the driver")
    row = message.width * pixel_bytes
    if message.step < row:
        raise DecodeError(
            f"step {message.step} with {message.width} pixels of {message.encoding} a row: expected at least {row} "
            "bytes; the driver fills the message wrongly"
        )
    needed = message.step * (message.height - 1) + row
    data = np.frombuffer(message.data, np.uint8)
    if data.size < needed:
        raise DecodeError(
            f"truncated image: {data.size} bytes for {size} {message.encoding} with step {message.step}, expected "
            f"{needed}; check the driver and the middleware's message size"
        )
    return np.lib.stride_tricks.as_strided(data, (message.height, row), (message.step, 1), writeable=False)
