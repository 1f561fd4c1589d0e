"""Messages to arrays and back: every encoding, byte order and padding; what is refused, and in which words."""

from __future__ import annotations

import array
import sys
import types

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.ros import messages
from depth_sr_ros.ros.messages import MessageError


def make_image(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> Image:
    """Any image message; `padding` bytes of rubbish after each row, pixels in the byte order asked for."""
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = stored.reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1])
    msg.is_bigendian = int(big_endian)
    msg.data = array.array("B", rows.tobytes())
    return msg


DEPTHS = {
    "16UC1": (np.arange(12).reshape(3, 4) * 54321 % 65536).astype(np.uint16),
    "32FC1": np.linspace(-1, 5, 12, dtype=np.float32).reshape(3, 4),
}


@pytest.mark.parametrize("encoding", DEPTHS)
@pytest.mark.parametrize("padding", [0, 4, 3])
@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_is_read(encoding, padding, big_endian):
    depth = messages.depth_array(make_image(DEPTHS[encoding], encoding, padding, big_endian))
    assert depth.dtype == DEPTHS[encoding].dtype and depth.dtype.isnative
    np.testing.assert_array_equal(depth, DEPTHS[encoding])


@pytest.mark.parametrize("padding", [0, 6])
def test_depth_is_a_view_of_the_message(padding):
    msg = make_image(DEPTHS["16UC1"], "16UC1", padding)
    depth = messages.depth_array(msg)
    msg.data[0], msg.data[1] = 0x34, 0x12
    assert depth[0, 0] == 0x1234
    assert not depth.flags.writeable


def test_last_row_may_lack_its_padding():
    msg = make_image(DEPTHS["16UC1"], "16UC1", padding=6)
    msg.data = msg.data[:-6]
    np.testing.assert_array_equal(messages.depth_array(msg), DEPTHS["16UC1"])


def broken(**changes) -> Image:
    msg = make_image(DEPTHS["16UC1"], "16UC1")
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "mono16"}, ("mono16", "16UC1", "republish")),
        ({"encoding": "rgb8"}, ("rgb8", "32FC1")),
        ({"encoding": ""}, ("''", "16UC1")),
        ({"width": 0}, ("0x3", "at least 1x1")),
        ({"height": 0}, ("4x0", "at least 1x1")),
        ({"step": 7}, ("step 7", "8 bytes")),
        ({"step": 0}, ("step 0", "8 bytes")),
        ({"data": array.array("B", bytes(23))}, ("23 bytes", "24", "truncated")),
        ({"data": array.array("B")}, ("0 bytes", "24", "truncated")),
        ({"height": 2**31}, ("truncated",)),
    ],
)
def test_damaged_depth_is_refused_in_plain_words(changes, words):
    with pytest.raises(MessageError) as error:
        messages.depth_array(broken(**changes))
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
def test_colour_is_a_view_in_rgb_order(encoding, stored, padding):
    msg = make_image(np.ascontiguousarray(stored), encoding, padding)
    colour = messages.colour_array(msg)
    np.testing.assert_array_equal(colour, RGB)
    msg.data[0] ^= 0xFF
    assert (colour != RGB).sum() == 1, "a view shows what changes in the message"


def test_mono_is_grey_in_three_channels():
    colour = messages.colour_array(make_image(RGB[..., 0], "mono8", padding=2))
    np.testing.assert_array_equal(colour, np.repeat(RGB[..., :1], 3, -1))


BAYER_CELLS = {
    "bayer_rggb8": ((0, 1), (1, 2)),
    "bayer_bggr8": ((2, 1), (1, 0)),
    "bayer_gbrg8": ((1, 2), (0, 1)),
    "bayer_grbg8": ((1, 0), (2, 1)),
}


@pytest.mark.parametrize("encoding", BAYER_CELLS)
@pytest.mark.parametrize("padding", [0, 3])
def test_bayer_gives_back_a_flat_colour(encoding, padding):
    colour = np.array([200, 90, 30], np.uint8)
    mosaic = np.empty((8, 12), np.uint8)
    for row in (0, 1):
        for column in (0, 1):
            mosaic[row::2, column::2] = colour[BAYER_CELLS[encoding][row][column]]
    rgb = messages.colour_array(make_image(mosaic, encoding, padding))
    np.testing.assert_array_equal(rgb, np.broadcast_to(colour, (8, 12, 3)))


@pytest.mark.parametrize(("encoding", "luma_first"), [("yuv422", 0), ("uyvy", 0), ("yuv422_yuy2", 1), ("yuyv", 1)])
@pytest.mark.parametrize("padding", [0, 8])
def test_yuv422_is_decoded(encoding, luma_first, padding):
    luma, u, v = 120, 90, 200
    packed = np.empty((4, 6, 2), np.uint8)
    packed[..., 0 if luma_first else 1] = luma
    packed[:, 0::2, 1 if luma_first else 0] = u
    packed[:, 1::2, 1 if luma_first else 0] = v
    rgb = messages.colour_array(make_image(packed, encoding, padding))
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
def test_unusable_colour_is_refused_in_plain_words(encoding, width, words):
    msg = Image(height=4, width=width, encoding=encoding, step=2 * width)
    msg.data = array.array("B", bytes(8 * width))
    with pytest.raises(MessageError, match=words):
        messages.colour_array(msg)


def test_cv_bridge_is_used_only_if_it_keeps_16_bits(monkeypatch):
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
        messages._cv_bridge.cache_clear()
        assert np.unique(messages.colour_array(msg)).tolist() == [value]
    messages._cv_bridge.cache_clear()


@pytest.mark.parametrize("encoding", DEPTHS)
def test_output_goes_round(encoding):
    header = Header(frame_id="camera")
    header.stamp.sec = 7
    msg = messages.image_message(DEPTHS[encoding], header)
    assert (msg.encoding, msg.header, msg.height, msg.width) == (encoding, header, 3, 4)
    np.testing.assert_array_equal(messages.depth_array(msg), DEPTHS[encoding])


def test_output_of_another_type_is_refused():
    with pytest.raises(ValueError, match="float64"):
        messages.image_message(np.zeros((2, 2)), Header())


def make_info(width=80, height=60, fx=70.0, fy=72.0, cx=40.5, cy=28.0, baseline=0.0, frame="depth") -> CameraInfo:
    info = CameraInfo(header=Header(frame_id=frame), width=width, height=height)
    info.distortion_model, info.d = "plumb_bob", [0.1, 0.0, 0.0, 0.0, 0.0]
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, -fx * baseline, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return info


def test_camera_info_is_scaled_with_half_pixel_centres():
    header = Header(frame_id="depth")
    out = messages.scaled_camera_info(make_info(baseline=0.05), 80, 60, 4, header)
    assert (out.width, out.height, out.header) == (320, 240, header)
    np.testing.assert_allclose(out.k, [280, 0, 163.5, 0, 288, 113.5, 0, 0, 1])
    np.testing.assert_allclose(out.p, [280, 0, 163.5, -280 * 0.05, 0, 288, 113.5, 0, 0, 0, 1, 0])
    assert list(out.d) == [0.1, 0, 0, 0, 0] and out.distortion_model == "plumb_bob"


def test_a_point_projects_to_the_same_place_of_the_scaled_image():
    info = make_info()
    out = messages.scaled_camera_info(info, 80, 60, 3, info.header)
    point = np.array([0.2, -0.1, 1.5])
    small, large = (np.reshape(k, (3, 3)) @ point / point[2] for k in (info.k, out.k))
    np.testing.assert_allclose(large[:2] + 0.5, 3 * (small[:2] + 0.5))


def test_binning_and_roi_are_folded_in():
    info = make_info(width=640, height=480, fx=500.0, fy=500.0, cx=319.5, cy=239.5)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 64, 32, 320, 240
    info.binning_x = info.binning_y = 2
    camera = messages.intrinsics(info, 160, 120)
    assert camera == Intrinsics(250, 250, (319.5 - 64 + 0.5) / 2 - 0.5, (239.5 - 32 + 0.5) / 2 - 0.5, 160, 120)
    out = messages.scaled_camera_info(info, 160, 120, 4, info.header)
    expected = camera.scaled(4)
    np.testing.assert_allclose(np.reshape(out.k, (3, 3)), expected.matrix())
    np.testing.assert_allclose(np.reshape(out.p, (3, 4))[:, :3], expected.matrix())
    assert (out.width, out.height, out.binning_x, out.roi.width) == (640, 480, 0, 0)
    assert info.binning_x == 2, "the message that came in is left alone"


def test_uncalibrated_info_stays_uncalibrated():
    info = make_info(fx=0.0, fy=0.0, cx=0.0, cy=0.0)
    assert not messages.is_calibrated(info)
    out = messages.scaled_camera_info(info, 80, 60, 4, info.header)
    assert (out.width, out.height) == (320, 240) and not messages.is_calibrated(out) and out.k[2] == 0
    with pytest.raises(MessageError, match="K = 0"):
        messages.intrinsics(info, 80, 60)


UNFIT_WINDOWS = {
    "roi without width": ({"height": 10}, 0, "ROI of 0x10"),
    "roi without height": ({"width": 10}, 0, "ROI of 10x0"),
    "binning beyond the image": ({}, 81, "binning 81x81"),
    "binning beyond the roi": ({"width": 2, "height": 2}, 4, "ROI of 2x2 and binning 4x4"),
}


@pytest.mark.parametrize("case", UNFIT_WINDOWS)
def test_roi_and_binning_that_leave_no_image_are_refused(case):
    roi, binning, words = UNFIT_WINDOWS[case]
    info = make_info()
    for name, value in roi.items():
        setattr(info.roi, name, value)
    info.binning_x = info.binning_y = binning
    for read in (
        lambda: messages.intrinsics(info, 80, 60),
        lambda: messages.scaled_camera_info(info, 80, 60, 4, info.header),
    ):
        with pytest.raises(MessageError, match=words):
            read()


def test_info_of_another_image_is_refused():
    with pytest.raises(MessageError, match=r"80x60.*40x30"):
        messages.intrinsics(make_info(), 40, 30)


def test_points_are_rays_times_depth():
    camera = messages.intrinsics(make_info(), 80, 60)
    depth = np.full((60, 80), 2.0, np.float32)
    depth[3, 4] = np.nan
    points = messages.points_array(depth, camera)
    assert points.shape == (60, 80, 3) and points.dtype == np.float32 and np.isnan(points[3, 4]).all()
    pixels, _ = cv2.projectPoints(
        points[10:12, 20:23].reshape(-1, 1, 3), np.zeros(3), np.zeros(3), camera.matrix(), None
    )
    np.testing.assert_allclose(
        pixels.reshape(2, 3, 2), np.stack(np.meshgrid(np.arange(20, 23), np.arange(10, 12)), -1), atol=1e-4
    )


def test_points_name_the_package_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "sensor_msgs_py", None)
    camera = messages.intrinsics(make_info(), 80, 60)
    with pytest.raises(MessageError, match="sensor_msgs_py"):
        messages.points_message(np.ones((60, 80), np.float32), camera, Header())
