"""How a parcel becomes messages, and back.

A message is a chunk of one file, or the end of everything::

    +------+--------+----------+--------+--------+-----------+----------+-------------+------+------+
    | kind | writer | sequence | number | offset | file size | checksum | path length | path | data |
    |  u8  |  u16   |   u32    |  u32   |  u64   |    u64    |   u32    |     u16     |      |      |
    +------+--------+----------+--------+--------+-----------+----------+-------------+------+------+

Little-endian and packed. `sequence` counts one writer's messages, `number` names the parcel, the checksum is
the CRC-32 of path and data. An empty file is one chunk without data.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

_HEADER = struct.Struct("<BHIIQQIH")
_CHUNK, _END = 0, 1
# Log-uniform sizes between these parts of the ring; now and then a chunk is far larger.
_WHOLE, _SHORTEST, _LONGEST = 64, 4096, 32
_HUGE_PART, _HUGE_CHANCE = 0.6, 0.01

END = _HEADER.pack(_END, 0, 0, 0, 0, 0, 0, 0)


class DamageError(ValueError):
    """A message whose bytes are not those that were sent."""


class Chunk(NamedTuple):
    """A part of a file, as it travels."""

    writer: int
    sequence: int
    number: int
    offset: int
    size: int
    path: bytes
    data: bytes | memoryview

    def head(self) -> bytes:
        """What goes before the data."""
        checksum = zlib.crc32(self.data, zlib.crc32(self.path))
        fields = (self.writer, self.sequence, self.number, self.offset, self.size, checksum, len(self.path))
        return _HEADER.pack(_CHUNK, *fields) + self.path


def decode(message: bytes) -> Chunk | None:
    """The chunk in a message; None if it is the end.

    Raises:
        DamageError: it is neither.
    """
    if message == END:
        return None
    if len(message) < _HEADER.size:
        raise DamageError(f"{len(message)} bytes are no message of this demo")
    kind, writer, sequence, number, offset, size, checksum, path_length = _HEADER.unpack_from(message)
    start = _HEADER.size + path_length
    path, data = message[_HEADER.size : start], memoryview(message)[start:]
    chunk = Chunk(writer, sequence, number, offset, size, path, data)
    if kind != _CHUNK or start > len(message) or zlib.crc32(data, zlib.crc32(path)) != checksum:
        raise DamageError(f"message {sequence} of writer {writer} has another checksum than it says")
    return chunk


def cut(size: int, capacity: int, random: Random) -> Iterator[int]:
    """Lengths of the chunks of a file, for a ring of this capacity. Mixed, because equal ones hide faults."""
    if size <= capacity // _WHOLE:
        yield size
        return
    shortest, longest = math.log2(max(capacity // _SHORTEST, 16)), math.log2(capacity // _LONGEST)
    left = size
    while left > 0:
        huge = random.random() < _HUGE_CHANCE
        length = int(capacity * _HUGE_PART if huge else 2 ** random.uniform(shortest, longest))
        yield min(length, left)
        left -= length
