"""A plain-Python model of the shared-memory format, for tests to compare the real implementation with.

Written from the format description alone and not from the C++ core, so that one misreading cannot hide in
both. All offsets are literal x86-64 numbers on purpose: a moved field must make a test fail.

A frame on the ring::

    | type u8 | length u32 LE | body: length bytes |        type 0 message, 1 padding; 5-byte header, packed
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, final

MESSAGE = 0
PADDING = 1
HEADER_SIZE = 5
_FRAME_HEADER = struct.Struct("<BI")

# -rb: the ring
RING_CAPACITY_OFFSET = 0
RING_WRITER_MUTEX_OFFSET = 8
RING_FREE_POS_OFFSET = 48
RING_BACKPRESSURE_COUNT_OFFSET = 56
RING_NOTIFICATION_COUNT_OFFSET = 64
RING_INITIALIZED_OFFSET = 72
RING_DATA_OFFSET = 80

# -ri: reader info
INFO_READER_GEN_OFFSET = 0
INFO_TOPIC_INITIALIZED_OFFSET = 8
INFO_EXPIRED_READERS_OFFSET = 16
INFO_SLOTS_INITIALIZED_OFFSET = 24
INFO_MAX_READERS_OFFSET = 26
INFO_ACTIVE_RANGE_OFFSET = 28
INFO_SLOTS_OFFSET = 32
SLOT_SIZE = 56
SLOT_POSITION_OFFSET = 40
SLOT_IS_ACTIVE_OFFSET = 48


class Placement(NamedTuple):
    """Where a message goes: `skip` bytes from free_pos on are left to a padding frame or a blank tail."""

    skip: int
    padding: int | None  # body length of the padding frame; None: no skip, or a tail too short for a header
    frame_position: int
    end: int
    two_step: bool  # the skip is published alone, and the message when the readers have passed it


class Frame(NamedTuple):
    """One frame as the parser found it."""

    position: int
    type: int
    body: bytes


class ModelRing:
    """The ring as one writer without readers sees it. `free_pos` may be set, to start anywhere."""

    def __init__(self, capacity: int, free_pos: int = 0) -> None:
        if capacity <= 2 * HEADER_SIZE or capacity & (capacity - 1):
            raise ValueError(f"capacity {capacity} is not a usable power of two")
        self.capacity = capacity
        self.free_pos = free_pos
        self.data = bytearray(capacity)

    def place(self, body_length: int) -> Placement:
        """Say where a body of this length goes, without writing it."""
        if not 1 <= body_length <= self.capacity - HEADER_SIZE:
            raise ValueError(f"no frame has a body of {body_length} bytes in a ring of {self.capacity}")
        frame_size = HEADER_SIZE + body_length
        index = self.free_pos & (self.capacity - 1)
        rest = self.capacity - index
        # C++ readers take the zero-length padding that would have to follow for an overwritten header. At
        # index 0 there is nowhere else to go: moved by a whole lap the frame would leave 5 bytes again.
        leaves_five_bytes = frame_size + HEADER_SIZE == rest and index != 0
        skip = rest if frame_size > rest or leaves_five_bytes else 0
        frame_position = self.free_pos + skip
        return Placement(
            skip=skip,
            padding=skip - HEADER_SIZE if skip >= HEADER_SIZE else None,
            frame_position=frame_position,
            end=frame_position + frame_size,
            two_step=skip + frame_size > self.capacity,
        )

    def append(self, body: bytes) -> Placement:
        """Write the frame, and the padding before it; bytes that nobody defines are left as they were."""
        placement = self.place(len(body))
        if placement.padding is not None:
            self._write(self.free_pos, _FRAME_HEADER.pack(PADDING, placement.padding))
        self._write(placement.frame_position, _FRAME_HEADER.pack(MESSAGE, len(body)) + body)
        self.free_pos = placement.end
        return placement

    def _write(self, position: int, content: bytes) -> None:
        index = position & (self.capacity - 1)
        assert index + len(content) <= self.capacity, "a frame never wraps"
        self.data[index : index + len(content)] = content


def frames(image: bytes | bytearray, start: int, end: int) -> Iterator[Frame]:
    """Parse the data area `image` from position `start`, a frame's, to `end`. ValueError: damage."""
    capacity = len(image)
    if not 0 <= end - start <= capacity:
        raise ValueError(f"a ring of {capacity} bytes does not hold {start}..{end}")
    position = start
    while position < end:
        index = position & (capacity - 1)
        if capacity - index < HEADER_SIZE:
            position += capacity - index
            continue
        frame_type, length = _FRAME_HEADER.unpack_from(image, index)
        body_index = index + HEADER_SIZE
        if frame_type not in (MESSAGE, PADDING):
            raise ValueError(f"unknown frame type {frame_type} at {position}")
        if frame_type == MESSAGE and length == 0:
            raise ValueError(f"empty message at {position}")
        if body_index + length > capacity or position + HEADER_SIZE + length > end:
            raise ValueError(f"{length} bytes at {position} reach beyond the ring's or the stream's end")
        yield Frame(position, frame_type, bytes(image[body_index : body_index + length]))
        position += HEADER_SIZE + length
    if position != end:
        raise ValueError(f"the stream ends at {end}, inside the blank tail before {position}")


class RingHeader(NamedTuple):
    """The base header of a `-rb` segment."""

    capacity: int
    writer_lock_word: int
    free_pos: int
    backpressure_count: int
    notification_count: int
    initialized: int


class SlotHeader(NamedTuple):
    """One reader slot of a `-ri` segment."""

    lock_word: int
    position: int
    is_active: int


class ReaderInfoHeader(NamedTuple):
    """The base header of a `-ri` segment. `active_range` is (min, max + 1) as stored."""

    reader_gen: int
    topic_initialized: int
    expired_readers: int
    slots_initialized: int
    max_readers: int
    active_range: tuple[int, int]
    slots: list[SlotHeader]


def _number(segment: bytes, offset: int, size: int) -> int:
    return int.from_bytes(segment[offset : offset + size], "little")


def parse_ring_header(segment: bytes) -> RingHeader:
    """Read the base header from the bytes of a whole `-rb` segment."""
    return RingHeader(
        capacity=_number(segment, RING_CAPACITY_OFFSET, 8),
        writer_lock_word=_number(segment, RING_WRITER_MUTEX_OFFSET, 4),
        free_pos=_number(segment, RING_FREE_POS_OFFSET, 8),
        backpressure_count=_number(segment, RING_BACKPRESSURE_COUNT_OFFSET, 8),
        notification_count=_number(segment, RING_NOTIFICATION_COUNT_OFFSET, 8),
        initialized=_number(segment, RING_INITIALIZED_OFFSET, 1),
    )


def parse_reader_info(segment: bytes) -> ReaderInfoHeader:
    """Read the base header and all slots from the bytes of a whole `-ri` segment."""
    max_readers = _number(segment, INFO_MAX_READERS_OFFSET, 2)
    active_range = _number(segment, INFO_ACTIVE_RANGE_OFFSET, 4)
    slot_offsets = [INFO_SLOTS_OFFSET + SLOT_SIZE * i for i in range(max_readers)]
    return ReaderInfoHeader(
        reader_gen=_number(segment, INFO_READER_GEN_OFFSET, 8),
        topic_initialized=_number(segment, INFO_TOPIC_INITIALIZED_OFFSET, 1),
        expired_readers=_number(segment, INFO_EXPIRED_READERS_OFFSET, 8),
        slots_initialized=_number(segment, INFO_SLOTS_INITIALIZED_OFFSET, 1),
        max_readers=max_readers,
        active_range=(active_range >> 16, active_range & 0xFFFF),
        slots=[
            SlotHeader(
                lock_word=_number(segment, slot, 4),
                position=_number(segment, slot + SLOT_POSITION_OFFSET, 8),
                is_active=_number(segment, slot + SLOT_IS_ACTIVE_OFFSET, 1),
            )
            for slot in slot_offsets
        ],
    )


@final
class RawSegment:
    """A live `-rb` segment seen from below: what was written, and free_pos to poke. A context manager."""

    # Native, not "<Q": struct copies a native u64 in one piece, a little-endian one byte by byte, and a
    # writer may be storing it at that moment.
    _U64 = struct.Struct("@Q")

    def __init__(self, path: Path | str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.capacity: int = self._U64.unpack_from(self._map, RING_CAPACITY_OFFSET)[0]
        if RING_DATA_OFFSET + self.capacity > len(self._map):
            self._map.close()
            raise ValueError(f"{path} is too short for a ring of {self.capacity} bytes")

    @property
    def free_pos(self) -> int:
        """The stream end as it is in memory now."""
        position: int = self._U64.unpack_from(self._map, RING_FREE_POS_OFFSET)[0]
        return position

    def set_free_pos(self, value: int) -> None:
        """Move the stream end. Only forward, and only while nobody reads or writes."""
        self._U64.pack_into(self._map, RING_FREE_POS_OFFSET, value)

    def image(self) -> bytes:
        """A copy of the ring's bytes."""
        return self._map[RING_DATA_OFFSET : RING_DATA_OFFSET + self.capacity]

    def close(self) -> None:
        """Unmap the segment; harmless when repeated."""
        self._map.close()

    def __enter__(self) -> RawSegment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
