"""The format, byte for byte, written out: what our two ways to make a bus and the foreign stand-in leave in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from foreign_peer import ForeignBus, ForeignWriter, Multicast, paths
from toroni import Overwrite, _core, rmp

GOLDEN = Path(__file__).parent / "golden"
CAPACITY = 64
SLOTS = 2

ROBUST_MUTEX = """
    00000000 00000000 00000000 00000000 90000000 00000000
    00000000 00000000 00000000 00000000
"""
NEW_RING = f"""
    40000000 00000000                                       capacity
    {ROBUST_MUTEX}                                          writer_mutex
    00000000 00000000                                       free_pos
    00000000 00000000                                       backpressure_count
    00000000 00000000                                       notification_count
    01 000000 00000000                                      initialized
"""
NEW_READER_INFO = f"""
    00000000 00000000                                       reader_gen
    01 000000 00000000                                      initialized: topics
    00000000 00000000                                       expired_readers
    01 00                                                   initialized: slots
    0200                                                    max_readers
    00000000                                                active_range
    {ROBUST_MUTEX} 00000000 00000000 00 000000 00000000     slot 0: mutex, position, is_active
    {ROBUST_MUTEX} 00000000 00000000 00 000000 00000000     slot 1
"""

# Bodies, then the ring when they are written, from index 0 to 63.
SERIES = [
    (
        [b"A" * 10, b"B", b"C" * 20, b"D" * 10],
        """
        00 0a000000 41414141414141414141                                A at 0
        00 01000000 42                                                  B at 15
        00 14000000 4343434343434343434343434343434343434343            C at 21
        00 0a000000 44444444444444444444                                D at 46
        000000                                                          three bytes: no header fits
        """,
        61,
    ),
    (
        [b"E" * 3, b"F" * 50],
        """
        00 03000000 454545                                              E at 64
        00 32000000 4646464646464646464646464646464646464646464646464646
                    464646464646464646464646464646464646464646464646    F at 72
        00                                                              one byte
        """,
        127,
    ),
    (
        [b"G" * 4, b"H" * 50],
        """
        00 04000000 47474747                                            G at 128
        00 32000000 4848484848484848484848484848484848484848484848484848
                    484848484848484848484848484848484848484848484848    H at 137, up to the end
        """,
        192,
    ),
    (
        [b"I" * 4, b"J" * 45],
        """
        00 2d000000 4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a
                    4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a              J at 256: at 201 it would leave 5 bytes
        484848484848484848 48 48 48 48 48                               of H
        """,
        306,
    ),
    (
        [b"K" * 20],
        """
        00 14000000 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b            K at 320
        4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a              of J
        01 09000000 484848484848484848                                  padding at 306, of H
        """,
        345,
    ),
]


def literal(text: str) -> bytes:
    """The hexadecimal digits of each line, up to the words behind them."""
    digits = []
    for line in text.splitlines():
        words = []
        for word in line.split():
            if len(word) % 2 or set(word) - set("0123456789abcdef"):
                break
            words.append(word)
        digits += words
    return bytes.fromhex("".join(digits))


def make_ours(name: str) -> Callable[[bytes], object]:
    """Our own bus, base format and extension."""
    stream = rmp.Stream(name, capacity=CAPACITY, max_readers=SLOTS, backpressure=Overwrite())
    return stream.write


def make_base_format(name: str) -> Callable[[bytes], object]:
    """What `toroni-agent init` makes, and our writer on it."""
    _core._initialize_foreign(name, CAPACITY, SLOTS)
    return rmp.Stream(name, backpressure=Overwrite()).write


def make_foreign(name: str) -> Callable[[bytes], object]:
    return ForeignWriter(ForeignBus(name, CAPACITY, SLOTS), Multicast(), lambda: True).write


MAKERS = [make_ours, make_base_format, make_foreign]


@pytest.mark.parametrize("make", MAKERS)
def test_fresh_headers(bus_name: str, make: Callable[[str], object]) -> None:
    made = make(bus_name)
    ring, info = paths(bus_name)
    assert ring.read_bytes()[:80] == literal(NEW_RING)
    assert info.read_bytes()[: 32 + 56 * SLOTS] == literal(NEW_READER_INFO)
    assert ring.read_bytes()[80 : 80 + CAPACITY] == bytes(CAPACITY)
    lengths = (ring.stat().st_size, info.stat().st_size)
    assert (lengths == (80 + CAPACITY, 32 + 56 * SLOTS)) == (make is not make_ours)
    del made


@pytest.mark.parametrize("make", MAKERS)
def test_a_ring_after_a_series_of_messages(bus_name: str, make: Callable[[str], Callable[[bytes], object]]) -> None:
    write = make(bus_name)
    for bodies, image, end in SERIES:
        for body in bodies:
            write(body)
        segment = paths(bus_name)[0].read_bytes()
        assert segment[80 : 80 + CAPACITY].hex(" ") == literal(image).hex(" ")
        assert int.from_bytes(segment[48:56], "little") == end


def test_the_literals_are_what_the_older_implementation_writes() -> None:
    """But for the capacity."""
    theirs = (GOLDEN / "rb-4096-new.bin").read_bytes()[:80]
    assert literal(NEW_RING)[8:] == theirs[8:]
    assert literal(NEW_READER_INFO) == (GOLDEN / "ri-2-new.bin").read_bytes()
