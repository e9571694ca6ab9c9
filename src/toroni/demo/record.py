"""What one reader saw: the order of all messages, and the files put together from them."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from toroni.demo import protocol
from toroni.demo.corpus import new_digest


class Entry(NamedTuple):
    """A message in the order: its position in the stream and a digest of all its bytes."""

    position: int
    digest: bytes


class Finished(NamedTuple):
    """A parcel that came whole: its number, where its first chunk stood, the digest of path and bytes."""

    number: int
    first_position: int
    digest: bytes


@dataclass
class _Assembly:
    number: int
    first_position: int
    digest: hashlib.blake2b
    length: int = 0


@dataclass
class Traffic:
    """What came from one writer. `in_step`: this reader has seen a file of it begin."""

    messages: int = 0
    size: int = 0
    next_sequence: int = 0
    first_time: float = field(default_factory=time.perf_counter)
    last_time: float = 0.0
    open: _Assembly | None = None
    in_step: bool = False


@dataclass
class Record:
    """Fed with messages in stream order, it keeps what the proof needs, and what is wrong."""

    journal: list[Entry] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    writers: dict[int, Traffic] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    size: int = 0
    ended: bool = False

    def add(self, position: int, message: bytes) -> None:
        """Takes the next message."""
        if self.ended:
            self.complaints.append(f"a message at position {position} came after the end")
        if self.journal and position <= self.journal[-1].position:
            self.complaints.append(f"position {position} came after {self.journal[-1].position}")
        self.journal.append(Entry(position, hashlib.blake2b(message, digest_size=16).digest()))
        try:
            chunk = protocol.decode(message)
        except protocol.DamageError as damage:
            self.complaints.append(f"position {position}: {damage}")
            return
        if chunk is None:
            self.ended = True
        else:
            self._take(position, chunk)

    def abandon(self, writer: int) -> int:
        """Forgets the parcel that a dead writer left unfinished; returns how many bytes of it had come."""
        traffic = self.writers[writer]
        lost = traffic.open.length if traffic.open else 0
        traffic.open = None
        self.size -= lost
        return lost

    def _take(self, position: int, chunk: protocol.Chunk) -> None:
        is_first = chunk.writer not in self.writers
        traffic = self.writers.setdefault(chunk.writer, Traffic())
        if chunk.sequence != traffic.next_sequence and not is_first:
            due = f"{traffic.next_sequence} was due"
            self.complaints.append(f"message {chunk.sequence} of writer {chunk.writer} came where {due}")
        traffic.next_sequence = chunk.sequence + 1
        traffic.messages += 1
        traffic.size += len(chunk.data)
        traffic.last_time = time.perf_counter()
        self.size += len(chunk.data)
        self._assemble(position, chunk, traffic)

    def _assemble(self, position: int, chunk: protocol.Chunk, traffic: Traffic) -> None:
        parcel = traffic.open
        if parcel is None and chunk.offset == 0:
            parcel = traffic.open = _Assembly(chunk.number, position, new_digest(chunk.path))
            traffic.in_step = True
        if parcel is None and not traffic.in_step:
            return  # the rest of a file that began before this reader did
        if parcel is None or (parcel.number, parcel.length) != (chunk.number, chunk.offset):
            where = f"bytes from {chunk.offset} on of {os.fsdecode(chunk.path)}"
            self.complaints.append(f"writer {chunk.writer} sent {where} out of turn")
            traffic.open, traffic.in_step = None, False
            return
        parcel.digest.update(chunk.data)
        parcel.length += len(chunk.data)
        if parcel.length >= chunk.size:
            self.finished.append(Finished(parcel.number, parcel.first_position, parcel.digest.digest()))
            traffic.open = None
