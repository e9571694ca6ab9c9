"""Libraries for the tests of the benchmark: one that works, and some that do not."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import shared_memory
from typing import Any

from toroni.bench.library import Payload, Setup

_spawn = multiprocessing.get_context("spawn")


class FaultyPublisher:
    """Puts messages into the queues of all subscribers, as well as its fault lets it."""

    def __init__(self, queues: list[Any], fault: str) -> None:
        self._queues, self._fault = queues, fault
        self._kept: bytes | None = None
        self._count = 0

    def publish(self, message: bytes) -> None:
        self._count += 1
        is_last = message[:6] == b"\xff" * 6
        if self._fault == "raises":
            raise ValueError("no more\nof this")
        if self._fault == "loses" and (self._count % 10 == 0 or is_last):
            return
        if self._fault == "cuts" and self._count % 10 == 0 and not is_last:
            message = message[:-1]
        if self._fault == "reorders" and self._count % 10 == 5:
            self._kept = message
            return
        for one in self._queues:
            one.put(message)
            if self._kept is not None:
                one.put(self._kept)
        self._kept = None

    def publish_many(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.publish(message)

    def close(self) -> None:
        for one in self._queues:
            one.close()
            one.join_thread()


class FaultySubscriber:
    """Takes them from its own."""

    def __init__(self, own: Any, fault: str) -> None:
        self._queue, self._fault = own, fault
        if fault == "litters":
            self._litter = shared_memory.SharedMemory(create=True, size=4096)

    def receive(self, timeout: float) -> Payload | None:
        if self._fault == "litters":
            time.sleep(1000)
        if self._fault == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            message: bytes = self._queue.get(timeout=timeout)
        except queue.Empty:
            return None
        return memoryview(message) if self._fault == "views" else message

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        first = self.receive(timeout)
        return [] if first is None else [first]

    def close(self) -> None:
        pass


@dataclass
class Faulty:
    """A library with a fault, or none."""

    fault: str
    batches: bool = False
    module: str | None = None
    polls: bool = False

    @property
    def name(self) -> str:
        return self.fault

    @name.setter
    def name(self, name: str) -> None: ...

    def open(self, setup: Setup) -> Any:
        if self.fault == "opens never":
            time.sleep(1000)
        if self.fault == "cannot open":
            raise OSError("no room")
        return [_spawn.Queue() for _ in range(setup.subscribers)]

    def publisher(self, channel: Any, index: int) -> FaultyPublisher:
        return FaultyPublisher(channel, self.fault)

    def subscriber(self, channel: Any, index: int) -> FaultySubscriber:
        return FaultySubscriber(channel[index], self.fault)

    def close(self, channel: Any) -> None:
        for one in channel:
            one.close()
