"""Where it was measured, and with what."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toroni.bench.library import Library


@dataclass(frozen=True)
class Machine:
    """Figures of different machines are not to be compared."""

    processor: str
    cores: int
    kernel: str
    python: str

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.processor}, {cores}, {self.kernel}, Python {self.python}"


def this_machine() -> Machine:
    """The one we run on; `cores` are those that we may use."""
    system = f"{platform.system()} {platform.release()}"
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    return Machine(_processor(), len(os.sched_getaffinity(0)), system, python)


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.machine()


@dataclass(frozen=True)
class Entry:
    """A library, as the result names it.

    Attributes:
        ours: whether it is a way to use Toroni.
        batches, polls: as in `Library`.
        version: of what it comes from.
    """

    name: str
    ours: bool
    batches: bool
    polls: bool
    version: str

    @property
    def in_columns(self) -> bool:
        """Whether its batches come without an object for each message."""
        return self.name.endswith(", columns")


def entries(libraries: Iterable[Library]) -> list[Entry]:
    """One for each."""
    providers = metadata.packages_distributions()
    return [Entry(one.name, is_ours(one.name), one.batches, one.polls, _version(one, providers)) for one in libraries]


def is_ours(name: str) -> bool:
    """Whether a library's name stands for a way to use Toroni."""
    return name.split(",")[0] in ("toroni", "toroni.rmp", "toroni core")


def _version(library: Library, providers: Mapping[str, list[str]]) -> str:
    if is_ours(library.name):
        return _of("toroni")
    if library.module is None:
        return f"Python {platform.python_version()}"
    names = providers.get(library.module.split(".")[0], [])
    return ", ".join(f"{name} {_of(name)}" for name in sorted(set(names))) or "unknown"


def _of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
