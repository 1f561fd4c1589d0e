"""Read an MCAP file whose end is missing, as a recorder leaves it that was killed or ran out of disk space."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Header, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import Writer

MAGIC = b"\x89MCAP0\r\n"
_FOOTER_LENGTH = 20
_RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of the content
_CHUNK_HEAD = struct.Struct("<QQQI")  # start and end time, size before compression, CRC


@dataclass(frozen=True)
class Recovered:
    """What could be read of an incomplete file.

    Attributes:
        path: a complete MCAP file with everything that was read.
        messages: how many messages it holds.
        unread_bytes: bytes at the end of the original that held no whole record.
    """

    path: Path
    messages: int
    unread_bytes: int


def is_incomplete(path: Path) -> bool:
    """Whether `path` begins as an MCAP file and does not end as one."""
    size = path.stat().st_size
    tail = len(MAGIC) + _FOOTER_LENGTH + _RECORD_HEAD.size
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        if size < len(MAGIC) + tail:
            return True
        file.seek(-tail, 2)
        end = file.read()
    return end[-len(MAGIC) :] != MAGIC or end[0] != Opcode.FOOTER


def recover(path: Path, folder: Path) -> Recovered:
    """Copy all whole messages of an incomplete MCAP file to a complete one in `folder`.

    Chunks are read up to the last whole one; of a last chunk that was not compressed, the whole messages too.

    Raises:
        ValueError: the file holds no whole message.
    """
    target = folder / path.name
    messages = 0
    with open(path, "rb") as source, open(target, "wb") as output:
        copy = _Copy(output)
        read_to = 0
        try:
            for record, end in _records(source):
                messages += copy.add(record)
                read_to = end
        except (McapError, ValueError, KeyError, struct.error, UnicodeDecodeError):
            pass  # the first damaged record is the end of what can be read
        copy.finish()
    if not messages:
        raise ValueError("no whole message is left in it")
    return Recovered(target, messages, path.stat().st_size - read_to)


class _Copy:
    """Writes records to a new file under new schema and channel numbers."""

    def __init__(self, output: BinaryIO):
        self._writer = Writer(output)
        self._started = False
        self._schemas: dict[int, int] = {0: 0}
        self._channels: dict[int, int] = {}

    def add(self, record: McapRecord) -> int:
        """Copy one record; returns how many messages it was (0 or 1)."""
        if isinstance(record, Header):
            self._writer.start(record.profile, record.library)
            self._started = True
        elif isinstance(record, Schema) and record.id not in self._schemas:
            self._schemas[record.id] = self._writer.register_schema(record.name, record.encoding, record.data)
        elif isinstance(record, Channel) and record.id not in self._channels:
            self._channels[record.id] = self._writer.register_channel(
                record.topic, record.message_encoding, self._schemas[record.schema_id], record.metadata
            )
        elif isinstance(record, Message):
            self._writer.add_message(
                self._channels[record.channel_id],
                log_time=record.log_time,
                data=record.data,
                publish_time=record.publish_time,
                sequence=record.sequence,
            )
            return 1
        return 0

    def finish(self) -> None:
        if self._started:
            self._writer.finish()


def _records(file: BinaryIO) -> Iterator[tuple[McapRecord, int]]:
    """Each readable record, those in chunks included, and the offset in the file up to which everything was read."""
    file.seek(len(MAGIC))
    while True:
        start = file.tell()
        head = file.read(_RECORD_HEAD.size)
        if len(head) < _RECORD_HEAD.size:
            return
        opcode, length = _RECORD_HEAD.unpack(head)
        content = file.read(length)
        if len(content) < length:
            if opcode == Opcode.CHUNK:
                for record, used in _partial_chunk(content):
                    yield record, start + _RECORD_HEAD.size + used
            return
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return
        for record in StreamReader(BytesIO(head + content), skip_magic=True, emit_chunks=True).records:
            for part in breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]:
                yield part, file.tell()
            break  # one record was given: reading on would end in an error


def _partial_chunk(content: bytes) -> Iterator[tuple[McapRecord, int]]:
    """The whole records of a cut chunk that is not compressed, and the bytes of `content` used up to each."""
    stream = BytesIO(content)
    if len(stream.read(_CHUNK_HEAD.size)) < _CHUNK_HEAD.size:
        return
    name_length = int.from_bytes(stream.read(4), "little")
    if name_length or len(stream.read(8)) < 8:
        return  # compressed, or cut within the head
    while True:
        head = stream.read(_RECORD_HEAD.size)
        if len(head) < _RECORD_HEAD.size:
            return
        body = stream.read(_RECORD_HEAD.unpack(head)[1])
        if len(body) < _RECORD_HEAD.unpack(head)[1]:
            return
        for record in StreamReader(BytesIO(head + body), skip_magic=True).records:
            yield record, stream.tell()
            break
