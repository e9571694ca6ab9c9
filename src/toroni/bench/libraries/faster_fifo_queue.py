"""faster-fifo, one queue for each subscriber, with `put_many` and `get_many`: "multiple messages at once for the price
of a single lock" (its README). A full queue blocks; the README catches `Full` and tries again. The payload is bytes,
so pickle is replaced by the "custom serializers" of the README's notes on v1.3.1, which is twice as fast.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from toroni.bench.libraries._common import room
from toroni.bench.library import Payload, Setup

_OVERHEAD = 64  # bytes a message, for the length in front and to spare
_LEAST = 1_000_000  # bytes of a queue: the README's

Channel = tuple[Setup, list[Any]]


def _capacity(setup: Setup) -> int:
    return max(_LEAST, room(setup.size) * (setup.size + _OVERHEAD))


def _as_is(message: bytes) -> bytes:
    return message


class _Publisher:
    def __init__(self, setup: Setup, queues: list[Any]) -> None:
        self._queues = queues
        self._at_once = max(1, _capacity(setup) // 2 // (setup.size + _OVERHEAD))  # more would never fit

    def publish(self, message: bytes) -> None:
        self._put([message])

    def publish_many(self, messages: Sequence[bytes]) -> None:
        for start in range(0, len(messages), self._at_once):
            self._put(messages[start : start + self._at_once])

    def _put(self, messages: Sequence[bytes]) -> None:
        for queue_of_one in self._queues:
            while True:
                try:
                    queue_of_one.put_many(messages)
                    break
                except queue.Full:
                    continue

    def close(self) -> None:
        pass  # the memory belongs to all


class _Subscriber:
    def __init__(self, own: Any) -> None:
        self._queue = own

    def receive(self, timeout: float) -> Payload | None:
        try:
            message: bytes = self._queue.get(timeout=timeout)
        except queue.Empty:
            return None
        return message

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        try:
            messages: list[bytes] = self._queue.get_many(timeout=timeout)
        except queue.Empty:
            return []
        return messages

    def close(self) -> None:
        pass


class FasterFifoQueue:
    """`faster_fifo.Queue`."""

    name = "faster-fifo, batches"
    module: str | None = "faster_fifo"
    batches = True
    polls = False

    def open(self, setup: Setup) -> Channel:
        """Makes a queue for each subscriber."""
        import faster_fifo  # type: ignore[import-not-found,import-untyped,unused-ignore]

        capacity = _capacity(setup)
        return setup, [faster_fifo.Queue(capacity, loads=bytes, dumps=_as_is) for _ in range(setup.subscribers)]

    def publisher(self, channel: Channel, index: int) -> _Publisher:
        """Puts into all of them."""
        return _Publisher(*channel)

    def subscriber(self, channel: Channel, index: int) -> _Subscriber:
        """Gets from its own."""
        return _Subscriber(channel[1][index])

    def close(self, channel: Channel) -> None:
        """Drops the queues' anonymous memory."""
        for queue_of_one in channel[1]:
            queue_of_one.close()
        channel[1].clear()
