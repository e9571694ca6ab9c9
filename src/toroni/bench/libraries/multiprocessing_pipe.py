"""multiprocessing.Pipe, one for each pair of publisher and subscriber, as in the Python documentation: `send_bytes`,
`recv_bytes`, and `multiprocessing.connection.wait` for "reading from multiple connections". A full pipe blocks.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from multiprocessing.connection import Connection, wait

from toroni.bench.libraries._common import OneByOnePublisher, OneByOneSubscriber
from toroni.bench.library import Payload, Setup

Channel = list[list[tuple[Connection, Connection]]]  # [publisher][subscriber] -> receiving end, sending end


class _Publisher(OneByOnePublisher):
    def __init__(self, channel: Channel, index: int) -> None:
        self._connections = [sending for _, sending in channel[index]]

    def publish(self, message: bytes) -> None:
        for connection in self._connections:
            connection.send_bytes(message)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class _Subscriber(OneByOneSubscriber):
    def __init__(self, channel: Channel, index: int) -> None:
        self._connections = [pairs[index][0] for pairs in channel]
        self._ready: deque[Connection] = deque()

    def receive(self, timeout: float) -> Payload | None:
        if not self._ready:
            # the stubs let wait return sockets as well
            self._ready.extend(ready for ready in wait(self._connections, timeout) if isinstance(ready, Connection))
            if not self._ready:
                return None
        return self._ready.popleft().recv_bytes()

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class MultiprocessingPipe:
    """`multiprocessing.Pipe`."""

    name = "multiprocessing.Pipe"
    module: str | None = None
    batches = False
    polls = False

    def open(self, setup: Setup) -> Channel:
        """Makes a pipe for each pair."""
        context = multiprocessing.get_context("spawn")
        return [[context.Pipe(duplex=False) for _ in range(setup.subscribers)] for _ in range(setup.publishers)]

    def publisher(self, channel: Channel, index: int) -> _Publisher:
        """Sends into its pipes."""
        return _Publisher(channel, index)

    def subscriber(self, channel: Channel, index: int) -> _Subscriber:
        """Receives from its pipes."""
        return _Subscriber(channel, index)

    def close(self, channel: Channel) -> None:
        """Closes this process's copies of the ends."""
        for pairs in channel:
            for receiving, sending in pairs:
                receiving.close()
                sending.close()
