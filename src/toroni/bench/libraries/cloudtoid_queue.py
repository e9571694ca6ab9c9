"""cloudtoid-interprocess, one queue for each subscriber: `try_send` or `try_send_batch` until all is sent, and
`receive` with a timeout, as in its README and its type stubs. There is no batch to receive, only
`try_receive` without a wait. Queue names are global on the machine (a semaphore), their files are in a directory of
ours in /dev/shm.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toroni.bench.libraries._common import PAUSE, room
from toroni.bench.library import Payload, Setup

_AT_ONCE = 1000  # messages a receive_many
_OVERHEAD = 64  # bytes a message


def _arguments(setup: Setup, index: int) -> tuple[str, int, str]:
    capacity = 1 << (room(setup.size) * (setup.size + _OVERHEAD) - 1).bit_length()
    return f"{setup.name}-{index}", capacity, f"/dev/shm/{setup.name}"


class _Publisher:
    def __init__(self, setup: Setup) -> None:
        from cloudtoid_interprocess import Publisher  # type: ignore[import-not-found,unused-ignore]

        self._queues: list[Any] = [Publisher(*_arguments(setup, index)) for index in range(setup.subscribers)]

    def publish(self, message: bytes) -> None:
        for queue in self._queues:
            while not queue.try_send(message):
                time.sleep(PAUSE)

    def publish_each(self, messages: Sequence[bytes]) -> None:
        sends = [queue.try_send for queue in self._queues]
        for message in messages:
            for send in sends:
                while not send(message):
                    time.sleep(PAUSE)

    def publish_many(self, messages: Sequence[bytes]) -> None:
        for queue in self._queues:
            rest = messages
            while rest:
                sent: int = queue.try_send_batch(rest)
                rest = rest[sent:]
                if rest:
                    time.sleep(PAUSE)

    def close(self) -> None:
        for queue in self._queues:
            queue.close()


class _Subscriber:
    def __init__(self, setup: Setup, index: int) -> None:
        from cloudtoid_interprocess import Subscriber  # type: ignore[import-not-found,unused-ignore]

        self._queue: Any = Subscriber(*_arguments(setup, index))

    def deliver(self, accept: Callable[[Payload], bool], timeout: float) -> None:
        receive = self._queue.receive
        while (message := receive(timeout)) is not None and accept(message):
            pass

    def receive(self, timeout: float) -> Payload | None:
        message: bytes | None = self._queue.receive(timeout)
        return message

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        messages: list[Payload] = []
        message: bytes | None = self._queue.receive(timeout)
        while message is not None and len(messages) < _AT_ONCE:
            messages.append(message)
            message = self._queue.try_receive()
        if message is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        self._queue.close()


class CloudtoidQueue:
    """`cloudtoid_interprocess.Publisher` and `Subscriber`."""

    module: str | None = "cloudtoid_interprocess"
    polls = False

    def __init__(self, batches: bool) -> None:
        self.name = "cloudtoid-interprocess, batches" if batches else "cloudtoid-interprocess"
        self.batches = batches

    def open(self, setup: Setup) -> Setup:
        """Makes the directory; a queue is made by its first user."""
        os.makedirs(_arguments(setup, 0)[2], exist_ok=True)
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Sends to all queues."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Receives from its own."""
        return _Subscriber(channel, index)

    def close(self, channel: Setup) -> None:
        """Removes the files, and the semaphores of processes that were killed."""
        shutil.rmtree(_arguments(channel, 0)[2], ignore_errors=True)
        for semaphore in Path("/dev/shm").glob(f"sem.*{channel.name}-*"):
            semaphore.unlink(missing_ok=True)
