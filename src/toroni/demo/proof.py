"""Compares what the readers saw with each other, and with the files on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toroni.demo.corpus import Corpus
from toroni.demo.reader import Seen
from toroni.demo.record import Entry, Finished, Record


@dataclass(frozen=True)
class Witness:
    """What is taken for true: the coordinator's own record from the first message on, and the disk."""

    record: Record
    corpus: Corpus
    digests: Sequence[bytes]


def order_hash(journal: Iterable[Entry], start: int = 0) -> str:
    """A running hash over (position, digest) of all messages from position `start` on."""
    order = hashlib.blake2b(digest_size=4)
    for position, digest in journal:
        if position >= start:
            order.update(position.to_bytes(8, "little") + digest)
    return order.hexdigest()


def complaints_of_witness(witness: Witness) -> list[str]:
    """What is wrong with the whole: files that are missing, or not as on disk."""
    complaints = [f"the coordinator: {text}" for text in witness.record.complaints]
    complaints += [f"the coordinator: {text}" for text in _bytes(witness, witness.record.finished)]
    for writer, traffic in witness.record.writers.items():
        if traffic.next_sequence != traffic.messages:
            complaints.append(f"not all messages of writer {writer} came, from its first to its last")
    numbers = [parcel.number for parcel in witness.record.finished]
    if len(set(numbers)) != len(numbers):
        complaints.append(f"{len(numbers) - len(set(numbers))} files came twice")
    missing = set(range(witness.corpus.parcels)) - set(numbers)
    if missing:
        example = witness.corpus.file(min(missing)).path
        complaints.append(f"{len(missing)} of {witness.corpus.parcels} files never came, such as {example}")
    return complaints


def complaints_of_reader(witness: Witness, name: str, seen: Seen, killed: bool) -> list[str]:
    """What is wrong with one reader: it must have seen exactly what the witness saw from where it joined on.

    A killed one must have seen the beginning of that.
    """
    complaints = list(seen.complaints)
    joined = seen.joined or 0
    expected = [entry for entry in witness.record.journal if entry.position >= joined]
    files = [parcel for parcel in witness.record.finished if parcel.first_position >= joined]
    if killed:
        expected, files = expected[: len(seen.journal)], files[: len(seen.finished)]
    complaints += _order(expected, seen.journal)
    complaints += _bytes(witness, seen.finished)
    if [parcel.number for parcel in seen.finished] != [parcel.number for parcel in files]:
        complaints.append(f"put together {len(seen.finished)} files where {len(files)} came, or others")
    return [f"{name}: {text}" for text in complaints]


def _order(expected: list[Entry], seen: list[Entry]) -> list[str]:
    for index, (right, wrong) in enumerate(zip(expected, seen, strict=False)):
        if right.position != wrong.position:
            return [f"its message {index} stood at {wrong.position}, the coordinator's at {right.position}"]
        if right.digest != wrong.digest:
            return [f"the message at position {right.position} has other bytes than the coordinator's"]
    if len(expected) != len(seen):
        return [f"saw {len(seen)} messages, the coordinator {len(expected)}"]
    return []


def _bytes(witness: Witness, finished: Iterable[Finished]) -> list[str]:
    corpus, digests = witness.corpus, witness.digests
    wrong = [parcel.number for parcel in finished if parcel.digest != digests[parcel.number % len(digests)]]
    return [f"{corpus.file(number).path} arrived with other bytes than are on disk" for number in wrong]
