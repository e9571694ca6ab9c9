"""Awaiting a reader in asyncio: its descriptor, watched by the loop while a task waits."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toroni._core import Message, TopicReader

# A stream that never runs dry must not keep the loop from its other tasks, nor from cancelling this one.
_MESSAGES_BETWEEN_CHECKPOINTS = 64
# Where no thread of ours looks: a writer killed between publishing and notifying leaves a message unannounced.
_LOOK_AGAIN_SECONDS = 1.0


class Waits:
    """The tasks that wait for one reader. It does not keep that reader alive.

    Args:
        looks_by_itself: whether somebody else looks once a second for what nobody announced.
    """

    def __init__(self, looks_by_itself: bool) -> None:
        self._look_again = None if looks_by_itself else _LOOK_AGAIN_SECONDS
        self._loops: dict[asyncio.AbstractEventLoop, _LoopWaits] = {}
        self._since_checkpoint = 0

    async def next(self, reader: TopicReader) -> Message:
        """The next message. Cancellation comes while nothing has been taken."""
        self._since_checkpoint += 1
        if self._since_checkpoint >= _MESSAGES_BETWEEN_CHECKPOINTS:
            self._since_checkpoint = 0
            await asyncio.sleep(0)
        while (message := reader.recv(timeout=0)) is None:
            self._since_checkpoint = 0
            await self._of_running_loop(reader).readable()
        return message

    def _of_running_loop(self, reader: TopicReader) -> _LoopWaits:
        loop = asyncio.get_running_loop()
        waits = self._loops.get(loop)
        if waits is None:
            waits = self._loops[loop] = _LoopWaits(loop, reader.fileno(), self._look_again)
            for other in [other for other in self._loops if other.is_closed()]:
                del self._loops[other]
        return waits

    def close(self) -> None:
        """Wakes all tasks, which then find the reader closed."""
        for loop, waits in list(self._loops.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(waits.wake)
        self._loops.clear()


class _LoopWaits:
    """The tasks of one loop. The descriptor is a duplicate: the reader may be closed by another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, look_again: float | None) -> None:
        self._loop = loop
        self._descriptor = os.dup(descriptor)
        self._look_again = look_again
        self._futures: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def readable(self) -> None:
        """Until the descriptor is readable, or a second has passed where nobody else looks."""
        future: asyncio.Future[None] = self._loop.create_future()
        if not self._futures:
            self._loop.add_reader(self._descriptor, self.wake)
            if self._look_again is not None:
                self._timer = self._loop.call_later(self._look_again, self.wake)
        self._futures.add(future)
        try:
            await future
        finally:
            self._futures.discard(future)
            if not self._futures:
                self._stop()

    def wake(self) -> None:
        """Lets all tasks look."""
        for future in self._futures:
            if not future.done():
                future.set_result(None)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)

    def __del__(self) -> None:
        os.close(self._descriptor)
