"""What one process wrote and read: records of a fixed size, appended by one system call each.

A SIGKILL may leave a part of the last record, which is ignored, and nothing else that is not whole. A record says
what was known when it was written: an intent comes before the message is posted, its outcome after; what was read
comes after it was read. So what is missing at the end of a dead process's log is what it did not live to say.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

UNKNOWN = 2**64 - 1
ALL_LANES = 255


class Kind(IntEnum):
    """Of a record, with the fields that it uses beyond `number`.

    BEGIN: the process exists. sequence: its pid; lane: its `Role`; other: who forked it, or 0.
    INTENT: it is about to post message (number, sequence). position, other: the stream end and the bus's generation
        before; size, checksum: of the payload; lane: of the topic.
    OUTCOME: how `size` messages from `sequence` on fared. lane: their `Fate`; position: of the first, or UNKNOWN;
        other, checksum: the stream end and the generation after.
    START: a reader begins. position: where; lane: what it reads; other, sequence: the generation before and after it
        subscribed; size: 1 if it wants what was created before.
    SEEN: message (number, sequence) came at `position`, with a payload of that size and checksum.
    GAP: a loss was announced, from `position` to `other`, of `sequence` messages, or UNKNOWN.
    UPTO: all that this reader is to see before `position` has come: there was nothing more to read.
    END: it leaves of its own will. size: by how many KiB it has grown.
    """

    BEGIN = 1
    INTENT = 2
    OUTCOME = 3
    START = 4
    SEEN = 5
    GAP = 6
    UPTO = 7
    END = 8


class Role(IntEnum):
    """Of a process."""

    WRITER = 1
    READER = 2


class Fate(IntEnum):
    """Of messages that a writer wanted to post."""

    POSTED = 1
    DROPPED = 2
    UNSURE = 3


class Record(NamedTuple):
    """One entry of a log."""

    kind: int
    number: int  # of the process, which is also its writer id
    lane: int = 0
    sequence: int = 0
    position: int = 0
    other: int = 0
    size: int = 0
    checksum: int = 0


_LAYOUT = struct.Struct("<BIBQQQII")


def to_bytes(records: Iterable[Record]) -> bytes:
    """The records as they stand in the file."""
    pack = _LAYOUT.pack
    return b"".join([pack(*record) for record in records])


def from_bytes(data: bytes) -> list[Record]:
    """All whole records."""
    whole = len(data) - len(data) % _LAYOUT.size
    return list(map(Record._make, _LAYOUT.iter_unpack(memoryview(data)[:whole])))


@dataclass(frozen=True)
class Log:
    """A log as it was read, and how its process ended.

    Attributes:
        number: of the process.
        records: what it says.
        death: the stream end after it was killed; None if it was not.
    """

    number: int
    records: list[Record]
    death: int | None = None


class LogFile:
    """The log that this process writes. Its name gives the process a number that nobody else in the round has."""

    def __init__(self, directory: Path, role: Role, parent: int = 0) -> None:
        for number in itertools.count(len(os.listdir(directory)) + 1):
            with contextlib.suppress(FileExistsError):
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(directory / f"{number}.log", flags, 0o600)
                self.number = number
                break
        self.add(Record(Kind.BEGIN, self.number, lane=role, sequence=os.getpid(), other=parent))

    def add(self, *records: Record) -> None:
        """Appends them."""
        data = to_bytes(records)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Ends the log."""
        os.close(self._descriptor)


def load(directory: Path, deaths: dict[int, int]) -> list[Log]:
    """All logs of a directory; `deaths` has the stream end after the death of each process that was killed."""
    found = []
    for path in sorted(directory.glob("*.log"), key=lambda path: int(path.stem)):
        number = int(path.stem)
        found.append(Log(number, from_bytes(path.read_bytes()), deaths.get(number)))
    return found
