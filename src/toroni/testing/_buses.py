"""Temporary buses: names that nobody else uses, and an end that says who still has them open."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from toroni import Bus, ToroniError, unlink

_DIRECTORY = Path("/dev/shm")
_PREFIX, _SUFFIX = "toroni-", "-ri"


class BusLeftWarning(UserWarning):
    """A test has ended, and somebody still has its bus open; the message says who. The bus is removed all the same."""


def unused_name() -> str:
    """A bus name that no other call has given, in this process or another one: pytest-xdist's workers share nothing."""
    return f"{_family()}{os.getpid()}-{secrets.token_hex(4)}"


@contextmanager
def temporary_bus(**options: Any) -> Iterator[Bus]:
    """An open bus with an unused name, closed and removed at the end of the block, whatever ends it.

    Args:
        options: of `toroni.Bus`, such as capacity or backpressure.

    Warns:
        BusLeftWarning: other processes, or readers of this one, still have it open.

    Raises what `toroni.Bus` raises.
    """
    with temporary_name() as name, Bus(name, **options) as bus:
        yield bus


@contextmanager
def temporary_name() -> Iterator[str]:
    """An unused name, for code that makes the bus itself. What is there under this name at the end is removed.

    Buses of processes that were killed before they could remove theirs go, too.

    Warns:
        BusLeftWarning: as `temporary_bus`.
    """
    _remove_orphans()
    name, maker = unused_name(), os.getpid()
    try:
        yield name
    finally:
        if os.getpid() == maker:  # and not a child that a test has forked
            remove(name)


def remove(name: str) -> list[str]:
    """Removes a bus, if there is one, and warns if somebody still has it open.

    Returns:
        Who has it open, one line each.
    """
    left = []
    try:
        left = _users(name)
    finally:
        unlink(name)
    if left:
        warnings.warn(f"the bus {name!r} is removed, but still open: {'; '.join(left)}", BusLeftWarning, stacklevel=3)
    return left


def _users(name: str) -> list[str]:
    """Processes that map a segment of the bus. This one only if it has readers: memory may be shown by old views."""
    if not (_DIRECTORY / f"{_PREFIX}{name}-rb").exists():
        return []
    labels: dict[int, list[str]] = {}
    with suppress(ToroniError), Bus(name, role="writer") as bus:  # a damaged one has nobody to ask
        for reader in bus.readers():
            if reader.alive:
                labels.setdefault(reader.pid, []).append(repr(reader.label) if reader.label else "one without a label")
    pids = set(labels) | {pid for pid in _processes() if pid != os.getpid() and _maps(pid, name)}
    return [_describe(pid, labels.get(pid, [])) for pid in sorted(pids)]


def _describe(pid: int, readers: list[str]) -> str:
    who = "this process" if pid == os.getpid() else f"process {pid}"
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        who += f" ({command[:60]})" if pid != os.getpid() else ""
    return f"{who} has {'readers ' + ', '.join(readers) if readers else 'it without a reader'}"


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _maps(pid: int, name: str) -> bool:
    with suppress(OSError):  # another user's, or gone
        return f"{_DIRECTORY}/{_PREFIX}{name}-r" in Path(f"/proc/{pid}/maps").read_text(errors="replace")
    return False


def _family() -> str:
    """The beginning of all names that processes of this PID namespace give: pids of another one say nothing here."""
    return f"temporary-{os.stat('/proc/self/ns/pid').st_ino}-"


def _remove_orphans() -> None:
    for path in _DIRECTORY.glob(f"{_PREFIX}{_family()}*{_SUFFIX}"):
        name = path.name[len(_PREFIX) : -len(_SUFFIX)]
        maker = name[len(_family()) :].split("-")[0]
        if maker.isdigit() and not Path(f"/proc/{maker}").exists():
            with suppress(ToroniError):  # somebody else's, or being removed by another test process
                unlink(name)
