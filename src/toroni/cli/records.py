"""A stream of bytes cut into records, each of which becomes a message."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import Literal

from toroni.cli.options import CommandError

Kind = Literal["lines", "nul", "length", "whole"]
LENGTH = struct.Struct("<I")
"""What goes before each record of kind "length", in and out."""

_CHUNK_BYTES = 1 << 18


def read_records(descriptor: int, kind: Kind, most_bytes: int, note: Callable[[int], object]) -> Iterator[list[bytes]]:
    """The records of a file, as many at a time as can be read at once.

    Args:
        descriptor: of the file.
        kind: "lines" end with a newline and "nul" with a NUL, which is not part of them, and the last one may lack;
            "length" have their length before them; "whole" is all of the file.
        most_bytes: in one record.
        note: is called with the number of bytes that were read.

    Raises:
        CommandError: a longer one, or the input ends within one.
    """
    cut: Callable[[bytearray], list[bytes]] = {
        "lines": lambda rest: _cut_at(rest, b"\n"),
        "nul": lambda rest: _cut_at(rest, b"\0"),
        "length": lambda rest: _cut_by_length(rest, most_bytes),
        "whole": lambda rest: [],
    }[kind]
    rest = bytearray()
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        note(len(chunk))
        rest += chunk
        if records := cut(rest):
            yield records
        if len(rest) > most_bytes + LENGTH.size:
            raise CommandError(f"a record of {len(rest)} bytes or more is too large: {most_bytes} fit the bus")
    if kind == "length" and rest:
        raise CommandError(f"the input ends within a record, {len(rest)} bytes behind its start")
    if rest or kind == "whole":
        yield [bytes(rest)]


def _cut_at(rest: bytearray, end: bytes) -> list[bytes]:
    records = rest.split(end)
    rest[:] = records.pop()
    return [bytes(one) for one in records]


def _cut_by_length(rest: bytearray, most_bytes: int) -> list[bytes]:
    records = []
    at = 0
    while at + LENGTH.size <= len(rest):
        (length,) = LENGTH.unpack_from(rest, at)
        if length > most_bytes:
            raise CommandError(f"a record of {length} bytes is too large: {most_bytes} fit the bus")
        end = at + LENGTH.size + length
        if end > len(rest):
            break
        records.append(bytes(rest[at + LENGTH.size : end]))
        at = end
    del rest[:at]
    return records
