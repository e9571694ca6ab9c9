"""Processes of the tests: each runs one function and talks to the test over a pipe."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 60.0  # seconds; only a failing test waits this long

_spawn = multiprocessing.get_context("spawn")


class Peer:
    """Another process, as the test sees it."""

    def __init__(self, function: Callable[..., None], *arguments: object) -> None:
        self.pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_run, args=(function, theirs, arguments), daemon=True)
        self.process.start()
        self.is_forgotten = False
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def send(self, value: object) -> None:
        self.pipe.send(value)

    def receive(self, timeout: float = PATIENCE) -> Any:
        """What the process sends next; fails if it ends, fails or says nothing."""
        assert self.pipe.poll(timeout), f"process {self.pid} said nothing for {timeout} s"
        value = self.pipe.recv()
        if isinstance(value, _Failure):
            raise AssertionError(f"process {self.pid} failed:\n{value.text}")
        return value

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has done its part."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.join(PATIENCE)
        assert self.process.exitcode == -signal.SIGKILL

    def join(self) -> None:
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0, f"process {self.pid} ended with {self.process.exitcode}"

    def forget(self) -> None:
        """After its end: gives back what the test holds of it."""
        self.process.close()
        self.pipe.close()
        self.is_forgotten = True


class _Failure:
    def __init__(self, text: str) -> None:
        self.text = text


def _run(function: Callable[..., None], pipe: Connection, arguments: tuple[object, ...]) -> None:
    try:
        function(pipe, *arguments)
    except BaseException:
        pipe.send(_Failure(traceback.format_exc()))
        raise


@contextmanager
def peers() -> Iterator[Callable[..., Peer]]:
    """Starts processes, and ends those that are left."""
    started: list[Peer] = []

    def start(function: Callable[..., None], *arguments: object) -> Peer:
        started.append(Peer(function, *arguments))
        return started[-1]

    try:
        yield start
    finally:
        for peer in started:
            if peer.is_forgotten:
                continue
            peer.process.kill()
            peer.process.join(PATIENCE)
            peer.pipe.close()


def in_child(function: object) -> int:
    """Run in a forked child; its exit status."""
    assert callable(function)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
