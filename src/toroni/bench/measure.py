"""One measurement. It has a coordinator, a process of its own in a process group of its own: whatever a library does to
it, or to its publishers and subscribers, the benchmark goes on, and can end them all at once."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from toroni.bench import burst_roles, roles
from toroni.bench.leftovers import Leftovers
from toroni.bench.library import Library
from toroni.bench.processes import Child, Crew, MeasurementError, signals_held
from toroni.bench.results import Outcome, burst_outcome, latency_outcome, rate_outcome
from toroni.bench.workloads import Kind, Scale, Workload

_CLOSING = 2.0  # seconds for the coordinator to close the channel, after the timeout of the measurement
_HEAD_START = 20_000_000  # nanoseconds from telling the publishers when they start until they do
_numbers = itertools.count(1)


def measure(library: Library, workload: Workload, scale: Scale) -> Outcome:
    """Measures in new processes. What goes wrong is in the outcome; no process and no file is left.

    Raises:
        KeyboardInterrupt: or whatever else ends this process while it waits; nothing is left then, too.
    """
    name = f"bench-{os.getpid()}-{secrets.token_hex(3)}-{next(_numbers)}"
    leftovers = Leftovers(name)
    coordinator: Child | None = None
    try:
        with signals_held():
            coordinator = Child("the measurement", _coordinate, library, workload, scale, name)
        if not coordinator.pipe.poll(scale.timeout + _CLOSING):
            return Outcome(error="the measurement hangs")
        coordinator.listen()
        if not coordinator.inbox:
            return Outcome(error="the measurement ended without a result")
        outcome = coordinator.inbox.pop()
        assert isinstance(outcome, Outcome)
        wait([coordinator.process.sentinel], _CLOSING)
        return outcome
    except MeasurementError as error:
        return Outcome(error=str(error))
    finally:
        if coordinator is not None:
            _end(coordinator, leftovers)
        leftovers.remove()


def _end(coordinator: Child, leftovers: Leftovers) -> None:
    group = coordinator.process.pid  # nobody else's, since the coordinator's status has not been fetched
    assert group is not None
    leftovers.note(group)
    with suppress(ProcessLookupError):  # it has no group of its own yet, or nobody is left in it
        os.killpg(group, signal.SIGKILL)
    coordinator.end()


def _coordinate(pipe: Connection, library: Library, workload: Workload, scale: Scale, name: str) -> None:
    os.setsid()
    leftovers = Leftovers(name)
    with open(os.devnull, "r+b") as null:  # what libraries say would be written into our table
        for descriptor in (0, 1, 2):
            os.dup2(null.fileno(), descriptor)
    try:
        run = _ping_pong if workload.kind is Kind.PING_PONG else _one_channel
        outcome = run(library, workload, scale, leftovers)
    except MeasurementError as error:
        outcome = Outcome(error=str(error))
    leftovers.remove()
    pipe.send(outcome)


@dataclass(frozen=True)
class _Play:
    """What the processes on one channel do, and what to make of what they report: (workload, sent, received)."""

    subscribe: Callable[..., None]
    publish: Callable[..., None]
    conclude: Callable[[Workload, list[Any], list[Any]], Outcome]


_BURST = _Play(burst_roles.read, burst_roles.write, lambda _, sent, received: burst_outcome(sent, received))
_PLAYS = {
    Kind.RATE: _Play(
        roles.subscribe,
        roles.publish,
        lambda workload, sent, received: rate_outcome(sent, received, workload.shows_one_order),
    ),
    Kind.ONE_WAY: _Play(
        roles.receive_paced, roles.send_paced, lambda _, sent, received: latency_outcome(received[0], sent[0])
    ),
    Kind.BURST: _BURST,
    Kind.BURST_LATENCY: _BURST,
}


def _one_channel(library: Library, workload: Workload, scale: Scale, leftovers: Leftovers) -> Outcome:
    play = _PLAYS[workload.kind]
    with (
        _channel(library, workload, leftovers.name) as channel,
        Crew(time.monotonic() + scale.timeout, leftovers) as crew,
    ):
        subscribers = crew.start("subscriber", workload.subscribers, play.subscribe, library, channel, workload, scale)
        publishers = crew.start("publisher", workload.publishers, play.publish, library, channel, workload, scale)
        for _ in range(scale.turns(workload)):
            _start(crew, [*subscribers, *publishers])
        received = crew.hear(subscribers)
        sent = crew.hear(publishers)
    return play.conclude(workload, sent, received)


def _ping_pong(library: Library, workload: Workload, scale: Scale, leftovers: Leftovers) -> Outcome:
    there, back = _channel(library, workload, f"{leftovers.name}-a"), _channel(library, workload, f"{leftovers.name}-b")
    with there as first, back as second, Crew(time.monotonic() + scale.timeout, leftovers) as crew:
        channels = (first, second)
        pongs = crew.start("the answering process", 1, roles.pong, library, channels, workload, scale)
        pings = crew.start("the asking process", 1, roles.ping, library, channels, workload, scale)
        _start(crew, [*pongs, *pings])
        (took,) = crew.hear(pings)
        crew.hear(pongs)
    return latency_outcome(took, scale.round_trips)


def _start(crew: Crew, everybody: list[Child]) -> None:
    crew.hear(everybody)
    crew.note_files()
    crew.tell(everybody, time.monotonic_ns() + _HEAD_START)


@contextmanager
def _channel(library: Library, workload: Workload, name: str) -> Iterator[Any]:
    try:
        channel = library.open(workload.setup(name))
    except Exception as error:
        raise MeasurementError(f"no channel: {type(error).__name__}: {error}") from error
    try:
        yield channel
    except BaseException:
        with suppress(Exception):  # the first error is the one to be told
            library.close(channel)
        raise
    try:
        library.close(channel)
    except Exception as error:
        raise MeasurementError(f"closing the channel: {type(error).__name__}: {error}") from error
