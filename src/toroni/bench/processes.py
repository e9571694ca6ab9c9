"""The processes of one measurement, seen from its coordinator."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from toroni.bench._floors import die_with_parent
from toroni.bench.leftovers import Leftovers

spawn = multiprocessing.get_context("spawn")
_DYING = 2.0  # seconds from a closed pipe to the end of the process
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class MeasurementError(Exception):
    """There is no figure; the text says why, for the row of the result."""


class Failure:
    """What a process sends when it fails. (An exception of any library may not be picklable.)"""

    def __init__(self, error: BaseException) -> None:
        text = " ".join(str(error).split())[:300]
        self.text = str(error) if isinstance(error, MeasurementError) else f"{type(error).__name__}: {text}"


@contextmanager
def signals_held() -> Iterator[None]:
    """Nothing is interrupted half-way in this block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Child:
    """A process that runs one function, and the pipe to it."""

    def __init__(self, name: str, function: Callable[..., None], *arguments: object) -> None:
        self.name = name
        self.is_done = False
        self.inbox: list[Any] = []
        self.pipe, theirs = spawn.Pipe()
        try:
            self.process = spawn.Process(target=_run, args=(os.getpid(), function, theirs, arguments))
            self.process.start()
        finally:
            theirs.close()

    def listen(self) -> None:
        """Takes what it has sent into the inbox, or notes that it is done.

        Raises:
            MeasurementError: it failed.
        """
        try:
            value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            if (code := self._exit_code()) != 0:
                raise MeasurementError(f"{self.name} {_described(code)}") from None
            self.is_done = True
            return
        if isinstance(value, Failure):
            raise MeasurementError(f"{self.name}: {value.text}")
        self.inbox.append(value)

    def _exit_code(self) -> int | None:
        """Like Process.exitcode, but leaves the process to be waited for: its id is not given to others."""
        assert self.process.pid is not None
        deadline = time.monotonic() + _DYING
        try:  # a process's pipes, the sentinel among them, are closed a moment before it has ended
            while not (found := os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.001)
        except ChildProcessError:  # multiprocessing was faster
            return self.process.exitcode
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def end(self) -> None:
        """Kills it if it is still there."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


def _described(code: int | None) -> str:
    if code is None:
        return "has closed its pipe"
    return f"ended with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


class Crew:
    """All children of one measurement. Leaving the block ends them, and waits for those that are done."""

    def __init__(self, deadline: float, leftovers: Leftovers) -> None:
        self._deadline, self._leftovers = deadline, leftovers
        self._children: list[Child] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.note_files()
        for child in self._children:
            if kind is None:  # what it still does belongs to closing
                child.process.join(max(0.0, min(2.0, self._deadline - time.monotonic())))
            child.end()

    def note_files(self) -> None:
        """Notes what it uses now, to be removed in the end. The next moment one may die and leave it behind."""
        self._leftovers.note(os.getpgrp())

    def start(self, name: str, count: int, function: Callable[..., None], *arguments: Any) -> list[Child]:
        """`count` processes that run function(pipe, library, channel, index, ...)."""
        library, channel, *others = arguments
        started = []
        for index in range(count):
            label = name if count == 1 else f"{name} {index}"
            started.append(Child(label, function, library, channel, index, *others))
            self._children.append(started[-1])
        return started

    def hear(self, children: Sequence[Child]) -> list[Any]:
        """What each of these sends next.

        Raises:
            MeasurementError: one of the whole crew failed, or one of these says nothing until the deadline.
        """
        while waiting := [child for child in self._children if child in children and not child.inbox]:
            open_pipes = {child.pipe: child for child in self._children if not child.is_done}
            rest = max(0.0, self._deadline - time.monotonic())
            ready = connection.wait(list(open_pipes), timeout=rest)
            if not ready:
                raise MeasurementError(f"{', '.join(child.name for child in waiting)} did not go on in time")
            for child in (child for pipe, child in open_pipes.items() if pipe in ready):
                child.listen()
                if child.is_done and child in waiting and not child.inbox:
                    raise MeasurementError(f"{child.name} ended too soon")
        return [child.inbox.pop(0) for child in children]

    @staticmethod
    def tell(children: Sequence[Child], value: object) -> None:
        """Sends it to each."""
        for child in children:
            try:
                child.pipe.send(value)
            except OSError:
                child.listen()  # says why


def _run(parent: int, function: Callable[..., None], pipe: Connection, arguments: Sequence[object]) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    try:
        function(pipe, *arguments)
    except BaseException as error:
        pipe.send(Failure(error))
        raise SystemExit(1) from None
