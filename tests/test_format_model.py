"""The model must be right before the real implementation is measured with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from format_model import (
    MESSAGE,
    PADDING,
    Frame,
    ModelRing,
    Placement,
    RawSegment,
    RingHeader,
    SlotHeader,
    frames,
    parse_reader_info,
    parse_ring_header,
)

GOLDEN = Path(__file__).parent / "golden"
# reader_gen 0, no descendants, the topic and its NUL, then the payload
TOPIC_MESSAGE = bytes(8) + b"\0" + b"channel\0" + bytes(100)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("count", [3, 45])
def test_model_reproduces_the_golden_rings_byte_for_byte(count: int) -> None:
    segment = golden(f"rb-4096-after-{count}x100.bin")
    ring = ModelRing(4096)
    for _ in range(count):
        ring.append(TOPIC_MESSAGE)
    assert ring.free_pos == parse_ring_header(segment).free_pos
    assert bytes(ring.data) == segment[80:]


def test_parser_finds_all_intact_frames_of_the_golden_wrap() -> None:
    segment = golden("rb-4096-after-45x100.bin")
    oldest = 12 * 122  # the second lap overwrote the first 12 frames
    expected = [Frame(122 * i, MESSAGE, TOPIC_MESSAGE) for i in range(12, 33)]
    expected += [Frame(4026, PADDING, bytes(65))]
    expected += [Frame(4096 + 122 * i, MESSAGE, TOPIC_MESSAGE) for i in range(12)]
    assert list(frames(segment[80:], oldest, 4096 + 12 * 122)) == expected


def test_golden_ring_headers_parse() -> None:
    new = parse_ring_header(golden("rb-4096-new.bin"))
    assert new == RingHeader(4096, 0, free_pos=0, backpressure_count=0, notification_count=0, initialized=1)
    written = parse_ring_header(golden("rb-4096-after-45x100.bin"))
    assert written == new._replace(free_pos=4096 + 12 * 122, notification_count=1)


def test_golden_reader_info_parses() -> None:
    segment = golden("ri-2-new.bin")
    info = parse_reader_info(segment)
    assert len(segment) == 32 + 56 * 2
    assert (info.reader_gen, info.expired_readers, info.max_readers) == (0, 0, 2)
    assert (info.topic_initialized, info.slots_initialized) == (1, 1)
    assert info.active_range == (0, 0)
    assert info.slots == [SlotHeader(lock_word=0, position=0, is_active=0)] * 2


def test_every_field_is_read_at_its_own_offset() -> None:
    """The golden headers are nearly all zeros; these bytes all differ."""
    segment = bytes(range(150))
    ring = parse_ring_header(segment)
    assert ring.capacity == 0x0706050403020100
    assert ring.writer_lock_word == 0x0B0A0908
    assert ring.free_pos.to_bytes(8, "little") == segment[48:56]
    assert ring.backpressure_count.to_bytes(8, "little") == segment[56:64]
    assert ring.notification_count.to_bytes(8, "little") == segment[64:72]
    assert ring.initialized == 72
    info = parse_reader_info(segment[:26] + b"\2\0" + segment[28:])
    assert info.reader_gen == ring.capacity
    assert info.expired_readers.to_bytes(8, "little") == segment[16:24]
    assert (info.topic_initialized, info.slots_initialized) == (8, 24)
    assert info.active_range == (0x1F1E, 0x1D1C)
    for slot, lock, position, active in zip(info.slots, (32, 88), (72, 128), (80, 136), strict=True):
        assert slot.lock_word.to_bytes(4, "little") == segment[lock : lock + 4]
        assert slot.position.to_bytes(8, "little") == segment[position : position + 8]
        assert slot.is_active == active


PLACEMENTS = [  # index, body length, and where it goes in a ring of 64 bytes; worked out by hand
    (0, 1, Placement(0, None, 0, 6, two_step=False)),
    (0, 59, Placement(0, None, 0, 64, two_step=False)),  # the largest, an exact fit
    (0, 54, Placement(0, None, 0, 59, two_step=False)),  # leaves 5 bytes, there is no other way
    (59, 1, Placement(5, 0, 64, 70, two_step=False)),  # zero-length padding
    (60, 1, Placement(4, None, 64, 70, two_step=False)),  # blank tail
    (63, 59, Placement(1, None, 64, 128, two_step=True)),  # blank tail alone, then the message
    (40, 19, Placement(0, None, 40, 64, two_step=False)),  # exact fit
    (40, 20, Placement(24, 19, 64, 89, two_step=False)),  # one byte too long
    (40, 14, Placement(24, 19, 64, 83, two_step=False)),  # would leave 5 bytes
    (40, 13, Placement(0, None, 40, 58, two_step=False)),  # leaves 6
    (40, 15, Placement(0, None, 40, 60, two_step=False)),  # leaves 4
    (40, 35, Placement(24, 19, 64, 104, two_step=False)),  # spans the capacity exactly
    (40, 36, Placement(24, 19, 64, 105, two_step=True)),  # one byte more
    (40, 54, Placement(24, 19, 64, 123, two_step=True)),  # leaves 5 bytes at index 0
    (5, 54, Placement(0, None, 5, 64, two_step=False)),  # at index 0 it leaves 5 bytes, here none
    (29, 25, Placement(35, 30, 64, 94, two_step=True)),  # no more than half the ring, and still two steps
    (30, 24, Placement(34, 29, 64, 93, two_step=False)),
]


@pytest.mark.parametrize(("index", "body_length", "expected"), PLACEMENTS)
def test_placement(index: int, body_length: int, expected: Placement) -> None:
    lap = 64 * 1000
    expected = expected._replace(frame_position=lap + expected.frame_position, end=lap + expected.end)
    assert ModelRing(64, free_pos=lap + index).place(body_length) == expected


def test_what_the_model_writes_its_parser_reads_back_from_every_index() -> None:
    for index in range(64):
        for length in range(1, 60):
            ring = ModelRing(64, free_pos=640 + index)
            body = bytes(range(1, length + 1))
            placement = ring.append(body)
            first = placement.frame_position if placement.two_step else 640 + index
            found = [frame for frame in frames(ring.data, first, ring.free_pos) if frame.type == MESSAGE]
            assert found == [Frame(placement.frame_position, MESSAGE, body)]
            left_behind = 64 - ring.free_pos % 64
            assert left_behind != 5 or length == 54, f"5 bytes left behind at index {index}, length {length}"
            assert placement.two_step == (placement.end - (640 + index) > 64)


def test_a_frame_that_had_to_leave_five_bytes_is_followed_by_zero_length_padding() -> None:
    ring = ModelRing(64)
    ring.append(b"x" * 54)
    ring.append(b"next")
    # from 59 only: the message at index 0 has overwritten the first
    found = list(frames(ring.data, 59, ring.free_pos))
    assert found == [Frame(59, PADDING, b""), Frame(64, MESSAGE, b"next")]


@pytest.mark.parametrize("length", [-1, 0, 60])
def test_bodies_that_no_frame_can_hold_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="no frame has a body"):
        ModelRing(64).place(length)


@pytest.mark.parametrize(
    ("header", "start", "end", "complaint"),
    [
        (b"\2\1\0\0\0", 0, 6, "unknown frame type"),
        (b"\0\0\0\0\0", 0, 6, "empty message"),
        (b"\0\2\0\0\0", 0, 6, "beyond"),  # past the stream's end
        (b"\0\x14\0\0\0", 40, 80, "beyond"),  # past the ring's end
        (b"\0\1\0\0\0", 0, 65, "does not hold"),
        (b"\0\1\0\0\0", 6, 0, "does not hold"),
        (b"\1\x0d\0\0\0", 44, 63, "blank tail"),
    ],
)
def test_parser_refuses_damage(header: bytes, start: int, end: int, complaint: str) -> None:
    image = bytearray(64)
    image[start : start + 5] = header
    with pytest.raises(ValueError, match=complaint):
        list(frames(image, start, end))


def test_raw_segment_sees_and_moves_the_stream_end(tmp_path: Path) -> None:
    path = tmp_path / "toroni-golden-rb"
    path.write_bytes(golden("rb-4096-after-3x100.bin"))
    with RawSegment(path) as segment:
        assert (segment.capacity, segment.free_pos) == (4096, 3 * 122)
        assert segment.image() == golden("rb-4096-after-3x100.bin")[80:]
        segment.set_free_pos(0x1122334455667788)
        assert segment.free_pos == 0x1122334455667788
    old, changed = golden("rb-4096-after-3x100.bin"), path.read_bytes()
    assert changed == old[:48] + bytes.fromhex("8877665544332211") + old[56:]


def test_raw_segment_refuses_a_file_shorter_than_its_ring(tmp_path: Path) -> None:
    path = tmp_path / "toroni-short-rb"
    path.write_bytes(golden("rb-4096-new.bin")[:-1])
    with pytest.raises(ValueError, match="too short"):
        RawSegment(path)
