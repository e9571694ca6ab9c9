"""What is sent: every file of Python's standard library, some times over."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

_SKIPPED = {"__pycache__", "site-packages", "dist-packages"}


class File(NamedTuple):
    """A file as it was listed: path below the root, and bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Corpus:
    """Files, sent `rounds` times. A parcel is one file in one round; its number names it everywhere."""

    root: Path
    files: tuple[File, ...]
    rounds: int

    @property
    def parcels(self) -> int:
        """How many there are; their numbers are 0 to this, exclusive."""
        return len(self.files) * self.rounds

    @property
    def size(self) -> int:
        """Sum of all parcels."""
        return sum(file.size for file in self.files) * self.rounds

    def file(self, number: int) -> File:
        """The file that this parcel is."""
        return self.files[number % len(self.files)]

    def listing(self) -> str:
        """Checksum of paths and sizes: two processes that find the same one mean the same parcels."""
        return hashlib.blake2b(repr((self.files, self.rounds)).encode(), digest_size=16).hexdigest()

    def digests(self) -> list[bytes]:
        """The digest of every file as it is on disk now, in their order."""
        return [self._digest(file) for file in self.files]

    def _digest(self, file: File) -> bytes:
        digest = new_digest(os.fsencode(file.path))
        with open(self.root / file.path, "rb") as content:
            while data := content.read(1 << 20):
                digest.update(data)
        return digest.digest()


def new_digest(path: bytes) -> hashlib.blake2b:
    """A digest of a path and the bytes that are still to come."""
    return hashlib.blake2b(path + b"\0", digest_size=16)


def find(limit: int | None = None, rounds: int = 1) -> Corpus:
    """The corpus of this machine: all of the standard library, or `limit` files of all sizes."""
    root = Path(sysconfig.get_path("stdlib"))
    files: list[File] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED]
        paths = (Path(folder, name) for name in names)
        readable = (path for path in paths if path.is_file() and os.access(path, os.R_OK))
        files += [File(str(path.relative_to(root)), path.stat().st_size) for path in readable]
    files.sort(key=lambda file: (file.size, file.path))
    if limit is not None and limit < len(files):
        files = [files[i * len(files) // limit] for i in range(limit)]
    return Corpus(root, tuple(files), rounds)


def shares(corpus: Corpus, count: int, seed: int) -> list[list[int]]:
    """Deals the parcels to `count` writers, evenly by size, each share in an order of its own."""
    dealt: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for number in sorted(range(corpus.parcels), key=lambda number: -corpus.file(number).size):
        least = loads.index(min(loads))
        dealt[least].append(number)
        loads[least] += corpus.file(number).size + 1
    random = Random(seed)
    for share in dealt:
        random.shuffle(share)
    return dealt
