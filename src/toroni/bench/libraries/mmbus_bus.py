"""mmbus: `Bus.topic` handles (its docstring: "for hot publish loops"), `publish` or `publish_many`, then
`recv_timeout` or `recv_batch`. A full ring raises BusFullError, and "the caller retries". The write-ahead log is off,
as its docstring says for "bare-ring perf". A topic has one publisher, so each publisher has a topic of its own; a
subscriber to several waits as `AsyncSubscription` does: arm, look again, wait for the file descriptors.
"""

from __future__ import annotations

import select
import shutil
import time
from collections.abc import Sequence
from typing import Any

from toroni.bench.libraries._common import PATIENCE, PAUSE, room
from toroni.bench.library import Payload, Setup

_AT_ONCE = 1000  # messages a receive_many


def _directory(setup: Setup) -> str:
    return f"/dev/shm/{setup.name}"


def _bus(setup: Setup) -> Any:
    from mmbus import Bus  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return Bus("bench", base_dir=_directory(setup), capacity=room(setup.size), slot_size=setup.size, wal_enabled=False)


class _Publisher:
    def __init__(self, setup: Setup, index: int) -> None:
        from mmbus import BusFullError  # type: ignore[import-not-found,import-untyped,unused-ignore]

        self._full = BusFullError
        self._topic: Any = _bus(setup).topic(str(index))
        self._topic.wait_for_subscribers(setup.subscribers, timeout_secs=PATIENCE)

    def publish(self, message: bytes) -> None:
        while True:
            try:
                self._topic.publish(message)
                return
            except self._full:
                time.sleep(PAUSE)

    def publish_many(self, messages: Sequence[bytes]) -> None:
        rest = list(messages)
        while rest:
            written: int = self._topic.publish_many(rest)
            rest = rest[written:]
            if rest:
                time.sleep(PAUSE)

    def close(self) -> None:
        self._topic = None  # releases the topic


class _Subscriber:
    def __init__(self, setup: Setup) -> None:
        bus = _bus(setup)
        self._topics: list[Any] = [
            bus.subscribe(str(index), timeout_secs=PATIENCE) for index in range(setup.publishers)
        ]
        self._next = 0
        self._poll = select.poll()
        self._by_descriptor = {topic.fileno(): topic for topic in self._topics}
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.POLLIN)

    def receive(self, timeout: float) -> Payload | None:
        if len(self._topics) == 1:
            try:
                message: bytes | None = self._topics[0].recv_timeout(timeout)
                return message
            except OSError:  # the publisher has closed; the ring stays
                pass
        messages = self._receive_from_several(1, timeout)
        return messages[0] if messages else None

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        if len(self._topics) == 1:
            try:
                messages: list[bytes] = self._topics[0].recv_batch(_AT_ONCE, timeout)
                return messages
            except OSError:  # the publisher has closed; the ring stays
                pass
        return self._receive_from_several(_AT_ONCE, timeout)

    def _receive_from_several(self, most: int, timeout: float) -> list[bytes]:
        deadline = time.monotonic() + timeout
        while True:
            for _ in self._topics:
                topic = self._topics[self._next]
                self._next = (self._next + 1) % len(self._topics)
                message: bytes | None = topic.try_recv()
                if message is not None:
                    rest: list[bytes] = topic.recv_batch(most - 1, 0.0) if most > 1 else []
                    return [message, *rest]
            if any([topic.arm_wakeup() for topic in self._topics]):  # a list: all have to be armed
                continue
            ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                return []
            for descriptor, _ in ready:
                self._by_descriptor[descriptor].drain_wakeup()

    def close(self) -> None:
        self._by_descriptor.clear()
        self._topics.clear()


class MmbusBus:
    """`mmbus.Bus`."""

    module: str | None = "mmbus"
    polls = False

    def __init__(self, batches: bool) -> None:
        self.name = "mmbus, batches" if batches else "mmbus"
        self.batches = batches

    def open(self, setup: Setup) -> Setup:
        """Nothing: publishers make the topics."""
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Makes its topic and waits for all subscribers."""
        return _Publisher(channel, index)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Subscribes to each publisher's topic, when it is there."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Removes the files."""
        shutil.rmtree(_directory(channel), ignore_errors=True)
