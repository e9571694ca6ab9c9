"""What can be known of a bus without taking part in it."""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from toroni import Bus, BusMismatch, Multicast, ReaderInfo, Statistics, ToroniError
from toroni.cli.attached import Attached, Process, files_of, find_attached
from toroni.cli.processes import is_same, is_stopped, program_of

_AT_ONCE = 16  # one that somebody is making is waited for, for some seconds


@dataclass(frozen=True)
class Inspection:
    """A bus, as it was a moment ago.

    Attributes:
        name: of the bus.
        problem: why it cannot be opened; then what can only be known from within is None or empty.
        is_elsewhere: it belongs to another PID namespace, whose processes we may not see.
        memory: bytes that its files take.
        owner: their user's name.
        mode: of the ring, as `ls -l` shows it.
        statistics: its counters.
        notifier: how its readers are woken.
        readers: who holds its slots, dead owners included.
        attached: who has it open.
    """

    name: str
    problem: str | None
    is_elsewhere: bool
    memory: int
    owner: str
    mode: str
    statistics: Statistics | None
    notifier: str | Multicast | None
    readers: Sequence[ReaderInfo]
    attached: Attached

    @property
    def has_gone(self) -> bool:
        """Whether it was removed before it was looked at."""
        return not self.mode

    @property
    def age(self) -> float | None:
        """Seconds since it was made; None where that is not known."""
        if self.statistics is None or self.statistics.created is None:
            return None
        return max(0.0, time.time() - self.statistics.created)

    @property
    def lag_percent(self) -> float:
        """Of the living reader that is furthest behind."""
        return max((one.lag_percent for one in self.readers if one.alive and one.active), default=0.0)

    @property
    def writers(self) -> list[Process]:
        """Processes that could write, and are no readers."""
        reading = {one.pid for one in self.readers if one.alive}
        return [one for one in self.attached.processes if one.may_write and one.pid not in reading]

    @property
    def is_in_use(self) -> bool | None:
        """Whether anybody has it open; None where that cannot be known."""
        if self.attached.processes or any(one.alive for one in self.readers):
            return True
        return False if self.attached.is_certain and not self.is_elsewhere else None


def inspect(names: Iterable[str]) -> list[Inspection]:
    """Looks at these buses."""
    names = list(names)
    attached = find_attached(names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda name: _inspect_one(name, attached[name]), names))


def _inspect_one(name: str, attached: Attached) -> Inspection:
    memory, owner, mode = 0, "", ""
    for file in reversed(files_of(name)):  # the ring's are those that count
        try:
            status = file.stat()
        except OSError:
            continue
        memory += status.st_blocks * 512
        owner, mode = _user_name(status.st_uid), stat.filemode(status.st_mode)
    statistics = notifier = problem = None
    readers: Sequence[ReaderInfo] = ()
    is_elsewhere = False
    try:
        with Bus(name, role="observer") as bus:
            statistics, notifier, readers = bus.stats(), bus.notifier, bus.readers()
    except ToroniError as error:
        problem = str(error)
        is_elsewhere = isinstance(error, BusMismatch)
    return Inspection(
        name, problem, is_elsewhere, memory, owner, mode, statistics, notifier, readers, _without_us(attached)
    )


def _without_us(attached: Attached) -> Attached:
    return Attached([one for one in attached.processes if one.pid != os.getpid()], attached.is_certain)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def to_json(bus: Inspection) -> dict[str, Any]:
    """The same for programs."""
    statistics = bus.statistics
    names = (
        *("capacity", "max_readers", "created", "position", "messages", "bytes", "overwritten", "backpressure"),
        *("notifications", "losses", "lock_holder", "is_foreign"),
    )
    return {
        "name": bus.name,
        "problem": bus.problem,
        "in_use": bus.is_in_use,
        "memory": bus.memory,
        "owner": bus.owner,
        "mode": bus.mode,
        "notifier": None if bus.notifier is None else notifier_text(bus.notifier),
        **{name: None if statistics is None else getattr(statistics, name) for name in names},
        "readers": [
            {
                "program": program_of(one.pid) if one.alive and one.pid else "",
                "stopped": is_same(one) and is_stopped(one.pid),
                **{name: getattr(one, name) for name in _READER_NAMES},
            }
            for one in bus.readers
        ],
        "processes": [
            {"pid": one.pid, "program": one.program, "may_write": one.may_write} for one in bus.attached.processes
        ],
    }


_READER_NAMES = (
    *("slot", "pid", "label", "alive", "active", "foreign", "waiting", "position", "lag", "lag_percent", "messages"),
    *("bytes", "losses", "lost_bytes"),
)


def notifier_text(notifier: str | Multicast) -> str:
    """In a word, with its address."""
    if isinstance(notifier, Multicast):
        return f"multicast {notifier.group}:{notifier.port} on {notifier.interface}"
    return notifier
