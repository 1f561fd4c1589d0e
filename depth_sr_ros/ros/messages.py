"""ROS messages to arrays and back: images without a copy where that is possible, camera_info that follows the size."""

from __future__ import annotations

import array
import copy
import sys
from functools import cache

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from ..camera import Intrinsics, intrinsics_of_info

DEPTH_DTYPES = {"16UC1": np.uint16, "32FC1": np.float32}
_COLOUR_CHANNELS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0))}
_PACKED_BYTES = {
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
    "yuv422": 2,
    "uyvy": 2,
    "yuv422_yuy2": 2,
    "yuyv": 2,
}
_LIBRARY_NAMES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
COLOUR_ENCODINGS = (*_COLOUR_CHANNELS, "mono8", *_PACKED_BYTES)


class MessageError(ValueError):
    """A message that cannot be used: says what came, what was expected and what to do."""


def depth_array(msg: Image) -> np.ndarray:
    """The depth image in `msg` as (H, W) uint16 millimetres (16UC1) or float32 metres (32FC1), as REP 118 has it.

    A view of the message's memory, row padding included; only the other byte order costs a copy.

    Raises:
        MessageError: for another encoding, a zero size, a row step that is too small, or truncated data.
    """
    if msg.encoding not in DEPTH_DTYPES:
        hint = "mono16 does not say its unit: republish it as 16UC1" if msg.encoding == "mono16" else "see REP 118"
        raise MessageError(
            f"depth encoding {msg.encoding!r} came, 16UC1 (millimetres) or 32FC1 (metres) was expected: {hint}"
        )
    dtype = np.dtype(DEPTH_DTYPES[msg.encoding]).newbyteorder(">" if msg.is_bigendian else "<")
    view = _rows(msg, dtype.itemsize).view(dtype)
    return view if dtype.isnative else view.astype(dtype.newbyteorder("="))


def colour_array(msg: Image) -> np.ndarray:
    """The colour image in `msg` as (H, W, 3) uint8 RGB; a view for rgb8, bgr8, rgba8, bgra8 and mono8.

    Bayer and YUV 4:2:2 images are decoded by cv_bridge where a working ROS 2 one is installed, else by rosbags-image.

    Raises:
        MessageError: for another encoding, a zero size, a row step that is too small, or truncated data.
    """
    if msg.encoding in _COLOUR_CHANNELS:
        channels, order = _COLOUR_CHANNELS[msg.encoding]
        pixels = _rows(msg, channels).reshape(msg.height, msg.width, channels)
        return pixels[..., 2::-1] if order[0] == 2 else pixels[..., :3]
    if msg.encoding == "mono8":
        return np.broadcast_to(_rows(msg, 1)[..., None], (msg.height, msg.width, 3))
    if msg.encoding in _PACKED_BYTES:
        return _decode_packed(msg)
    raise MessageError(
        f"colour encoding {msg.encoding!r} came, one of {', '.join(COLOUR_ENCODINGS)} was expected: "
        "convert it with image_proc, or set mode to single"
    )


def _rows(msg: Image, pixel_bytes: int) -> np.ndarray:
    """(H, W * pixel_bytes) uint8 view of the pixels, without row padding; reshapable along the last axis."""
    if msg.height == 0 or msg.width == 0:
        raise MessageError(f"an image of {msg.width}x{msg.height} came, at least 1x1 was expected: check the driver")
    row = msg.width * pixel_bytes
    if msg.step < row:
        raise MessageError(
            f"step {msg.step} came with {msg.width} pixels of {msg.encoding}, at least {row} bytes were expected: "
            "the driver fills the message wrongly"
        )
    needed = msg.step * (msg.height - 1) + row
    if len(msg.data) < needed:
        raise MessageError(
            f"{len(msg.data)} bytes came for {msg.width}x{msg.height} {msg.encoding} with step {msg.step}, "
            f"{needed} were expected: the image is truncated"
        )
    data = np.frombuffer(msg.data, np.uint8)
    return np.lib.stride_tricks.as_strided(data, (msg.height, row), (msg.step, 1), writeable=False)


def _decode_packed(msg: Image) -> np.ndarray:
    rows = np.ascontiguousarray(_rows(msg, _PACKED_BYTES[msg.encoding]))
    if _PACKED_BYTES[msg.encoding] == 2 and msg.width % 2:
        raise MessageError(f"{msg.encoding} came with an odd width {msg.width}, an even one was expected")
    if _PACKED_BYTES[msg.encoding] == 1 and min(msg.width, msg.height) < 2:
        raise MessageError(f"a Bayer image of {msg.width}x{msg.height} came, at least 2x2 was expected")
    encoding = _LIBRARY_NAMES.get(msg.encoding, msg.encoding)
    tight = Image(height=msg.height, width=msg.width, encoding=encoding, step=rows.shape[1])
    tight.data = _to_bytes(rows)
    bridge = _cv_bridge()
    if bridge is not None:
        return bridge.imgmsg_to_cv2(tight, "rgb8")
    return _rosbags_image()(tight, "rgb8")


@cache
def _cv_bridge():
    """A ROS 2 CvBridge that works, or None. The package of that name on PyPI is a broken ROS 1 build."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        probe = Image(height=1, width=1, encoding="16UC1", step=2)
        probe.data = array.array("B", b"\x01\x02")
        decoded = bridge.imgmsg_to_cv2(probe)
        return bridge if decoded.dtype == np.uint16 and decoded[0, 0] == 0x0201 else None
    except Exception:  # whatever a foreign build throws, the other decoder takes over
        return None


@cache
def _rosbags_image():
    try:
        from rosbags.image import image_to_cvimage
    except ImportError as error:
        raise MessageError(
            "Bayer and YUV images need cv_bridge (a ROS 2 install) or rosbags-image (pip install rosbags-image), "
            f"neither of which works here: {error}"
        ) from None
    return image_to_cvimage


def image_message(pixels: np.ndarray, header: Header) -> Image:
    """(H, W) uint16 or float32 to a 16UC1 or 32FC1 message with `header`.

    Raises:
        ValueError: for another dtype.
    """
    encodings = {np.dtype(dtype): name for name, dtype in DEPTH_DTYPES.items()}
    if pixels.dtype not in encodings or pixels.ndim != 2:
        raise ValueError(f"depth is sent as (H, W) uint16 or float32, got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape
    msg = Image(header=header, height=height, width=width, encoding=encodings[pixels.dtype])
    msg.step = width * pixels.itemsize
    msg.is_bigendian = int(sys.byteorder == "big")
    msg.data = _to_bytes(pixels)
    return msg


def _to_bytes(pixels: np.ndarray) -> array.array:
    # rclpy takes an array('B') as it is; anything else it copies element by element, a thousand times slower
    data = array.array("B")
    data.frombytes(memoryview(np.ascontiguousarray(pixels)).cast("B"))
    return data


def is_calibrated(info: CameraInfo) -> bool:
    """Whether K is set; a driver without calibration sends zeros (REP 104)."""
    return bool(info.k[0] > 0 and info.k[4] > 0 and np.isfinite(info.k).all())


def distortion(info: CameraInfo) -> tuple[float, ...]:
    """The coefficients D without trailing zeros, so that models of different length compare; () for none."""
    coefficients = list(info.d)
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    return tuple(coefficients)


def distortion_hint(use: str, *infos: CameraInfo) -> str:
    """What to tell the user of distorted images of the cameras `infos` that serve for `use`."""
    cameras = " and ".join(sorted({repr(info.header.frame_id) for info in infos if distortion(info)}))
    return (
        f"camera_info of {cameras} came with lens distortion (D is not zero), which {use} does not undo; undistorted "
        "images were expected: remap to rectified topics whose camera_info has D = 0 (told once)"
    )


def intrinsics(info: CameraInfo, width: int, height: int) -> Intrinsics:
    """`intrinsics_of_info`, whose errors are a message's.

    Raises:
        MessageError: when K is not set, ROI or binning leave no image, or the sizes do not belong together.
    """
    try:
        return intrinsics_of_info(info, width, height)
    except ValueError as error:
        raise MessageError(str(error)) from None


def scaled_camera_info(info: CameraInfo, width: int, height: int, scale: int, header: Header) -> CameraInfo:
    """`info` of an image of `width` x `height`, for the image upsampled by `scale`, with `header`.

    K and P follow with half-pixel centres: cx' = (cx + 0.5) s - 0.5; distortion and R do not depend on the size.
    Binning and ROI are folded into K and P, since the output has neither. An uncalibrated K stays zero.

    Raises:
        MessageError: when `info` does not belong to an image of this size.
    """
    out = copy.deepcopy(info)
    out.header = header
    out.width, out.height = width * scale, height * scale
    out.binning_x = out.binning_y = 0
    out.roi = type(out.roi)()
    if not is_calibrated(info):
        return out
    camera = intrinsics(info, width, height).scaled(scale)
    ratio_x, ratio_y = camera.fx / info.k[0], camera.fy / info.k[4]
    # both matrices see the same crop and the same resampling: pixel u goes to u * ratio + offset
    offset_x, offset_y = camera.cx - info.k[2] * ratio_x, camera.cy - info.k[5] * ratio_y
    pixel_map = np.array([[ratio_x, 0.0, offset_x], [0.0, ratio_y, offset_y], [0.0, 0.0, 1.0]])
    out.k = (pixel_map @ np.asarray(info.k).reshape(3, 3)).ravel()
    out.p = (pixel_map @ np.asarray(info.p).reshape(3, 4)).ravel()
    return out


def points_array(depth: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """(H, W) float32 metres to (H, W, 3) float32 x, y, z in the optical frame (REP 103); NaN where depth is."""
    x = (np.arange(camera.width, dtype=np.float32) - np.float32(camera.cx)) / np.float32(camera.fx)
    y = (np.arange(camera.height, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    return cv2.merge([depth * x, depth * y[:, None], depth])


def points_message(depth: np.ndarray, camera: Intrinsics, header: Header) -> PointCloud2:
    """An organised cloud of `depth` (H, W) float32 metres, as large as the image.

    Raises:
        MessageError: when sensor_msgs_py is not installed.
    """
    point_cloud2 = require_sensor_msgs_py()
    height, width = depth.shape
    cloud = point_cloud2.create_cloud_xyz32(header, points_array(depth, camera).reshape(-1, 3))
    cloud.height, cloud.width = height, width
    cloud.row_step = cloud.point_step * width
    cloud.is_dense = bool(np.isfinite(depth).all())
    return cloud


def require_sensor_msgs_py():
    """The module sensor_msgs_py.point_cloud2.

    Raises:
        MessageError: when it is not installed.
    """
    try:
        from sensor_msgs_py import point_cloud2
    except ImportError:
        raise MessageError(
            "publish_points needs the ROS package sensor_msgs_py, which is not installed here: "
            "apt install ros-$ROS_DISTRO-sensor-msgs-py, or set publish_points to false"
        ) from None
    return point_cloud2
