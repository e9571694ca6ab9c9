"""What writer and reader processes have in common: how they begin, fork, leave, and end without their driver."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import shutil
import signal
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from toroni import ToroniError, unlink
from toroni.testing.chaos.log import Kind, LogFile, Record, Role, from_bytes
from toroni.testing.chaos.plan import Setting

LEAVE, FORK, _ORPHANED = signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2
# What a process holds is compared from then on: its memory of topics is full of what it needs always.
_DEEDS_TO_WARM_UP = 200
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Makes this process the parent of all descendants whose own parent dies."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def _control(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class LeakError(Exception):
    """A process that leaves holds more than it did after its beginning."""


@dataclass(frozen=True)
class Use:
    """What this process holds."""

    descriptors: int
    threads: int
    kibibytes: int

    @staticmethod
    def now() -> Use:
        """What it holds now, without garbage."""
        gc.collect()
        resident = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
        return Use(len(os.listdir("/proc/self/fd")), threading.active_count(), resident)


class Process:
    """This process, which a signal may end, fork or ask to leave at any moment; asked, it acts between two calls."""

    def __init__(self, setting: Setting, role: Role) -> None:
        self.setting, self.role = setting, role
        self.is_leaving = self.wants_fork = False
        self._use: Use | None = None
        signal.signal(LEAVE, self._leave)
        signal.signal(FORK, self._fork)
        self._begin(parent=0)

    def _begin(self, parent: int) -> None:
        signal.signal(_ORPHANED, self._end_if_orphaned)
        _control(_PR_SET_PDEATHSIG, _ORPHANED)
        self._end_if_orphaned()
        self.log = LogFile(self.setting.directory, self.role, parent)
        self.number = self.log.number
        self.chooser = Random(self.setting.seed * 10_000 + self.number)
        self._deeds, self._use, self._growth = 0, None, 0

    def _leave(self, number: int, frame: object) -> None:
        self.is_leaving = True

    def _fork(self, number: int, frame: object) -> None:
        self.wants_fork = True

    def _end_if_orphaned(self, number: int = 0, frame: object = None) -> None:
        """A parent died. If it was the driver, nobody else removes the bus, nor continues who is stopped.

        Its pid would not tell: for a moment another thread of a dead parent may be the parent.
        """
        lifeline = select.poll()
        lifeline.register(self.setting.lifeline[0], select.POLLIN)
        if not lifeline.poll(0):
            return
        for path in self.setting.directory.glob("*.log"):
            with contextlib.suppress(OSError, IndexError):
                os.kill(from_bytes(path.read_bytes()[:64])[0].sequence, signal.SIGCONT)
        with contextlib.suppress(ToroniError):
            unlink(self.setting.bus)
        shutil.rmtree(self.setting.directory, ignore_errors=True)
        os._exit(1)

    def has_forked(self) -> bool:
        """After each deed: forks if asked to. True in the child, which has a log of its own from here on."""
        self._deeds += 1
        if self._deeds == _DEEDS_TO_WARM_UP:
            self._use = Use.now()
        if not self.wants_fork:
            return False
        self.wants_fork = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forks with threads: the very subject
            if os.fork() != 0:
                return False
        self.log.close()
        self._begin(parent=self.number)
        return True

    def weigh(self) -> None:
        """Before it closes what it has open.

        Raises:
            LeakError: more descriptors or threads than after its first deeds.
        """
        if self._use is None:
            return
        now = Use.now()
        self._growth = max(0, now.kibibytes - self._use.kibibytes)
        if now.descriptors > self._use.descriptors or now.threads > self._use.threads:
            raise LeakError(f"{self._use} after {_DEEDS_TO_WARM_UP} deeds, {now} after {self._deeds}")

    def end(self) -> None:
        """The last record."""
        self.log.add(Record(Kind.END, self.number, size=self._growth))


def start(setting: Setting, run: Callable[[Setting], None]) -> int:
    """Runs a function in a forked child. Returns its pid. What it raises is in a file beside the logs."""
    child = os.fork()
    if child != 0:
        return child
    status = 1
    try:
        os.close(setting.lifeline[1])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the driver ends all others
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forked children leave no zombies
        run(setting)
        status = 0
    except BaseException:
        (setting.directory / f"{os.getpid()}.failed").write_text(traceback.format_exc())
    finally:
        os._exit(status)
