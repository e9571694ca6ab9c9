"""Ours without topics: the raw stream of `toroni.rmp`, `write_many` and `read_many`."""

from __future__ import annotations

from collections.abc import Sequence

from toroni import Wait, rmp
from toroni.bench.libraries.toroni_bus import ToroniBus
from toroni.bench.library import Payload, Publisher, Setup, Subscriber


class _Publisher:
    def __init__(self, setup: Setup) -> None:
        self._stream = rmp.Stream(setup.name, backpressure=Wait(None))
        self.publish_many = self._stream.write_many

    def publish(self, message: bytes) -> None:
        self._stream.write(message)

    def close(self) -> None:
        self._stream.close()


class RmpSubscriber:
    """Opens the stream, and takes messages as objects."""

    def __init__(self, setup: Setup) -> None:
        self._stream = rmp.Stream(setup.name)
        self.reader = self._stream.reader()

    def receive(self, timeout: float) -> Payload | None:
        """By `read`."""
        return self.reader.read(timeout)

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        """By `read_many`."""
        return self.reader.read_many(timeout=timeout)

    def close(self) -> None:
        """With its stream."""
        self._stream.close()


class ToroniRmp(ToroniBus):
    """`toroni.rmp.Stream`. What is opened and removed is the same."""

    def __init__(self) -> None:
        super().__init__(batches=True)
        self.name = "toroni.rmp, batches"

    def publisher(self, channel: Setup, index: int) -> Publisher:
        """Opens it to write."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> Subscriber:
        """Opens it to read."""
        return RmpSubscriber(channel)
