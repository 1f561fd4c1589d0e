"""CompressedImage as image_transport writes it: colour, depth as PNG and RVL, and damaged data."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_sr_ros.messages.compressed import DecompressedImage, decode_rvl, encoding_of
from depth_sr_ros.messages.errors import DecodeError
from depth_sr_ros.messages.images import colour_pixels, decode_depth

HEADER = SimpleNamespace(frame_id="optical", stamp=SimpleNamespace(sec=1, nanosec=2))
RNG = np.random.default_rng(0)


def message(data: bytes, format_text: str) -> DecompressedImage:
    return DecompressedImage(SimpleNamespace(header=HEADER, format=format_text, data=np.frombuffer(data, np.uint8)))


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def encode_rvl(depth: np.ndarray) -> bytes:
    """The encoder of Wilson 2017, number by number."""
    nibbles: list[int] = []

    def number(value: int) -> None:
        while True:
            more = value > 7
            nibbles.append((value & 7) | (8 if more else 0))
            value >>= 3
            if not more:
                return

    flat, previous, at = depth.ravel().astype(int), 0, 0
    while at < flat.size:
        for present in (False, True):
            end = at
            while end < flat.size and (flat[end] != 0) == present:
                end += 1
            number(end - at)
            for value in flat[at:end] if present else ():
                delta = value - previous
                number(2 * delta if delta >= 0 else -2 * delta - 1)
                previous = value
            at = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        sum(nibble << (28 - 4 * i) for i, nibble in enumerate(nibbles[k : k + 8])) for k in range(0, len(nibbles), 8)
    ]
    return struct.pack("<ii", depth.shape[1], depth.shape[0]) + struct.pack(f"<{len(words)}I", *words)


def depth_image(height=37, width=53) -> np.ndarray:
    depth = RNG.integers(300, 65535, (height, width)).astype(np.uint16)
    depth[RNG.random((height, width)) < 0.3] = 0
    depth[5:9] = 0
    return depth


def test_rvl_is_lossless():
    for depth in (depth_image(), depth_image(1, 1), np.zeros((4, 6), np.uint16), np.full((8, 9), 65535, np.uint16)):
        np.testing.assert_array_equal(decode_rvl(encode_rvl(depth)), depth)


@pytest.mark.parametrize("coder", ["png", "rvl"])
def test_compressed_depth_in_millimetres(coder):
    depth = depth_image()
    body = png(depth) if coder == "png" else encode_rvl(depth)
    image = message(struct.pack("<iff", 0, 0, 0) + body, f"16UC1; compressedDepth {coder}")
    assert (image.encoding, image.width, image.height) == ("16UC1", 53, 37)
    np.testing.assert_array_equal(decode_depth(image).pixels, depth)


def test_compressed_depth_in_metres_is_inverse_depth():
    quantisation, offset = 1000.0, -10.0
    levels = np.array([[0, 90, 190], [390, 65535, 1]], np.uint16)
    data = struct.pack("<iff", 0, quantisation, offset) + png(levels)
    depth = decode_depth(message(data, "32FC1; compressedDepth png")).pixels
    np.testing.assert_allclose(depth[0, 1:], [10.0, 5.0], rtol=1e-6)
    assert np.isnan(depth[0, 0])
    np.testing.assert_allclose(depth[1], 1000 / (np.array([390, 65535, 1]) + 10.0), rtol=1e-6)


@pytest.mark.parametrize("format_text", ["png", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8"])
def test_colour_comes_out_as_rgb(format_text):
    rgb = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    stored = rgb[..., ::-1]  # image_transport compresses bgr8 whatever came in
    np.testing.assert_array_equal(colour_pixels(message(png(stored), format_text)), rgb)


def test_jpeg_is_near():
    rgb = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    data = cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()
    assert np.abs(colour_pixels(message(data, "jpeg")).astype(int) - rgb).max() <= 3


@pytest.mark.parametrize(
    ("data", "format_text"),
    [
        (b"", "jpeg"),
        (b"\xff\xd8 no jpeg", "rgb8; jpeg compressed bgr8"),
        (png(np.zeros((4, 4), np.uint8)), "16UC1; compressedDepth png"),
        (struct.pack("<iff", 0, 0, 0) + png(np.zeros((4, 4), np.uint8)), "16UC1; compressedDepth png"),
        (struct.pack("<iff", 0, 0, 0) + b"x" * 20, "16UC1; compressedDepth png"),
        (struct.pack("<iff", 0, 0, 0) + encode_rvl(depth_image())[:40], "16UC1; compressedDepth rvl"),
        (struct.pack("<iff", 0, 0, 0) + struct.pack("<ii", 2**30, 2**30), "16UC1; compressedDepth rvl"),
        (struct.pack("<iff", 0, 0, 0) + struct.pack("<ii", -3, 5) + bytes(40), "16UC1; compressedDepth rvl"),
        (b"abc", "8UC4; compressedDepth png"),
        (png(np.zeros((4, 4), np.uint16)), "16SC1; png compressed"),
    ],
)
def test_damage_is_a_decode_error(data, format_text):
    with pytest.raises(DecodeError):
        decode_depth(message(data, format_text))


def test_random_damage_is_a_decode_error_or_an_image():
    whole = np.frombuffer(encode_rvl(depth_image()), np.uint8)
    for _ in range(300):
        data = whole.copy()
        data[RNG.integers(8, data.size, 5)] ^= RNG.integers(1, 255, 5).astype(np.uint8)
        try:
            assert decode_rvl(data[: RNG.integers(8, data.size)].tobytes()).shape == (37, 53)
        except DecodeError:
            continue


def test_a_png_that_claims_more_than_the_limit_is_refused_before_it_is_decoded():
    data = bytearray(png(np.zeros((4, 4), np.uint16)))
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    with pytest.raises(DecodeError, match="100000x100000"):
        decode_depth(message(bytes(data), "16UC1; png compressed"))


def test_format_names_the_encoding():
    assert encoding_of("16UC1; compressedDepth rvl") == "16UC1"
    assert encoding_of("rgb8; jpeg compressed bgr8") == "bgr8"
    assert encoding_of("jpeg") == "bgr8"
