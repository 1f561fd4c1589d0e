"""Recordings: open a rosbag2 (sqlite3 or MCAP), find the depth and RGB topics, read frames.

`open_bag` gives a `Bag`; `Bag.topics` are the topics by role, found by message type, image encoding and name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from depth_sr_ros.messages.images import DEPTH_DTYPES

IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_TRUTH_WORDS = ("ground_truth", "groundtruth", "truth", "gt")


class BagError(ValueError):
    """A recording that cannot be used; the message says what was found and what is needed."""


@dataclass(frozen=True)
class Topics:
    """Topic names by role; None where the recording has none.

    Attributes:
        depth, depth_info: the depth camera.
        rgb, rgb_info: the colour camera.
        truth: high-resolution depth to score against.
    """

    depth: str
    depth_info: str | None = None
    rgb: str | None = None
    rgb_info: str | None = None
    truth: str | None = None

    def roles(self) -> dict[str, str]:
        """Topic name to role, for the topics that exist."""
        return {getattr(self, f.name): f.name for f in fields(self) if getattr(self, f.name)}


@dataclass(frozen=True)
class RawMessage:
    """One recorded message: role ("depth", "rgb_info", ...), time of recording (ns) and its CDR bytes."""

    role: str
    time_ns: int
    cdr: bytes


class _Checked:
    """A reader whose every failure is a `BagError`: damaged bytes make the parsers fail in ways without number."""

    def __init__(self, reader: AnyReader, path: Path):
        self._reader, self._path = reader, path
        self.connections, self.duration = reader.connections, reader.duration

    def messages(self, connections: list, **window: int) -> Iterator[tuple[Any, int, bytes]]:
        """(connection, time of recording in ns, CDR bytes), as `AnyReader.messages`."""
        with _damage_reported(self._path):
            for connection, time_ns, data in self._reader.messages(connections, **window):
                if not 0 <= time_ns < 2**63 - 1:
                    raise BagError(f"{self._path} is damaged: a message recorded at {time_ns} ns")
                yield connection, time_ns, data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """The message in CDR bytes."""
        with _damage_reported(self._path):
            return self._reader.deserialize(data, kind)


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

    def __init__(self, path: Path, reader: AnyReader, overrides: dict[str, str | None]):
        self.path, self._reader = path, _Checked(reader, path)
        self.topics = _find_topics(self._reader, path, overrides)
        roles = self.topics.roles()
        self._connections = [c for c in reader.connections if c.topic in roles]

    @property
    def duration(self) -> float:
        """Seconds from the first to the last message."""
        return max(self._reader.duration, 0) * 1e-9

    def count(self, role: str) -> int:
        """Number of messages with this role."""
        topic = getattr(self.topics, role)
        return sum(c.msgcount for c in self._connections if c.topic == topic)

    def raw(self, *roles: str) -> Iterator[RawMessage]:
        """Messages of the given roles (default: the four inputs) in recorded order, not decoded."""
        roles = roles or ("depth", "depth_info", "rgb", "rgb_info")
        names = {getattr(self.topics, role): role for role in roles if getattr(self.topics, role)}
        for connection, time_ns, data in self._reader.messages([c for c in self._connections if c.topic in names]):
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

    def message_at(self, role: str, time_ns: int):
        """The decoded message of one role that was recorded at `time_ns`; frames are fetched when needed, so that
        a long recording need not fit in memory.

        Raises:
            BagError: there is none.
        """
        topic = getattr(self.topics, role)
        connections = [c for c in self._connections if c.topic == topic]
        for connection, _, data in self._reader.messages(connections, start=time_ns, stop=time_ns + 1):
            return self._reader.deserialize(data, connection.msgtype)
        raise BagError(f"{self.path.name} has no {role} message at {time_ns} ns")

    def messages(self, role: str) -> Iterator[object]:
        """Decoded messages of one role, in recorded order."""
        topic = getattr(self.topics, role)
        if topic is None:
            return
        for connection, _, data in self._reader.messages([c for c in self._connections if c.topic == topic]):
            yield self._reader.deserialize(data, connection.msgtype)


def cdr_stamp(cdr: bytes) -> int:
    """Nanoseconds of the std_msgs/Header stamp that a serialised message starts with."""
    # byte 1 of the encapsulation header tells the endianness; the stamp (int32, uint32) comes right after it
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


@contextmanager
def open_bag(path: str | Path, **overrides: str | None) -> Iterator[Bag]:
    """Open a recording.

    Args:
        path: a rosbag2 folder (with metadata.yaml), or its single .mcap or .db3 file.
        overrides: topic names by role (`depth`, `depth_info`, `rgb`, `rgb_info`, `truth`) where the guess would be
            wrong; "" says that there is none.

    Raises:
        BagError: no such recording, a rosbag1, damaged, or without depth images.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f"no recording at {path}")
    if path.suffix == ".bag":
        raise BagError(f"{path.name} is a ROS 1 bag: convert it with 'rosbags-convert --src {path.name} --dst NAME'")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        raise BagError(f"{path} has no metadata.yaml: give a rosbag2 folder, or its .mcap or .db3 file")
    if path.is_file() and path.suffix not in (".mcap", ".db3"):
        raise BagError(f"{path.name} is not a recording: give a rosbag2 folder, or its .mcap or .db3 file")
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_KILTED))
        reader.open()
    except Exception as error:  # damaged bytes make the parsers fail in ways without number
        raise BagError(f"{path} cannot be read: {error or type(error).__name__}") from error
    try:
        yield Bag(path, reader, overrides)
    finally:
        reader.close()


def _find_topics(reader: _Checked, path: Path, overrides: dict[str, str | None]) -> Topics:
    topics = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
    for role, topic in overrides.items():
        expected = CAMERA_INFO if role.endswith("info") else IMAGE
        if topic and topics.get(topic) != expected:
            raise BagError(
                f"{path.name} has no {expected} on {topic!r} (for {role}); it has {_listing(topics, expected)}"
            )
    encodings = {t: _first_encoding(reader, t) for t, kind in topics.items() if kind == IMAGE}
    depth_like = [t for t, e in encodings.items() if e in DEPTH_DTYPES]
    given = {role: topic or None for role, topic in overrides.items() if topic is not None}
    truth = given.get("truth", _best(depth_like, lambda t: 2 * _named_truth(t)))
    inputs = [t for t in depth_like if t != truth and not _named_truth(t)]
    depth = given.get("depth") or _best(inputs, lambda t: 1 + 2 * ("depth" in t) - ("infra" in t))
    if depth is None:
        compressed = [t for t, kind in topics.items() if "Compressed" in kind]
        hint = f"; {compressed[0]} is compressed: republish it as raw first" if compressed else ""
        raise BagError(
            f"{path.name} has no depth images (sensor_msgs/msg/Image with encoding {' or '.join(DEPTH_DTYPES)})"
            f"; it has {_listing(topics)}{hint}"
        )
    colour = [t for t, e in encodings.items() if e not in (*DEPTH_DTYPES, "mono8", "mono16")]
    rgb = given.get("rgb", _best(colour, lambda t: 1 + ("rgb" in t) + ("color" in t) + ("colour" in t)))
    infos = [t for t, kind in topics.items() if kind == CAMERA_INFO]
    found = Topics(depth, _info_of(depth, infos), rgb, _info_of(rgb, infos), truth)
    return replace(found, **{role: topic for role, topic in given.items() if role.endswith("info")})


def _best(names: list[str], score) -> str | None:
    """The name of highest positive score; ties go to the shorter name."""
    ranked = sorted((n for n in names if score(n) > 0), key=lambda n: (-score(n), len(n), n))
    return ranked[0] if ranked else None


def _named_truth(topic: str) -> bool:
    return any(word in part for part in topic.lower().split("/") for word in _TRUTH_WORDS[:3]) or (
        _TRUTH_WORDS[3] in topic.lower().split("/")
    )


def _info_of(image: str | None, infos: list[str]) -> str | None:
    """The camera_info beside an image topic (REP 135): same namespace."""
    if image is None:
        return None
    beside = image.rsplit("/", 1)[0] + "/camera_info"
    return beside if beside in infos else None


def _first_encoding(reader: _Checked, topic: str) -> str:
    connections = [c for c in reader.connections if c.topic == topic]
    for connection, _, data in reader.messages(connections):
        return reader.deserialize(data, connection.msgtype).encoding
    return ""


def _listing(topics: dict[str, str], kind: str | None = None) -> str:
    chosen = [f"{t} ({k})" for t, k in sorted(topics.items()) if kind in (None, k)]
    return ", ".join(chosen) or "nothing of that type"
