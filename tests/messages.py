"""Messages whose bytes all follow from their first 8, so that a torn one shows, in sizes that are always mixed."""

from __future__ import annotations

import random
import struct

_BLOCK = random.Random(1).randbytes(1 << 20)
_SEED = struct.Struct("<Q")
SMALLEST = _SEED.size


def make_message(seed: int, size: int) -> bytes:
    """A message of `size` bytes (at least 8) that names `seed`."""
    first = (seed * 2654435761 + size * 40503) % (len(_BLOCK) // 2)
    return _SEED.pack(seed) + _BLOCK[first : first + size - SMALLEST]


def seed_of(message: bytes) -> int:
    """The seed that the message names."""
    return int(_SEED.unpack_from(message)[0])


def is_whole(message: bytes) -> bool:
    """Whether all bytes are those that belong together."""
    return len(message) >= SMALLEST and message == make_message(seed_of(message), len(message))


def mixed_size(chooser: random.Random, capacity: int) -> int:
    """Mostly small, some an eighth of the ring, a few up to 60 % of it."""
    kind = chooser.random()
    if kind < 0.90:
        return SMALLEST + chooser.randrange(120)
    if kind < 0.995:
        return SMALLEST + chooser.randrange(capacity // 8)
    return SMALLEST + chooser.randrange(capacity * 6 // 10 - SMALLEST)
