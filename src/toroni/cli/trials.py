"""What `toroni doctor` tries on a bus of its own: messages between processes, and the death of one."""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from toroni import Bus, Reader, ToroniError, unlink
from toroni.cli.findings import Finding, ok, problem, problem_of, warning

_PATIENCE_SECONDS = 20.0
_DEATH_SECONDS = 2.0
_ROUNDS = 3
# Whoever is not woken looks by itself once a second.
_NOT_WOKEN_SECONDS = 0.5


def trials() -> Iterator[tuple[str, Finding]]:
    """The name of each check and what it found; those that need what failed before are left out."""
    with ExitStack() as stack:
        try:
            bus, reader, child = stack.enter_context(_bus_and_child())
        except (ToroniError, OSError, _ChildFailed) as error:
            yield "making-a-bus", problem_of(error)
            return
        yield "making-a-bus", ok("made, opened by two processes, and removed")
        found = _messages(bus, reader, child)
        yield "messages", found
        yield "deaths", _deaths(bus, child)


class _ChildFailed(Exception):
    pass


@contextmanager
def _bus_and_child() -> Iterator[tuple[Bus, Reader, subprocess.Popen[str]]]:
    name = f"doctor-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        bus = stack.enter_context(Bus(name, capacity="64 KiB", max_readers=4))
        stack.callback(unlink, name)
        reader = stack.enter_context(bus.subscribe("/answer", label="toroni doctor"))
        child = stack.enter_context(_child(name))
        unlink(name)  # both have it open; if we are killed, nothing is left
        yield bus, reader, child


@contextmanager
def _child(name: str) -> Iterator[subprocess.Popen[str]]:
    """Ready; in a session of its own, so that Ctrl-C is ours alone."""
    path = os.pathsep.join(map(os.path.abspath, sys.path))  # as we found toroni
    child = subprocess.Popen(
        [sys.executable, "-m", "toroni.cli.doctor_child", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with child:
        try:
            assert child.stdout is not None
            is_heard, _, _ = select.select([child.stdout], [], [], _PATIENCE_SECONDS)
            if not is_heard:
                raise _ChildFailed(f"another process did not open the bus within {_PATIENCE_SECONDS:.0f} s")
            if child.stdout.readline() != "ready\n":
                raise _ChildFailed(f"another process could not open the bus: {_last_line(child)}")
            yield child
        finally:
            child.kill()


def _last_line(child: subprocess.Popen[str]) -> str:
    _, said = child.communicate()
    return (said.strip().splitlines() or [f"it ended with status {child.returncode}"])[-1]


def _messages(bus: Bus, reader: Reader, child: subprocess.Popen[str]) -> Finding:
    """To a process that sleeps, and back."""
    seconds = []
    for number in range(_ROUNDS):
        _wait_until(lambda: any(one.pid == child.pid and one.waiting for one in bus.readers()), _PATIENCE_SECONDS)
        before = time.monotonic()
        bus.post("/question", b"%d" % number)
        answer = reader.recv(timeout=_PATIENCE_SECONDS)
        seconds.append(time.monotonic() - before)
        if answer is None or answer.data != b"%d" % number:
            text = f"no answer from another process within {_PATIENCE_SECONDS:.0f} s"
            return problem(text, "try outside of a sandbox: one that changes mmap or futex cannot run toroni")
    if min(seconds) > _NOT_WOKEN_SECONDS:
        text = f"a sleeping process is not woken: it answered only after {min(seconds):.1f} s"
        remedy = "try outside of a sandbox (futexes across processes do not work), or make buses with notifier='poll'"
        return warning(text, remedy)
    return ok(f"a sleeping process was woken by futex and had answered after {min(seconds) * 1e6:.0f} us")


def _deaths(bus: Bus, child: subprocess.Popen[str]) -> Finding:
    """Whether the kernel tells that the owner of a lock has died, even killed."""
    child.kill()
    child.wait()
    if _wait_until(lambda: any(one.pid == child.pid and not one.alive for one in bus.readers()), _DEATH_SECONDS):
        return ok("a reader that was killed is known to be dead, so that it holds up no writer")
    text = f"a killed reader still counted as alive after {_DEATH_SECONDS:.0f} s, and would hold up writers"
    return problem(text, "try outside of a sandbox: this kernel does not do robust futexes (set_robust_list(2))")


def _wait_until(met: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
