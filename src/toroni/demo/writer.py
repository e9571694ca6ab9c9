"""A writer process: sends its share of the corpus, file by file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from toroni import Wait, rmp
from toroni.demo import child, corpus, protocol

# Small messages travel together, larger ones alone.
_SMALL_BYTES, _MOST_TOGETHER = 16 << 10, 32


@dataclass(frozen=True)
class Job:
    """What a writer is to do: its number, and the share of the corpus without the first `skip` parcels."""

    bus: str
    coordinator: int
    writer: int
    share: int
    shares: int
    skip: int
    seed: int
    limit: int | None
    rounds: int
    listing: str


def main(job: Job) -> None:
    """Says that it is ready, waits for the word to go, sends, and says that it is done."""
    files = corpus.find(job.limit, job.rounds)
    if files.listing() != job.listing:
        sys.exit(f"the files in {files.root} changed while the demo ran")
    numbers = corpus.shares(files, job.shares, job.seed)[job.share][job.skip :]
    try:
        # Wait(None): a live reader is never overtaken, however slow it is.
        with rmp.Stream(job.bus, role="writer", backpressure=Wait(None)) as stream:
            child.say(kind="ready")
            if not sys.stdin.readline():
                raise child.OrphanError
            _send(stream, _chunks(files, numbers, job, stream.capacity))
            child.say(kind="done")
    except child.OrphanError:
        child.clean_up_and_leave(job.bus)


def _chunks(files: corpus.Corpus, numbers: list[int], job: Job, capacity: int) -> Iterator[protocol.Chunk]:
    random = Random(job.seed * 1000 + job.writer)
    sequence = 0
    for number in numbers:
        path, size = files.file(number)
        offset = 0
        with open(files.root / path, "rb") as file:
            for length in protocol.cut(size, capacity, random):
                data = file.read(length)
                yield protocol.Chunk(job.writer, sequence, number, offset, size, os.fsencode(path), data)
                offset += length
                sequence += 1


def _send(stream: rmp.Stream, chunks: Iterable[protocol.Chunk]) -> None:
    together: list[bytes] = []
    for chunk in chunks:
        is_small = len(chunk.data) <= _SMALL_BYTES
        if is_small:
            together.append(chunk.head() + chunk.data)
        if together and (not is_small or len(together) == _MOST_TOGETHER):
            stream.write_many(together)
            together = []
        if not is_small:
            stream.write(chunk.head(), chunk.data)
    stream.write_many(together)


if __name__ == "__main__":
    main(Job(**json.loads(sys.argv[1])))
