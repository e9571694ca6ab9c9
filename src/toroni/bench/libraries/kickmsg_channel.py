"""kickmsg: a shared region of type broadcast (N to N), `send`, and `receive` with a timeout, large messages as views
(its README: "avoiding memcpy for large payloads"). A subscriber's full ring drops; an exhausted pool of slots raises
BlockingIOError, after which the publisher tries again. Ring and pool are larger than in the README's quick start.
"""

from __future__ import annotations

import time
from typing import Any

from toroni.bench.libraries._common import PAUSE, OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

_VIEWED = 4096  # bytes from which a view costs less than a copy


def _name(setup: Setup) -> str:
    return f"/{setup.name}"


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup) -> None:
        from kickmsg import Publisher, SharedRegion  # type: ignore[import-not-found,unused-ignore]

        self._region: Any = SharedRegion.open(_name(setup))
        self._publisher: Any = Publisher(self._region)

    def publish(self, message: bytes) -> None:
        while True:
            try:
                self._publisher.send(message)
                return
            except BlockingIOError:
                time.sleep(PAUSE)

    def close(self) -> None:
        self._publisher = self._region = None


class _Subscriber(OneByOneSubscriber):
    def __init__(self, setup: Setup) -> None:
        from kickmsg import SharedRegion, Subscriber  # type: ignore[import-not-found,unused-ignore]

        self._region: Any = SharedRegion.open(_name(setup))
        self._subscriber: Any = Subscriber(self._region)
        self._viewed = setup.size >= _VIEWED

    def receive(self, timeout: float) -> Payload | None:
        if self._viewed:
            view: Any = self._subscriber.receive_view(timeout)
            return None if view is None else memoryview(view)  # which pins the slot
        message: bytes | None = self._subscriber.receive(timeout)
        return message

    def close(self) -> None:
        self._subscriber = self._region = None


class KickmsgChannel:
    """`kickmsg.SharedRegion`."""

    name = "kickmsg"
    module: str | None = "kickmsg"
    batches = False
    polls = False

    def open(self, setup: Setup) -> Setup:
        """Makes the region."""
        from kickmsg import ChannelType, Config, SharedRegion  # type: ignore[import-not-found,unused-ignore]

        ring = 1 << (room(setup.size, loses=True).bit_length() - 1)
        config: Any = Config()
        config.max_subscribers = setup.subscribers
        config.sub_ring_capacity = ring
        config.pool_size = 2 * ring
        config.max_payload_size = setup.size
        SharedRegion.create(_name(setup), ChannelType.Broadcast, config)
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Opens it to send."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Opens it to receive."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Unlinks it."""
        from kickmsg import unlink_shm  # type: ignore[import-not-found,unused-ignore]

        unlink_shm(_name(channel))
