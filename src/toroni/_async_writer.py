"""Posting without waiting: a queue, written by one job at a time on the application's executor or loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import islice
from typing import TYPE_CHECKING

from toroni._errors import Closed, InvalidArgument, QueueFull

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer, Self

    from toroni import _core
    from toroni._backpressure import Backpressure

Job = Callable[[], None]
_MESSAGES_A_JOB = 1024


class AsyncWriter:
    """Queues messages and writes them later, in order; made by `Bus.async_writer`. Usable from any thread.

    While the queue is empty nothing runs. A job that fails leaves what it has not written in the queue and stops;
    the next `post`, `flush` or `close` raises its error, once, and the one after that goes on.

    Attributes:
        dropped: messages that policy Drop, or a callable's "drop", has dropped.
    """

    def __init__(
        self,
        bus: _core.Bus,
        executor: Executor | asyncio.AbstractEventLoop | Callable[[Job], object] | None,
        limit: int | None,
        backpressure: Backpressure | None,
    ) -> None:
        if limit is not None and limit < 1:
            raise InvalidArgument(f"limit must be at least 1, or None; got {limit}")
        self._bus = bus
        self._submit = _submitter(executor)
        self._limit = limit
        self._backpressure = backpressure
        self._changed = threading.Condition()  # guards all below
        self._queue: deque[bytes] = deque()
        self._draining = False
        self._error: Exception | None = None
        self._closed = False
        self._tasks: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.dropped = 0
        bus._encode("")  # raises where this bus cannot be written to

    @property
    def pending(self) -> int:
        """Messages that have not been written yet."""
        return len(self._queue)

    def post(self, topic: str, *buffers: Buffer, descendants: bool = False) -> None:
        """Queues a message, as `Bus.post` would write it. The payload is copied. It is for the subscriptions of now.

        Raises:
            QueueFull: `limit` messages are queued. Closed: after close().
            What an earlier job raised; this message has not been queued then.
        """
        body = self._bus._encode(topic, *buffers, descendants=descendants)
        with self._changed:
            self._check()
            if self._limit is not None and len(self._queue) >= self._limit:
                raise QueueFull(f"{len(self._queue)} messages are queued, as many as may be")
            self._queue.append(body)
            try:
                self._start()
            except BaseException:
                self._queue.pop()
                raise

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all that is queued has been written, at most `timeout` seconds. Not where the jobs run.

        Returns:
            False if there was not enough time.

        Raises:
            What a job raised.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._is_flushed():
                remaining = None if deadline is None else deadline - time.monotonic()
                if not self._changed.wait(remaining) and deadline is not None and time.monotonic() >= deadline:
                    return self._is_flushed()
        return True

    async def flush_async(self) -> None:
        """As `flush`, awaited in a running asyncio loop."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            self._tasks.add(entry)
        try:
            while True:
                entry[1].clear()
                with self._changed:
                    if self._is_flushed():
                        return
                await entry[1].wait()
        finally:
            with self._changed:
                self._tasks.discard(entry)

    def close(self) -> None:
        """Writes what is queued, and ends. Idempotent; closed even if it raises, then `pending` were not written."""
        try:
            self.flush()
        finally:
            self._closed = True

    async def close_async(self) -> None:
        """As `close`, awaited in a running asyncio loop."""
        try:
            await self.flush_async()
        finally:
            self._closed = True

    # ---- all below with the lock held, but _drain

    def _check(self) -> None:
        if self._closed:
            raise Closed("the writer is closed")
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _is_flushed(self) -> bool:
        if self._closed:
            return True
        self._check()
        self._start()
        return not self._queue and not self._draining

    def _start(self) -> None:
        if self._queue and not self._draining and self._error is None:
            self._draining = True
            try:
                self._submit(self._drain)
            except BaseException:
                self._draining = False
                raise

    def _drain(self) -> None:
        """One job. The lock is free while it writes."""
        with self._changed:
            batch = list(islice(self._queue, _MESSAGES_A_JOB))
        written, error = 0, None
        try:
            written, error = self._bus._post_encoded(batch, backpressure=self._backpressure)
        except Exception as failure:
            error = failure
        finally:
            with self._changed:
                if error is None and written < len(batch):
                    self.dropped += len(batch) - written
                    written = len(batch)
                for _ in range(written):
                    self._queue.popleft()
                self._draining = False
                if isinstance(error, Exception):
                    self._error = error
                try:
                    self._start()
                except Exception as failure:  # the executor is shut down: said by the next call
                    self._error = failure
                self._changed.notify_all()
                for loop, event in self._tasks:
                    if not loop.is_closed():
                        loop.call_soon_threadsafe(event.set)
        if error is not None and not isinstance(error, Exception):
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_async()


def _submitter(
    executor: Executor | asyncio.AbstractEventLoop | Callable[[Job], object] | None,
) -> Callable[[Job], object]:
    if executor is None:
        try:
            executor = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidArgument("outside of asyncio, say where to write: async_writer(executor)") from None
    if isinstance(executor, Executor):
        return executor.submit
    if isinstance(executor, asyncio.AbstractEventLoop):
        return _LoopExecutor(executor)
    if callable(executor):
        return executor
    raise TypeError(f"an executor is an Executor, an asyncio loop or a callable; got {executor!r}")


class _LoopExecutor:
    """Runs jobs in a loop's default executor: writing may wait for slow readers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, job: Job) -> None:
        self._loop.call_soon_threadsafe(self._loop.run_in_executor, None, job)
