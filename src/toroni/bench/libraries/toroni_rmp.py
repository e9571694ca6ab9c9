"""Ours without topics: the raw stream of `toroni.rmp`, `write_many` and `read_many`."""

from __future__ import annotations

from collections.abc import Sequence

from toroni import Wait, rmp
from toroni.bench.libraries.toroni_bus import capacity
from toroni.bench.library import Payload, Setup


class _Publisher:
    def __init__(self, setup: Setup) -> None:
        self._stream = rmp.Stream(setup.name, backpressure=Wait(None))
        self.publish_many = self._stream.write_many

    def publish(self, message: bytes) -> None:
        self._stream.write(message)

    def close(self) -> None:
        self._stream.close()


class _Subscriber:
    def __init__(self, setup: Setup) -> None:
        self._stream = rmp.Stream(setup.name)
        self._reader = self._stream.reader()

    def receive(self, timeout: float) -> Payload | None:
        return self._reader.read(timeout)

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        return self._reader.read_many(timeout=timeout)

    def close(self) -> None:
        self._stream.close()


class ToroniRmp:
    """`toroni.rmp.Stream`."""

    name = "toroni.rmp, batches"
    module: str | None = None
    batches = True
    polls = False

    def open(self, setup: Setup) -> Setup:
        """Makes the stream."""
        rmp.Stream(setup.name, capacity=capacity(setup)).close()
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Opens it to write."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Opens it to read."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Removes it."""
        rmp.unlink(channel.name)
