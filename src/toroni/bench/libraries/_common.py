"""Terms that all adapters share, and the batch half of the protocol for libraries that have no batches."""

from __future__ import annotations

from collections.abc import Sequence

from toroni.bench.library import Payload

PATIENCE = 30.0  # seconds that a constructor waits for the other ends to appear
PAUSE = 50e-6  # seconds that a publisher sleeps when the library says "full", a subscriber that polls when it is empty
_ROOM = 4 << 20  # bytes, as ours has: a ring that fits into the processor's cache is several times faster
_ROOM_TO_LOSE = 64 << 20  # bytes, where a slow subscriber loses messages


def room(size: int, most: int = 4096, *, loses: bool = False) -> int:
    """How many messages of `size` bytes a queue shall hold: 4 MiB of them, or 64; at least 8, at most `most`."""
    return max(8, min(most, (_ROOM_TO_LOSE if loses else _ROOM) // size))


class OneByOnePublisher:
    """Publishes singly."""

    def publish(self, message: bytes) -> None:
        """Sends one message."""
        raise NotImplementedError

    def publish_many(self, messages: Sequence[bytes]) -> None:
        """Sends them one after the other."""
        for message in messages:
            self.publish(message)


class OneByOneSubscriber:
    """Receives singly."""

    def receive(self, timeout: float) -> Payload | None:
        """The next message."""
        raise NotImplementedError

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        """The next message as a batch of one."""
        message = self.receive(timeout)
        return [] if message is None else [message]
