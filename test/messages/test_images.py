"""Images to arrays: every encoding, byte order and padding, and what is rejected; of rclpy and of rosbags alike."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.depth import to_metres
from depth_sr_ros.messages import packed
from depth_sr_ros.messages.errors import DecodeError
from depth_sr_ros.messages.images import colour_pixels, decode_colour, decode_depth

STORE = get_typestore(Stores.ROS2_KILTED)


def rosbags_image(data: bytes, **fields):
    time = STORE.types["builtin_interfaces/msg/Time"](sec=7, nanosec=5)
    header = STORE.types["std_msgs/msg/Header"](stamp=time, frame_id="camera")
    return STORE.types["sensor_msgs/msg/Image"](header=header, data=np.frombuffer(data, np.uint8).copy(), **fields)


def rclpy_image(data: bytes, **fields):
    message = pytest.importorskip("sensor_msgs.msg").Image(**fields)
    message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id = 7, 5, "camera"
    message.data.frombytes(data)
    return message


@pytest.fixture(params=[rosbags_image, rclpy_image])
def make_image(request):
    """Makes any image message; `padding` bytes of rubbish after each row, pixels in the byte order asked for."""

    def make(pixels: np.ndarray, encoding: str, /, padding: int = 0, big_endian: bool = False, **changes):
        stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
        rows = stored.reshape(len(pixels), -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
        fields = {
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "encoding": encoding,
            "is_bigendian": int(big_endian),
            "step": rows.shape[1],
            "data": rows.tobytes(),
        }
        return request.param(**fields | changes)

    return make


DEPTHS = {
    "16UC1": (np.arange(12).reshape(3, 4) * 54321 % 65536).astype(np.uint16),
    "32FC1": np.linspace(-1, 5, 12, dtype=np.float32).reshape(3, 4),
}


@pytest.mark.parametrize("encoding", DEPTHS)
@pytest.mark.parametrize("padding", [0, 4, 3])
@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_is_read(make_image, encoding, padding, big_endian):
    image = decode_depth(make_image(DEPTHS[encoding], encoding, padding, big_endian))
    depth = image.pixels
    assert (image.width, image.height, image.stamp_ns, image.frame_id) == (4, 3, 7_000_000_005, "camera")
    assert image.stamp == pytest.approx(7 + 5e-9, abs=1e-12)
    assert depth.dtype == DEPTHS[encoding].dtype and depth.dtype.isnative
    np.testing.assert_array_equal(depth, DEPTHS[encoding])


@pytest.mark.parametrize("padding", [0, 6])
def test_depth_is_a_view_of_the_message(make_image, padding):
    msg = make_image(DEPTHS["16UC1"], "16UC1", padding)
    depth = decode_depth(msg).pixels
    msg.data[0], msg.data[1] = 0x34, 0x12
    assert depth[0, 0] == 0x1234
    assert not depth.flags.writeable


def test_last_row_may_lack_its_padding(make_image):
    msg = make_image(DEPTHS["16UC1"], "16UC1", padding=6)
    msg.data = msg.data[:-6]
    np.testing.assert_array_equal(decode_depth(msg).pixels, DEPTHS["16UC1"])


def test_depth_in_metres_and_back(make_image):
    for encoding, pixels in DEPTHS.items():
        image = decode_depth(make_image(pixels, encoding))
        np.testing.assert_array_equal(image.metres(), to_metres(pixels))
        encoded = image.encode(np.float32([[1.5, np.nan]]))
        assert encoded.dtype == pixels.dtype
        np.testing.assert_array_equal(to_metres(encoded), np.float32([[1.5, np.nan]]))
    assert np.nanmax(image.metres(max_depth=2.0)) <= 2.0 < np.nanmax(image.metres())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "mono16"}, ("unsupported depth encoding 'mono16'", "expected 16UC1", "republish")),
        ({"encoding": "rgb8"}, ("unsupported depth encoding 'rgb8'", "32FC1")),
        ({"encoding": ""}, ("''", "16UC1")),
        ({"width": 0}, ("0x3", "at least 1x1")),
        ({"height": 0}, ("4x0", "at least 1x1")),
        ({"step": 7}, ("step 7", "8 bytes")),
        ({"step": 0}, ("step 0", "8 bytes")),
        ({"data": bytes(23)}, ("23 bytes", "24", "truncated")),
        ({"data": b""}, ("0 bytes", "24", "truncated")),
        ({"height": 2**31}, ("truncated",)),
    ],
)
def test_damaged_depth_is_rejected_with_its_numbers(make_image, changes, words):
    with pytest.raises(DecodeError) as error:
        decode_depth(make_image(DEPTHS["16UC1"], "16UC1", **changes))
    for word in words:
        assert word in str(error.value)


RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
ALPHA = np.full((4, 6, 1), 7, np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], -1)),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], -1)),
    ],
)
def test_colour_is_a_view_in_rgb_order(make_image, encoding, stored, padding):
    msg = make_image(np.ascontiguousarray(stored), encoding, padding)
    colour = colour_pixels(msg)
    np.testing.assert_array_equal(colour, RGB)
    msg.data[0] ^= 0xFF
    assert (colour != RGB).sum() == 1, "a view shows what changes in the message"


def test_mono_is_grey_in_three_channels(make_image):
    colour = colour_pixels(make_image(RGB[..., 0], "mono8", padding=2))
    np.testing.assert_array_equal(colour, np.repeat(RGB[..., :1], 3, -1))


BAYER_CELLS = {
    "bayer_rggb8": ((0, 1), (1, 2)),
    "bayer_bggr8": ((2, 1), (1, 0)),
    "bayer_gbrg8": ((1, 2), (0, 1)),
    "bayer_grbg8": ((1, 0), (2, 1)),
}


@pytest.mark.parametrize("encoding", BAYER_CELLS)
@pytest.mark.parametrize("padding", [0, 3])
def test_bayer_gives_back_a_flat_colour(make_image, encoding, padding):
    colour = np.array([200, 90, 30], np.uint8)
    mosaic = np.empty((8, 12), np.uint8)
    for row in (0, 1):
        for column in (0, 1):
            mosaic[row::2, column::2] = colour[BAYER_CELLS[encoding][row][column]]
    rgb = colour_pixels(make_image(mosaic, encoding, padding))
    np.testing.assert_array_equal(rgb, np.broadcast_to(colour, (8, 12, 3)))


@pytest.mark.parametrize(("encoding", "luma_first"), [("yuv422", 0), ("uyvy", 0), ("yuv422_yuy2", 1), ("yuyv", 1)])
@pytest.mark.parametrize("padding", [0, 8])
def test_yuv422_is_decoded(make_image, encoding, luma_first, padding):
    luma, u, v = 120, 90, 200
    packed = np.empty((4, 6, 2), np.uint8)
    packed[..., 0 if luma_first else 1] = luma
    packed[:, 0::2, 1 if luma_first else 0] = u
    packed[:, 1::2, 1 if luma_first else 0] = v
    rgb = colour_pixels(make_image(packed, encoding, padding))
    # BT.601 limited range, the meaning of YUV in ROS image messages
    expected = [
        1.164 * (luma - 16) + 1.596 * (v - 128),
        1.164 * (luma - 16) - 0.813 * (v - 128) - 0.391 * (u - 128),
        1.164 * (luma - 16) + 2.018 * (u - 128),
    ]
    assert rgb.shape == (4, 6, 3) and rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb[1, 1], expected, atol=2)


@pytest.mark.parametrize(
    ("encoding", "width", "words"),
    [("16UC1", 6, "mode to single"), ("jpeg", 6, "'jpeg'"), ("yuv422", 5, "odd width"), ("bayer_rggb8", 1, "2x2")],
)
def test_unusable_colour_is_rejected_once_its_pixels_are_asked_for(make_image, encoding, width, words):
    image = decode_colour(make_image(np.zeros((4, 2 * width), np.uint8), encoding, width=width))
    assert (image.width, image.height, image.encoding, image.stamp_ns) == (width, 4, encoding, 7_000_000_005)
    with pytest.raises(DecodeError, match=words):
        image.decode()


def test_cv_bridge_is_used_only_if_it_keeps_16_bits(make_image, monkeypatch):
    pytest.importorskip("sensor_msgs.msg")

    def module(dtype):
        class CvBridge:
            def imgmsg_to_cv2(self, msg, encoding=None):
                if encoding == "rgb8":
                    return np.full((msg.height, msg.width, 3), 77, np.uint8)
                return np.frombuffer(msg.data, np.uint16).reshape(msg.height, msg.width).astype(dtype)

        return types.SimpleNamespace(CvBridge=CvBridge)

    msg = make_image(np.full((4, 6), 50, np.uint8), "bayer_rggb8")
    for dtype, value in ((np.uint8, 50), (np.uint16, 77)):
        monkeypatch.setitem(sys.modules, "cv_bridge", module(dtype))
        packed._cv_bridge.cache_clear()
        assert np.unique(colour_pixels(msg)).tolist() == [value]
    packed._cv_bridge.cache_clear()
