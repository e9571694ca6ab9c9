"""The processes of a round, as the driver has them: started, found by their logs, killed, stopped, forked, missed."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from toroni import Bus
from toroni.testing.chaos import reader, writer
from toroni.testing.chaos.log import Role, from_bytes
from toroni.testing.chaos.plan import Setting
from toroni.testing.chaos.process import FORK, LEAVE, start

_SECONDS_TO_DIE = 10.0


@dataclass
class Member:
    """A process of the round.

    Attributes:
        descriptor: of the process, which means it and no later one with the same pid.
        continues: when it is to go on, in seconds of the monotonic clock; None if it is not stopped.
        is_ticker: whether it is the one to which nothing is done.
    """

    number: int
    pid: int
    role: int
    descriptor: int
    is_ticker: bool
    continues: float | None = None

    def send(self, number: int) -> None:
        """A signal, if the process still lives."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def has_ended(self, timeout: float = 0.0) -> bool:
        """Whether it has, perhaps within so many seconds."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(timeout * 1000))


@dataclass
class Deeds:
    """What was done to processes."""

    kills: int = 0
    stops: int = 0
    forks: int = 0
    joins: int = 0

    def add(self, other: Deeds) -> None:
        """Takes another round's in."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Crew:
    """All processes of a round.

    Attributes:
        members: who lives, as far as known.
        deaths: where the stream ended after each kill, by number.
        complaints: what went wrong with processes.
    """

    setting: Setting
    bus: Bus
    members: list[Member] = field(default_factory=list)
    deaths: dict[int, int] = field(default_factory=dict)
    deeds: Deeds = field(default_factory=Deeds)
    complaints: list[str] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)
    _started: dict[int, Role] = field(default_factory=dict)  # not found yet
    _ticker: int = 0

    # ---- starting and finding

    def start_ticker(self) -> None:
        """The one to which nothing is done."""
        self._ticker = self._start(Role.WRITER, writer.tick)

    def fill_up(self) -> None:
        """Starts whoever is missing."""
        plan = self.setting.plan
        for role, wanted, run in (
            (Role.WRITER, plan.writers + 1, writer.write),
            (Role.READER, plan.readers, reader.read),
        ):
            starting = sum(started is role for started in self._started.values())
            for _ in range(wanted - len(self.of(role)) - starting):
                self._start(role, run)

    def _start(self, role: Role, run: Callable[[Setting], None]) -> int:
        child = start(self.setting, run)
        self._started[child] = role
        self.deeds.joins += 1
        return child

    def of(self, role: Role) -> list[Member]:
        """Who has it."""
        return [member for member in self.members if member.role == role]

    @property
    def is_starting(self) -> bool:
        """Whether somebody was started who has not been found yet."""
        return bool(self._started)

    def look(self) -> None:
        """Finds who is new, also forked ones, and misses who has ended."""
        self._reap()
        for path in self.setting.directory.glob("*.log"):
            number = int(path.stem)
            if number not in self._known:
                with path.open("rb") as file:
                    begin = from_bytes(file.read(64))
                if begin:
                    self._known.add(number)
                    self._add(number, begin[0].sequence, begin[0].lane, begin[0].other)
        for member in self.members[:]:
            if member.has_ended():
                self._remove(member)

    def _add(self, number: int, pid: int, role: int, parent: int) -> None:
        self._started.pop(pid, None)
        self.deeds.forks += parent != 0
        with suppress(ProcessLookupError):  # it has ended already, by itself
            descriptor = os.pidfd_open(pid)
            self.members.append(Member(number, pid, role, descriptor, pid == self._ticker))

    def _remove(self, member: Member) -> None:
        os.close(member.descriptor)
        self.members.remove(member)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                if status not in (0, -signal.SIGKILL):
                    self.complaints.append(f"process {pid} ended with {_describe(status)}")
                self._started.pop(pid, None)
        for path in self.setting.directory.glob("*.failed"):
            self.complaints.append(f"process {path.stem} failed:\n{path.read_text()}")
            path.unlink()

    # ---- what is done to them

    def kill(self, member: Member) -> None:
        """SIGKILL; returns when the kernel has done its part."""
        member.send(signal.SIGKILL)
        if not member.has_ended(_SECONDS_TO_DIE):
            self.complaints.append(f"process {member.pid} survives SIGKILL")
        self.deaths[member.number] = self.bus.position
        self._remove(member)
        self.deeds.kills += 1

    def stop(self, member: Member, seconds: float) -> None:
        """SIGSTOP, for a while."""
        member.send(signal.SIGSTOP)
        member.continues = time.monotonic() + seconds
        self.deeds.stops += 1

    def fork(self, member: Member) -> None:
        """Asks it to."""
        member.send(FORK)

    def leave(self, member: Member) -> None:
        """Asks it to end by itself."""
        member.send(LEAVE)

    def continue_all(self, now: float) -> None:
        """Those that have been stopped for long enough by then."""
        for member in self.members:
            if member.continues is not None and member.continues <= now:
                member.continues = None
                member.send(signal.SIGCONT)

    def kill_all(self) -> None:
        """Whatever happened: nobody is left, not even who has not been found."""
        deadline = time.monotonic() + _SECONDS_TO_DIE
        self.look()
        while (self.members or self._started) and time.monotonic() < deadline:
            for pid in self._started:  # our own children, not reaped: no other process has this pid
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for member in self.members:
                member.send(signal.SIGKILL)
            time.sleep(0.005)
            self.look()
        self._reap()


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
