"""Awaiting a reader in asyncio: its descriptor, watched by the loop while a task waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from toroni._core import TopicReader

_Result = TypeVar("_Result")

# A stream that never runs dry must not keep the loop from its other tasks, nor from cancelling this one.
_CALLS_BETWEEN_CHECKPOINTS = 64
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

    async def until(self, reader: TopicReader, read: Callable[[], _Result]) -> _Result:
        """What `read` returns, once that is neither None nor empty. Cancellation comes while nothing has been taken."""
        self._since_checkpoint += 1
        if self._since_checkpoint >= _CALLS_BETWEEN_CHECKPOINTS:
            self._since_checkpoint = 0
            await asyncio.sleep(0)
        while not (result := read()):
            self._since_checkpoint = 0
            waits = self._of_running_loop(reader)
            if reader.closed:  # before anybody who closes it could see that loop
                continue
            try:
                await waits.readable()
            except BaseException:
                if not any(others.are_waiting for others in list(self._loops.values())):
                    reader._rest()
                raise
        return result

    def _of_running_loop(self, reader: TopicReader) -> _LoopWaits:
        loop = asyncio.get_running_loop()
        waits = self._loops.get(loop)
        if waits is None:
            waits = self._loops[loop] = _LoopWaits(loop, reader._duplicate_descriptor(), self._look_again)
            for other in list(self._loops):
                if other.is_closed():
                    self._loops.pop(other, None)
        return waits

    def wake(self) -> None:
        """Lets all tasks look; after the reader was closed."""
        for loop, waits in list(self._loops.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(waits.wake)


class _LoopWaits:
    """The tasks of one loop. The descriptor is a duplicate, and ours: the reader may be closed by another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, look_again: float | None) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._look_again = look_again
        self._futures: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def are_waiting(self) -> bool:
        """Whether a task of this loop waits."""
        return bool(self._futures)

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
