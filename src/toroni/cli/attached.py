"""Which processes take part in a bus, as the kernel says: they map its files, and can write one of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toroni.cli.processes import program_of

# Who takes part has opened one of the two files for writing, at least.
_OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True)
class Process:
    """A process that has a bus open.

    Attributes:
        pid: of the process.
        program: what it runs.
        may_write: it maps the ring so that it can write.
    """

    pid: int
    program: str
    may_write: bool


@dataclass(frozen=True)
class Attached:
    """Who has a bus open, observers left out.

    Attributes:
        processes: they, by pid.
        is_certain: whether there can be no others, except the administrator's. Those of other users cannot be looked
            at, but some buses they could not have opened.
    """

    processes: Sequence[Process]
    is_certain: bool


def files_of(bus: str) -> tuple[Path, Path]:
    """The ring's and the reader info's, whether they exist or not."""
    return Path(f"/dev/shm/toroni-{bus}-rb"), Path(f"/dev/shm/toroni-{bus}-ri")


def find_attached(buses: Iterable[str]) -> dict[str, Attached]:
    """Looks at all processes of this machine, once for all these buses."""
    inodes = {}
    found: dict[str, dict[int, bool]] = {}
    private = {}
    for bus in buses:
        found[bus], private[bus] = {}, True
        for number, file in enumerate(files_of(bus)):
            try:
                status = file.stat()
            except OSError:
                continue
            device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
            inodes[device, status.st_ino] = bus, number == 0
            private[bus] &= status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE
    sees_all = not hides_processes(Path("/proc/self/mountinfo").read_text(errors="replace"))
    for pid, mappings in _all_mappings():
        if mappings is None:
            sees_all = False
            continue
        for device, inode, is_writable in mappings:
            # Who can write neither file only looks, as we do.
            if is_writable and (device, inode) in inodes:
                bus, is_ring = inodes[device, inode]
                found[bus][pid] = found[bus].get(pid, False) or is_ring
    return {
        bus: Attached(
            [Process(pid, program_of(pid), may_write) for pid, may_write in sorted(processes.items())],
            sees_all or private[bus],
        )
        for bus, processes in found.items()
    }


def hides_processes(mounts: str) -> bool:
    """Whether /proc is mounted so that those of other users are not even listed there: hidepid= of proc(5)."""
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        if before.split()[4] == "/proc" and re.search(r"\bhidepid=(?!0\b|off\b)", behind):
            return True
    return False


def _all_mappings() -> Iterator[tuple[int, list[tuple[str, int, bool]] | None]]:
    """Of each process the files that it maps shared: device, inode, writable; None where we may not look."""
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            text = Path(f"/proc/{entry}/maps").read_bytes()
        except PermissionError:
            yield int(entry), None
            continue
        except OSError:  # it has ended
            continue
        mappings = []
        for line in text.splitlines():
            _, access, _, device, inode, *_ = line.split(maxsplit=5)
            if access.endswith(b"s") and inode != b"0":
                mappings.append((device.decode(), int(inode), b"w" in access))
        yield int(entry), mappings
