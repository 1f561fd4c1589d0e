"""Recordings: open a rosbag2 (sqlite3 or MCAP) or a rosbag1, and read the frames of its depth and RGB cameras.

`open_bag` gives a `Bag`; `Bag.topics` are the topics by role, see `topics`. Compressed images are read as images, and
messages of ROS 1 as those of ROS 2.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.messages.compressed import DecompressedImage, encoding_of
from depth_sr_ros.messages.errors import DecodeError
from depth_sr_ros.replay.mcap_recovery import is_incomplete, recover
from depth_sr_ros.replay.topics import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    TRANSPORTS,
    ImageTopic,
    TopicChoice,
    choose_topics,
)

_STORAGE_SUFFIXES = (".mcap", ".db3")
_ROS2 = get_typestore(Stores.ROS2_KILTED)


class BagError(ValueError):
    """A recording that cannot be used; the message says what was found and what is needed."""


@dataclass(frozen=True)
class RawMessage:
    """One recorded message: role ("depth", "rgb_info", ...), time of recording (ns) and its CDR bytes."""

    role: str
    time_ns: int
    cdr: bytes


class _Checked:
    """A reader of CDR messages whose every failure is a `BagError`: damaged bytes make the parsers fail in ways without
    number.

    A header without a stamp gets the time of recording: `unstamped` has the topics where that was done.
    """

    def __init__(self, reader: AnyReader, path: Path):
        self._reader, self._path = reader, path
        self.connections, self.duration = reader.connections, reader.duration
        self.unstamped: set[str] = set()

    def messages(self, connections: list, **window: int) -> Iterator[tuple[Any, int, bytes]]:
        """(connection, time of recording in ns, CDR bytes), as `AnyReader.messages`."""
        with _damage_reported(self._path):
            for connection, time_ns, data in self._reader.messages(connections, **window):
                if not 0 <= time_ns < 2**63 - 1:
                    raise BagError(f"{self._path} is damaged: a message recorded at {time_ns} ns")
                if not self._reader.is2:
                    data = bytes(_ROS2.ros1_to_cdr(data, connection.msgtype))
                if cdr_stamp(data) == 0:
                    self.unstamped.add(connection.topic)
                    data = _stamped(data, time_ns)
                yield connection, time_ns, data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """The message in CDR bytes."""
        with _damage_reported(self._path):
            own = self._reader.typestore if self._reader.is2 else None
            # a recording of ROS 1, or of compressed images alone, does not define the type that is asked for
            store = own if own is not None and kind in own.fielddefs else _ROS2
            return store.deserialize_cdr(data, kind)


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except BagError:
        raise
    except Exception as error:
        raise BagError(f"{path} is damaged: {error or type(error).__name__}") from error


class Bag:
    """An open recording; made by `open_bag`."""

    def __init__(self, path: Path, reader: AnyReader, overrides: dict[str, str | None], notes: list[str]):
        self.path, self._reader, self._notes = path, _Checked(reader, path), notes
        self.choice = _find_topics(self._reader, path, overrides)
        self.topics = self.choice.topics
        roles = self.topics.roles()
        self._connections = [c for c in reader.connections if c.topic in roles]

    @property
    def duration(self) -> float:
        """Seconds from the first to the last message."""
        return max(self._reader.duration, 0) * 1e-9

    @property
    def notes(self) -> list[str]:
        """What a user should know of the recording: what was missing of it, and which stamps are not the camera's."""
        roles = self.topics.roles()
        unstamped = sorted(topic for topic in self._reader.unstamped if topic in roles)
        if not unstamped:
            return list(self._notes)
        return [*self._notes, f"header.stamp is zero on {', '.join(unstamped)}: the time of recording is used instead"]

    def count(self, role: str) -> int:
        """Number of messages with this role."""
        topic = getattr(self.topics, role)
        return sum(c.msgcount for c in self._connections if c.topic == topic)

    def listing(self) -> list[dict[str, str | int]]:
        """Every topic of the recording, by name: `topic`, `type`, `messages`, its `role` ("" for none) and `why`."""
        roles = self.topics.roles()
        rows: dict[str, dict[str, str | int]] = {}
        for connection in sorted(self._reader.connections, key=lambda c: c.topic):
            role, name = roles.get(connection.topic, ""), connection.topic
            beside = f"beside {getattr(self.topics, role.removesuffix('_info'))}" if role else "not used"
            why = self.choice.reasons.get(name, beside)
            row = rows.setdefault(
                name, {"role": role, "topic": name, "type": connection.msgtype, "messages": 0, "why": why}
            )
            row["messages"] = int(row["messages"]) + connection.msgcount
        return list(rows.values())

    def raw(self, *roles: str) -> Iterator[RawMessage]:
        """Messages of the given roles (default: the four inputs) in recorded order, not decoded."""
        roles = roles or ("depth", "depth_info", "rgb", "rgb_info")
        names = {getattr(self.topics, role): role for role in roles if getattr(self.topics, role)}
        for connection, time_ns, data in self._reader.messages([c for c in self._connections if c.topic in names]):
            if connection.msgtype == COMPRESSED_IMAGE:
                data = _raw_image(self._reader.deserialize(data, COMPRESSED_IMAGE))
            yield RawMessage(names[connection.topic], time_ns, bytes(data))

    def decode(self, message: RawMessage) -> Any:
        """The ROS message in `message`.

        Raises:
            BagError: its bytes are damaged.
        """
        return self._reader.deserialize(message.cdr, CAMERA_INFO if message.role.endswith("info") else IMAGE)

    def index(self, role: str) -> list[tuple[int, int]]:
        """(header stamp, time of recording), ns, of every message of one role, sorted by stamp."""
        if getattr(self.topics, role) is None:
            return []
        with _damage_reported(self.path):
            return sorted((cdr_stamp(m.cdr), m.time_ns) for m in self.raw(role))

    def message_at(self, role: str, time_ns: int) -> Any:
        """The decoded message of one role that was recorded at `time_ns`; frames are fetched when needed, so that
        a long recording need not fit in memory.

        Raises:
            BagError: there is none.
        """
        topic = getattr(self.topics, role)
        connections = [c for c in self._connections if c.topic == topic]
        for connection, _, data in self._reader.messages(connections, start=time_ns, stop=time_ns + 1):
            return self._decoded(data, connection.msgtype)
        raise BagError(f"{self.path.name} has no {role} message at {time_ns} ns")

    def messages(self, role: str) -> Iterator[object]:
        """Decoded messages of one role, in recorded order."""
        topic = getattr(self.topics, role)
        if topic is None:
            return
        for connection, _, data in self._reader.messages([c for c in self._connections if c.topic == topic]):
            yield self._decoded(data, connection.msgtype)

    def _decoded(self, data: bytes, kind: str) -> Any:
        message = self._reader.deserialize(data, kind)
        return DecompressedImage(message) if kind == COMPRESSED_IMAGE else message


def cdr_stamp(cdr: bytes) -> int:
    """Nanoseconds of the std_msgs/Header stamp that a serialised message starts with."""
    # byte 1 of the encapsulation header tells the endianness; the stamp (int32, uint32) comes right after it
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _stamped(cdr: bytes, time_ns: int) -> bytes:
    """`cdr` with `time_ns` as its header's stamp."""
    form = "<iI" if cdr[1] & 1 else ">iI"
    return cdr[:4] + struct.pack(form, time_ns // 1_000_000_000, time_ns % 1_000_000_000) + cdr[12:]


def _raw_image(message: Any) -> bytes:
    """The CDR bytes of the Image in a CompressedImage; one of 0x0 pixels where it is damaged, which no one takes."""
    image = DecompressedImage(message)
    size: tuple[int, int, int]
    try:
        encoding, size, data = image.encoding, (image.height, image.width, image.step), image.data
    except DecodeError:
        encoding, size, data = encoding_of(message.format), (0, 0, 0), np.zeros(0, np.uint8)
    height, width, step = size
    raw = _ROS2.types[IMAGE](
        header=message.header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data,
    )
    return bytes(_ROS2.serialize_cdr(raw, IMAGE))


@contextmanager
def open_bag(path: str | Path, **overrides: str | None) -> Iterator[Bag]:
    """Open a recording.

    An MCAP file whose end is missing (a recorder that was killed) is read up to its last whole message; `Bag.notes`
    says how much that was.

    Args:
        path: a rosbag2 folder, its single .mcap or .db3 file, or a rosbag1 (.bag).
        overrides: topic names by role (`depth`, `depth_info`, `rgb`, `rgb_info`, `truth`) where the guess would be
            wrong; "" says that there is none.

    Raises:
        BagError: no such recording, damaged, or without depth images.
    """
    path = Path(path)
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="depth_sr_bag_") as folder:
        reader = _open_reader(path, Path(folder), notes)
        try:
            yield Bag(path, reader, overrides, notes)
        finally:
            reader.close()


def _open_reader(path: Path, folder: Path, notes: list[str]) -> AnyReader:
    source = _storage_of(path)
    try:
        if source.is_dir():
            files = sorted(source.glob("*.mcap"))
            cut = [file for file in files if is_incomplete(file)]
            if cut and len(files) > 1:
                raise BagError(f"{cut[0]} is incomplete: repair it, or give the other files singly ({_RECOVERY_HINT})")
            source = cut[0] if cut else source
        if source.suffix == ".mcap" and is_incomplete(source):
            source = _recovered(source, folder, notes)
        reader = AnyReader([source], default_typestore=_ROS2)
        reader.open()
    except BagError:
        raise
    except Exception as error:  # damaged bytes make the parsers fail in ways without number
        raise BagError(f"{path} cannot be read: {error or type(error).__name__}") from error
    return reader


_RECOVERY_HINT = "a recorder that was killed leaves such files; 'mcap recover FILE' and 'ros2 bag reindex' repair them"


def _recovered(path: Path, folder: Path, notes: list[str]) -> Path:
    try:
        found = recover(path, folder)
    except ValueError as error:
        raise BagError(f"{path} is incomplete and cannot be read: {error} ({_RECOVERY_HINT})") from None
    notes.append(
        f"{path.name} is incomplete: {found.messages} messages were read, {found.unread_bytes} bytes at its end were "
        f"not ({_RECOVERY_HINT})"
    )
    return found.path


def _storage_of(path: Path) -> Path:
    """What to open: the folder or file, or the one storage file of a folder whose metadata.yaml is missing."""
    if not path.exists():
        raise BagError(f"no recording at {path}")
    if path.is_file():
        if path.suffix not in (*_STORAGE_SUFFIXES, ".bag"):
            raise BagError(f"{path.name} is not a recording: expected a rosbag2 folder, or a .mcap, .db3 or .bag file")
        return path
    if (path / "metadata.yaml").exists():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in _STORAGE_SUFFIXES)
    if len(files) != 1:
        raise BagError(
            f"{path} has no metadata.yaml and {len(files)} storage files: expected a rosbag2 folder, or one of its "
            ".mcap or .db3 files; 'ros2 bag reindex' writes a new metadata.yaml"
        )
    return files[0]


def _find_topics(reader: _Checked, path: Path, overrides: dict[str, str | None]) -> TopicChoice:
    topics = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
    for role, topic in overrides.items():
        expected = (CAMERA_INFO,) if role.endswith("info") else (IMAGE, COMPRESSED_IMAGE)
        if topic and topics.get(topic) not in expected:
            raise BagError(
                f"{path.name} has no {expected[0]} on {topic!r} (for {role}); it has {_listing(topics, expected)}"
            )
    images = [_image_topic(reader, t) for t, kind in topics.items() if kind in (IMAGE, COMPRESSED_IMAGE)]
    infos = [t for t, kind in topics.items() if kind == CAMERA_INFO]
    given = {role: topic or None for role, topic in overrides.items() if topic is not None}
    choice = choose_topics(images, infos, given)
    if choice is None:
        raise BagError(
            f"{path.name} has no depth images: expected sensor_msgs/msg/Image with encoding 16UC1 or 32FC1, or a "
            f"compressed one ({', '.join(TRANSPORTS)}); it has {_listing(topics)}"
        )
    return choice


def _image_topic(reader: _Checked, topic: str) -> ImageTopic:
    """The topic by its first message that can be read."""
    connections = [c for c in reader.connections if c.topic == topic]
    count = sum(c.msgcount for c in connections)
    for connection, _, data in reader.messages(connections):
        message = reader.deserialize(data, connection.msgtype)
        frame_id = message.header.frame_id
        if connection.msgtype == COMPRESSED_IMAGE:
            return ImageTopic(topic, encoding_of(message.format), frame_id, messages=count, compressed=True)
        return ImageTopic(topic, message.encoding, frame_id, message.width, message.height, count)
    return ImageTopic(topic, "", messages=0)


def _listing(topics: dict[str, str], kinds: tuple[str, ...] | None = None) -> str:
    chosen = [f"{t} ({k})" for t, k in sorted(topics.items()) if kinds is None or k in kinds]
    return ", ".join(chosen) or "nothing of that type"
