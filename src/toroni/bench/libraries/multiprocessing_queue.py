"""multiprocessing.Queue, one for each subscriber, `put` and `get` as in the Python documentation, "Exchanging objects
between processes". Bounded, as a publisher's feeder thread would otherwise hoard messages; a full queue blocks `put`.
"""

from __future__ import annotations

import multiprocessing
import queue
from multiprocessing.queues import Queue

from toroni.bench.libraries._common import OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

Channel = list["Queue[bytes]"]  # not subscriptable when run


class _Publisher(OneByOnePublisher):
    def __init__(self, queues: Channel) -> None:
        self._queues = queues

    def publish(self, message: bytes) -> None:
        for queue_of_one in self._queues:
            queue_of_one.put(message)

    def close(self) -> None:
        for queue_of_one in self._queues:
            queue_of_one.close()
            queue_of_one.join_thread()  # the documented way to flush the feeder thread


class _Subscriber(OneByOneSubscriber):
    def __init__(self, own: Queue[bytes]) -> None:
        self._queue = own

    def receive(self, timeout: float) -> Payload | None:
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._queue.close()


class MultiprocessingQueue:
    """`multiprocessing.Queue`."""

    name = "multiprocessing.Queue"
    module: str | None = None
    batches = False
    polls = False

    def open(self, setup: Setup) -> Channel:
        """Makes a queue for each subscriber."""
        context = multiprocessing.get_context("spawn")
        return [context.Queue(room(setup.size)) for _ in range(setup.subscribers)]

    def publisher(self, channel: Channel, index: int) -> _Publisher:
        """Puts into all of them."""
        return _Publisher(channel)

    def subscriber(self, channel: Channel, index: int) -> _Subscriber:
        """Gets from its own."""
        return _Subscriber(channel[index])

    def close(self, channel: Channel) -> None:
        """Drops the queues, and with them their named semaphores."""
        for queue_of_one in channel:
            queue_of_one.close()
        channel.clear()
