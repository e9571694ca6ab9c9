"""What is sent: publisher << 48 | number in the first 8 bytes, little-endian, then any bytes.

Each publisher sends a number of messages over and over. If all were different, hundreds of megabytes of them, what is
measured would be the main memory from which they come, and not the library.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import cycle

from toroni.bench._floors import END

TOPIC = "/bench"
_HEAD = struct.Struct("<Q")


def message(publisher: int, number: int, size: int) -> bytes:
    """One message."""
    return _HEAD.pack(publisher << 48 | number).ljust(size, b"x")


def messages(publisher: int, count: int, size: int) -> list[bytes]:
    """The messages of one publisher, without its last one."""
    rest = b"x" * (size - _HEAD.size)
    first, pack = publisher << 48, _HEAD.pack
    return [pack(first | number) + rest for number in range(count)]


def last(publisher: int, size: int) -> bytes:
    """What tells a subscriber that this publisher sends no more."""
    return message(publisher, END, size)


def topics(count: int) -> list[str]:
    """So many topics, all directly below `TOPIC`."""
    return [f"{TOPIC}/{number}" for number in range(count)]


def addressed(messages: Sequence[bytes], count: int) -> list[tuple[str, bytes]]:
    """Each message with its topic: so many topics in turn."""
    return list(zip(cycle(topics(count)), messages, strict=False))
