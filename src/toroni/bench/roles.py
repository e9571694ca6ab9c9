"""What the processes of a measurement do. Each runs one function, and talks to the coordinator over a pipe:

    subscriber   -> READY   <- start     -> Received, or its latencies
    publisher    -> READY   <- start     -> how many it sent

All open the channel at the same time, since in some libraries either side waits for the other. `start` is a moment of
CLOCK_MONOTONIC, the same for all, when all are ready.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any

from toroni.bench import payload
from toroni.bench._floors import Checker
from toroni.bench.library import Delivers, Library, Publisher, PublishesEach, ReceivesColumns, Subscriber
from toroni.bench.results import Received
from toroni.bench.workloads import PACE, QUIET, Scale, Workload, batch_of, cycle_of

READY = "ready"
_TURN = 0.25  # seconds that one receive may take
_AT_ONCE = 100  # messages between two looks at the clock
_TIMES = struct.Struct("<Qq")  # of Kind.ONE_WAY: the number, and the moment of sending
_Pipe = Connection


class Publishing:
    """The part of a publisher that all workloads share."""

    def __init__(self, pipe: _Pipe, publisher: Publisher) -> None:
        self.publisher = publisher
        self.start = await_start(pipe)


def await_start(pipe: Connection) -> int:
    """Says that all is ready, and returns at the moment at which all start."""
    pipe.send(READY)
    start: int = pipe.recv()
    _sleep_until(start)
    return start


def publish(pipe: _Pipe, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """A publisher of Kind.RATE: all as fast as it can, until the time is over."""
    messages: list[Any] = payload.messages(index, cycle_of(workload), workload.size)
    messages.append(payload.last(index, workload.size))
    if workload.topics:
        messages = payload.addressed(messages, workload.topics)
    last = messages.pop()
    at_once = batch_of(workload) if library.batches else min(_AT_ONCE, batch_of(workload))
    batches = cycle([messages[first : first + at_once] for first in range(0, len(messages), at_once)])
    ready = Publishing(pipe, library.publisher(channel, index))
    publisher, deadline = ready.publisher, ready.start + int(scale.seconds * 1e9)
    send = publisher.publish_many if library.batches else _sending_each(publisher)
    sent, most = 0, scale.count(workload)
    while sent < most and time.monotonic_ns() < deadline:
        batch = next(batches)
        send(batch if len(batch) <= most - sent else batch[: most - sent])
        sent = min(sent + len(batch), most)
    send([last])
    publisher.close()
    pipe.send(sent)


def _sending_each(publisher: Publisher) -> Callable[[Sequence[Any]], object]:
    if isinstance(publisher, PublishesEach):
        return publisher.publish_each
    send = publisher.publish

    def send_each(messages: Sequence[Any]) -> None:
        for message in messages:
            send(message)

    return send_each


def subscribe(pipe: _Pipe, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """A subscriber of Kind.RATE: all until the last of each publisher, or until nothing comes."""
    subscriber = library.subscriber(channel, index)
    checker = Checker(workload.size, workload.publishers, cycle_of(workload))
    turn = _turn(subscriber, checker, library.batches)
    quiet = Quiet(pipe)
    while True:
        turn()
        if checker.ended or quiet.is_over(checker.last_time):
            break
    subscriber.close()
    pipe.send(_received(checker, quiet.start()))


def _turn(subscriber: Subscriber, checker: Checker, batches: bool) -> Callable[[], object]:
    """Takes messages as long as some come."""
    if not batches and isinstance(subscriber, Delivers):
        return partial(subscriber.deliver, checker.accept, _TURN)
    if batches and isinstance(subscriber, ReceivesColumns):
        return partial(_take_columns, subscriber, checker)
    accept: Callable[[Any], bool] = checker.accept_many if batches else checker.accept
    receive: Callable[[float], Any] = subscriber.receive_many if batches else subscriber.receive

    def take() -> None:
        while accept(receive(_TURN)):
            pass

    return take


def _take_columns(subscriber: ReceivesColumns, checker: Checker) -> None:
    more = True
    while more:
        columns = subscriber.receive_columns(_TURN)
        more = checker.accept_columns(columns.data, columns.offsets)


class Quiet:
    """Whether nothing has come for too long. Begins to count when the publishers do."""

    def __init__(self, pipe: _Pipe) -> None:
        pipe.send(READY)
        self._pipe, self._start = pipe, 0

    def start(self) -> int:
        """When the publishers started, or 0 if they have not."""
        if not self._start and self._pipe.poll():
            self._start = self._pipe.recv()
        return self._start

    def is_over(self, last: int) -> bool:
        """To be asked when a receive found nothing; `last`: when one found something, or 0."""
        start = self.start()
        return bool(start) and time.monotonic_ns() - max(start, last) > QUIET * 1e9


def _received(checker: Checker, start: int) -> Received:
    first, last, timed = checker.first_time, checker.last_time, checker.timed
    if timed == 0:  # all came in one batch
        first, timed = start, sum(checker.received_by)
    rate = timed / (last - first) * 1e9 if timed and last > first else None
    return Received(rate, checker.received_by, checker.damaged, checker.disordered, checker.order)


def send_paced(pipe: _Pipe, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """The publisher of Kind.ONE_WAY."""
    _stay_on(workload, 0)
    ready = Publishing(pipe, library.publisher(channel, index))
    send, rest = ready.publisher.publish, b"x" * (workload.size - _TIMES.size)
    for number in range(scale.paced):
        _sleep_until(ready.start + int((number + 1) * PACE * 1e9))
        send(_TIMES.pack(number, time.monotonic_ns()) + rest)
    ready.publisher.close()
    pipe.send(scale.paced)


def receive_paced(pipe: _Pipe, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """The subscriber of Kind.ONE_WAY; reports nanoseconds."""
    _stay_on(workload, 1)
    subscriber = library.subscriber(channel, index)
    quiet, took, number, arrived = Quiet(pipe), list[int](), -1, 0
    while number < scale.paced - 1:
        message = subscriber.receive(_TURN)
        if message is not None:
            arrived = time.monotonic_ns()
            number, sent = _TIMES.unpack_from(message)
            took.append(arrived - sent)
        elif quiet.is_over(arrived):
            break
    subscriber.close()
    pipe.send(took)


def _stay_on(workload: Workload, end: int) -> None:
    """One of the processors that we may use, if the workload says which: those of its publisher and its subscriber."""
    if workload.processors is not None:
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[workload.processors[end] % len(usable)]})


def ping(pipe: _Pipe, library: Library, channels: Any, index: int, workload: Workload, scale: Scale) -> None:
    """Sends on the first channel, waits for the answer on the second; reports half the nanoseconds."""
    publisher = library.publisher(channels[0], 0)  # in this order: the other process does it the other way round
    subscriber = library.subscriber(channels[1], 0)
    Publishing(pipe, publisher)
    took = []
    for number in range(scale.round_trips):
        message = payload.message(0, number, workload.size)
        start = time.monotonic_ns()
        publisher.publish(message)
        _answer(subscriber, message)
        took.append((time.monotonic_ns() - start) // 2)
    publisher.close()
    subscriber.close()
    pipe.send(took)


def pong(pipe: _Pipe, library: Library, channels: Any, index: int, workload: Workload, scale: Scale) -> None:
    """The other side of it."""
    subscriber = library.subscriber(channels[0], 0)
    publisher = library.publisher(channels[1], 0)
    Publishing(pipe, publisher)
    for number in range(scale.round_trips):
        message = payload.message(0, number, workload.size)
        _answer(subscriber, message)
        publisher.publish(message)
    publisher.close()
    subscriber.close()
    pipe.send(scale.round_trips)


def _answer(subscriber: Subscriber, expected: bytes) -> None:
    deadline = time.monotonic() + QUIET
    while (message := subscriber.receive(_TURN)) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("a message of the ping-pong was lost")
    if message[:8] != expected[:8] or len(message) != len(expected):
        raise RuntimeError("another message of the ping-pong came than was sent")


def _sleep_until(moment: int) -> None:
    rest = moment - time.monotonic_ns()
    if rest > 0:
        time.sleep(rest / 1e9)
