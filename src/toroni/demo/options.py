"""What the user may choose."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from toroni import ToroniError
from toroni._sizes import parse_size
from toroni.demo.corpus import Corpus, find

_CAPACITY, _SMALLEST_CAPACITY = 4 << 20, 4096
# A ring of this part of what each writer sends makes sure that nobody is through before the kills.
_RINGS_A_WRITER = 8
_BYTES_TO_SEND = 1_200_000_000


@dataclass(frozen=True)
class Options:
    """How many of what."""

    writers: int
    readers: int
    capacity: int
    seed: int
    limit: int | None
    patience: float


def parse(arguments: Sequence[str] | None) -> tuple[Options, Corpus]:
    """The options, and the files to send. Exits with status 2 if they cannot be, with 0 after --help."""
    parser = _parser()
    given = parser.parse_args(arguments)
    files = find(given.files)
    default_rounds = 1 if given.files else max(1, round(_BYTES_TO_SEND / max(files.size, 1)))
    files = replace(files, rounds=given.rounds or default_rounds)
    largest = files.size // (given.writers * _RINGS_A_WRITER)
    if largest < _SMALLEST_CAPACITY:
        parser.error(f"{files.size} bytes are too few for {given.writers} writers; send more --files")
    capacity = given.capacity or min(_CAPACITY, 1 << (largest.bit_length() - 1))
    if not _SMALLEST_CAPACITY <= capacity <= largest or capacity & (capacity - 1):
        parser.error(
            f"--capacity must be a power of two from {_SMALLEST_CAPACITY} to {largest} bytes here: in a "
            "larger ring all could be over before the kills"
        )
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    return Options(given.writers, given.readers, capacity, seed, given.files, given.patience), files


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toroni.demo",
        description="Moves Python's standard library through one shared-memory stream between several "
        "processes, kills a writer and a reader on the way, replaces them, and proves that every "
        "reader saw the same messages in the same order and every byte right.",
    )
    add = parser.add_argument
    add("--writers", type=_count, default=3, help="writer processes, 2 to 16; default 3")
    add("--readers", type=_count, default=3, help="reader processes, 2 to 16; default 3")
    add("--capacity", type=_size, help='of the ring, such as "1 MiB"; default 4 MiB, or less for few files')
    add("--seed", type=int, help="decides who is killed, when, and all sizes; default random")
    add("--files", type=_positive, metavar="N", help="send only so many files, of all sizes")
    add(
        "--rounds",
        type=_positive,
        metavar="N",
        help="send each file so often; default up to about 1200 MB in all",
    )
    add("--patience", type=float, default=20.0, metavar="S", help="fail if nothing moves for so many seconds")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 2 <= number <= 16:
        raise argparse.ArgumentTypeError(f"must be 2 to 16; got {number}")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ToroniError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
