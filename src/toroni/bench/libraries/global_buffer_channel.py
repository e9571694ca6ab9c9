"""global-buffer: an array stream, `write` and `next`, as in its README's "Array stream". One writer only. It has no
backpressure: a reader that is overtaken by more than `capacity` samples loses them ("overruns" in the README).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from toroni.bench.libraries._common import PATIENCE, OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

_MOST = 1 << 16  # messages


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup) -> None:
        import global_buffer  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import numpy

        self._array = numpy.frombuffer
        self._type = numpy.dtype(numpy.uint8)
        schema = global_buffer.ArraySpec(dtype="uint8", shape=(setup.size,))
        self._buffer: Any = global_buffer.create(
            name=setup.name, schema=schema, capacity=room(setup.size, _MOST, loses=True)
        )

    def publish(self, message: bytes) -> None:
        self._buffer.write(self._array(message, self._type))

    def close(self) -> None:
        self._buffer.close()  # the segment stays


class _Subscriber(OneByOneSubscriber):
    def __init__(self, setup: Setup) -> None:
        import global_buffer  # type: ignore[import-not-found,import-untyped,unused-ignore]

        self._empty = global_buffer.Empty
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._reader: Any = global_buffer.attach(setup.name)
                break
            except (global_buffer.BufferNotFound, global_buffer.SchemaMismatch):  # not there, or not yet initialised
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def receive(self, timeout: float) -> Payload | None:
        try:
            message: memoryview = self._reader.next(timeout=timeout).data
        except self._empty:
            return None
        return message

    def close(self) -> None:
        self._reader.close()


class GlobalBufferChannel:
    """`global_buffer.create` and `attach`."""

    name = "global-buffer"
    module: str | None = "global_buffer"
    batches = False
    polls = False

    def open(self, setup: Setup) -> Setup:
        """Nothing: only the process that creates a buffer can write to it.

        Raises:
            NotImplementedError: for more than one publisher.
        """
        if setup.publishers > 1:
            raise NotImplementedError("global-buffer has one writer")
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Creates the buffer."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Attaches to it, when the publisher has created it."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Unlinks it; `global_buffer.unlink` would make the resource tracker complain, as it unregisters twice."""
        Path(f"/dev/shm/gb_{channel.name}").unlink(missing_ok=True)
