"""The payload of a LATENCY message: when it was created."""

from __future__ import annotations

import struct
import time

from toroni import InvalidArgument

_NANOSECONDS = struct.Struct("<Q")  # of CLOCK_MONOTONIC, which is the same in all processes


def encode_now() -> bytes:
    """The payload of a message that is created now."""
    return _NANOSECONDS.pack(time.monotonic_ns())


def decode_time(payload: bytes) -> int:
    """When a message was created, in nanoseconds of `time.monotonic_ns`.

    Raises:
        InvalidArgument: another flavor's message.
    """
    if len(payload) != _NANOSECONDS.size:
        raise InvalidArgument(f"a LATENCY message has {_NANOSECONDS.size} bytes; got one of {len(payload)}")
    return int(_NANOSECONDS.unpack(payload)[0])
