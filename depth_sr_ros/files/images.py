"""PNG, JPEG, TIFF and other image files: the header is checked with Pillow, the pixels are decoded by OpenCV."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from .contents import MAX_PIXELS, check_size, read_bytes

__all__ = ["MAX_PIXELS", "encode_image", "read_guide", "read_image"]

FORMATS = ("PNG", "JPEG", "PPM", "BMP", "WEBP")  # and TIFF
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, ORIENTATION = 256, 257, 274  # TIFF tags
AS_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda image: image[::-1, ::-1],
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: np.rot90,
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}
"""What takes back the turn of a TIFF orientation, which OpenCV always applies."""


def read_guide(path: str | Path) -> np.ndarray:
    """Read a colour image as (H, W, 3) uint8 RGB, pixels as stored (see `depth_sr_ros.files`).

    A grey image gives three equal channels, 16 bits per channel are reduced to 8, transparency is dropped.

    Raises:
        FileNotFoundError: no such file.
        OSError: a folder, a device or a file that may not be read.
        ValueError: not an image, damaged, truncated, of floats or larger than `MAX_PIXELS`.
    """
    image = read_image(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(f"{path} holds {image.dtype} of shape {image.shape}: expected a colour image of 8 or 16 bits")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_image(path: str | Path, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray:
    """An image file's pixels as stored: (H, W) or (H, W, channels in OpenCV's order), any type.

    Args:
        flags: of `cv2.imdecode`.

    Raises:
        OSError, ValueError: as `read_guide`.
    """
    data = read_bytes(path)
    try:
        size, orientation = _tiff_header(data) if data[:4] in TIFF_MAGIC else (_size(data), 1)
    except UnidentifiedImageError:
        raise ValueError(f"{path} cannot be read as an image ({', '.join(FORMATS)}, TIFF)") from None
    except Exception as error:  # a damaged header can raise anything
        raise ValueError(f"{path} cannot be read as an image, its header is refused: {_line(error)}") from None
    check_size(path, *size)
    try:
        if data[:2] == b"\xff\xd8":
            _check_complete(data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be decoded, it is damaged or truncated: {_line(error)}") from None
    if image is None:
        raise ValueError(f"{path} cannot be decoded: it is damaged or truncated")
    return np.ascontiguousarray(AS_STORED[orientation](image)) if orientation in AS_STORED else image


def encode_image(path: str | Path, image: np.ndarray) -> bytes:
    """The content of an image file; the format goes by the path's suffix.

    Raises:
        ValueError: a format that cannot hold the image.
    """
    suffix = Path(path).suffix
    try:
        done, data = cv2.imencode(suffix, image)
    except cv2.error as error:
        raise ValueError(f"{path}: {image.dtype} {image.shape} cannot be stored as {suffix}: {_line(error)}") from None
    if not done:
        raise ValueError(f"{path}: {image.dtype} {image.shape} cannot be stored as {suffix}")
    return data.tobytes()


def _size(data: bytes) -> tuple[int, int]:
    """(width, height) as the header claims, nothing decoded."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return image.size


def _tiff_header(data: bytes) -> tuple[tuple[int, int], int]:
    """(width, height) and orientation of the first page; Pillow's `open` refuses float64 and other types."""
    file = io.BytesIO(data)
    big = data[2:4] in (b"+\0", b"\0+")
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if big else 8])
    file.seek(directory.next)
    directory.load(file)
    return (int(directory[WIDTH]), int(directory[HEIGHT])), int(directory.get(ORIENTATION, 1))


def _check_complete(data: bytes) -> None:
    """Raise OSError for a truncated JPEG. OpenCV 4 fills what is missing with grey; decoding at 1/8 is cheap."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.draft("L", (1, 1))
        image.load()


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
