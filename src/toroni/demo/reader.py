"""A reader process: reads everything, checks it, and reports what it saw."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from toroni import rmp
from toroni.demo import child
from toroni.demo.record import Entry, Finished, Record

_ENTRY = struct.Struct("<Q16s")
_FINISHED = struct.Struct("<IQ16s")
_SECONDS_BETWEEN_REPORTS = 0.05
# The reader of this label damages a byte of one message before it looks at it: shows that the proof can fail.
_CORRUPT = "TORONI_DEMO_CORRUPT"
_CORRUPTED_MESSAGE = 10


@dataclass(frozen=True)
class Job:
    """What a reader is to do."""

    bus: str
    coordinator: int
    label: str


def main(job: Job) -> None:
    """Says where it joined, then reads to the end of everything."""
    try:
        with rmp.Stream(job.bus, role="reader") as stream, stream.reader(label=job.label) as reader:
            child.say(kind="joined", position=reader.position)
            _follow(reader, job.coordinator, corrupt=os.environ.get(_CORRUPT) == job.label)
    except child.OrphanError:
        child.clean_up_and_leave(job.bus)


def _follow(reader: rmp.Reader, coordinator: int, corrupt: bool) -> None:
    record, pending = Record(), Pending()
    started = reported = 0.0
    while not record.ended:
        batch = reader.read_many(256, timeout=1.0, with_positions=True)
        now = time.perf_counter()
        started = started or now
        for position, message in batch:
            spoil = corrupt and len(record.journal) == _CORRUPTED_MESSAGE
            record.add(position, message[:-1] + bytes([message[-1] ^ 1]) if spoil else message)
        if not batch:
            child.check_parent(coordinator)
        is_due = not batch or record.ended or now - reported >= _SECONDS_BETWEEN_REPORTS
        if is_due and pending.entries < len(record.journal):
            child.say(**pending.report(record, time.perf_counter() - started))
            reported = now


@dataclass
class Pending:
    """How much of a record has been reported."""

    entries: int = 0
    finished: int = 0
    complaints: int = 0

    def report(self, record: Record, seconds: float) -> dict[str, object]:
        """What is new."""
        entries, finished = record.journal[self.entries :], record.finished[self.finished :]
        complaints = record.complaints[self.complaints :]
        self.entries, self.finished = len(record.journal), len(record.finished)
        self.complaints = len(record.complaints)
        return {
            "kind": "seen",
            "entries": b"".join(_ENTRY.pack(*entry) for entry in entries).hex(),
            "finished": b"".join(_FINISHED.pack(*parcel) for parcel in finished).hex(),
            "complaints": complaints,
            "size": record.size,
            "seconds": seconds,
            "done": record.ended,
        }


@dataclass
class Seen:
    """What the coordinator knows of a reader, from its reports."""

    joined: int | None = None
    journal: list[Entry] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    size: int = 0
    seconds: float = 0.0
    done: bool = False

    def take(self, report: dict[str, Any]) -> None:
        """Adds a report."""
        if report["kind"] == "joined":
            self.joined = report["position"]
            return
        self.journal += map(Entry._make, _ENTRY.iter_unpack(bytes.fromhex(report["entries"])))
        self.finished += map(Finished._make, _FINISHED.iter_unpack(bytes.fromhex(report["finished"])))
        self.complaints += report["complaints"]
        self.size, self.seconds, self.done = report["size"], report["seconds"], report["done"]


if __name__ == "__main__":
    main(Job(**json.loads(sys.argv[1])))
