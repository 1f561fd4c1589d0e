"""Make a recording (rosbag2, MCAP) from arrays: depth, RGB, camera_infos, and ground truth where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.camera import Intrinsics
from depth_sr_ros.depth import from_metres
from depth_sr_ros.replay.topics import CAMERA_INFO, IMAGE, Topics

DEFAULT_TOPICS = Topics(
    depth="/camera/depth/image_raw",
    depth_info="/camera/depth/camera_info",
    rgb="/camera/rgb/image_raw",
    rgb_info="/camera/rgb/camera_info",
    truth="/ground_truth/depth/image_raw",
)


class BagWriter:
    """Writes frames to a new rosbag2 folder; use as a context manager.

    Args:
        path: folder to create; must not exist.
        topics: topic names by role.
        frame_id: optical frame of the images.
        rgb_frame_id: that of the RGB images where they are not registered; None: the same.
        depth_encoding: "16UC1" (millimetres) or "32FC1" (metres), for depth and ground truth.
        storage: "mcap" or "sqlite3".

    Raises:
        FileExistsError: `path` exists.
        ValueError: unknown `depth_encoding` or `storage`.
    """

    def __init__(
        self,
        path: str | Path,
        topics: Topics = DEFAULT_TOPICS,
        frame_id: str = "camera_optical_frame",
        depth_encoding: str = "16UC1",
        storage: str = "mcap",
        rgb_frame_id: str | None = None,
    ):
        path = Path(path)
        if path.exists():
            raise FileExistsError(f"{path} exists: choose another name or remove it")
        if depth_encoding not in ("16UC1", "32FC1"):
            raise ValueError(f"depth_encoding must be 16UC1 or 32FC1, not {depth_encoding!r}")
        if storage not in ("mcap", "sqlite3"):
            raise ValueError(f"storage must be mcap or sqlite3, not {storage!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        self._writer = Writer(path, version=9, storage_plugin=plugin)
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._connections: dict[str, Connection] = {}
        self._topics, self._depth_encoding = topics, depth_encoding
        self._frame_id, self._rgb_frame_id = frame_id, frame_id if rgb_frame_id is None else rgb_frame_id

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write_frame(
        self,
        stamp_ns: int,
        depth: np.ndarray,
        depth_camera: Intrinsics | None = None,
        rgb: np.ndarray | None = None,
        rgb_camera: Intrinsics | None = None,
        truth: np.ndarray | None = None,
    ) -> None:
        """Write one instant; what is None is left out.

        Args:
            stamp_ns: header stamp and time of recording, nanoseconds.
            depth: (h, w) float32 metres, NaN invalid.
            depth_camera: intrinsics of `depth`.
            rgb: (H, W, 3) uint8.
            rgb_camera: intrinsics of `rgb`.
            truth: (h * s, w * s) float32 metres, NaN invalid.
        """
        # RGB first: a camera driver's colour frame of the same instant is ready before the computed depth.
        if rgb is not None:
            self._image(self._topics.rgb, stamp_ns, np.ascontiguousarray(rgb, np.uint8), "rgb8")
        if rgb_camera is not None:
            self._info(self._topics.rgb_info, stamp_ns, rgb_camera)
        if depth_camera is not None:
            self._info(self._topics.depth_info, stamp_ns, depth_camera)
        self._depth(self._topics.depth, stamp_ns, depth)
        if truth is not None:
            self._depth(self._topics.truth, stamp_ns, truth)

    def _depth(self, topic: str | None, stamp_ns: int, depth: np.ndarray) -> None:
        dtype = np.uint16 if self._depth_encoding == "16UC1" else np.float32
        self._image(topic, stamp_ns, from_metres(depth, dtype), self._depth_encoding)

    def _image(self, topic: str | None, stamp_ns: int, image: np.ndarray, encoding: str) -> None:
        message = self._store.types[IMAGE](
            header=self._header(topic, stamp_ns),
            height=image.shape[0],
            width=image.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=image.strides[0],
            data=image.reshape(-1).view(np.uint8),
        )
        self._write(topic, IMAGE, stamp_ns, message)

    def _info(self, topic: str | None, stamp_ns: int, camera: Intrinsics) -> None:
        k = camera.matrix()
        roi = self._store.types["sensor_msgs/msg/RegionOfInterest"](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        message = self._store.types[CAMERA_INFO](
            header=self._header(topic, stamp_ns),
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=k.ravel(),
            r=np.eye(3).ravel(),
            p=np.hstack([k, np.zeros((3, 1))]).ravel(),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )
        self._write(topic, CAMERA_INFO, stamp_ns, message)

    def _header(self, topic: str | None, stamp_ns: int) -> Any:  # a class that rosbags makes at runtime
        frame_id = self._rgb_frame_id if topic in (self._topics.rgb, self._topics.rgb_info) else self._frame_id
        time = self._store.types["builtin_interfaces/msg/Time"]
        stamp = time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
        return self._store.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)

    def _write(self, topic: str | None, kind: str, stamp_ns: int, message: object) -> None:
        if topic is None:
            raise ValueError(f"a {kind} was given, and its topic is None: name it in `topics`")
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
        self._writer.write(self._connections[topic], stamp_ns, self._store.serialize_cdr(message, kind))
