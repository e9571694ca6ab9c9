"""Posting without waiting: a queue, written by one job at a time on the application's executor or loop."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from toroni._closing import AsyncClosing
from toroni._errors import Closed, InUse, InvalidArgument, QueueFull
from toroni._executors import AnyExecutor, submitter

if TYPE_CHECKING:
    from toroni import _core
    from toroni._backpressure import Backpressure
    from toroni._types import AnyBuffer

_MESSAGES_A_JOB = 1024
# How often who waits looks whether the loop that should run the jobs is still there.
_LOOK_SECONDS = 0.5


class AsyncWriter(AsyncClosing):
    """Queues messages and writes them later, in order; made by `Bus.async_writer`. Usable from any thread.

    While the queue is empty nothing runs. A job that fails, or that the executor never runs, leaves what it has not
    written in the queue; the next `post`, `flush` or `close` raises its error, once, and the one after that goes on.

    Attributes:
        dropped: messages that policy Drop, or a callable's "drop", has dropped.
    """

    def __init__(
        self,
        bus: _core.Bus,
        executor: AnyExecutor | None,
        limit: int | None,
        backpressure: Backpressure | None,
    ) -> None:
        if limit is not None and limit < 1:
            raise InvalidArgument(f"limit must be at least 1, or None; got {limit}")
        bus._check_policy(backpressure)
        bus._encode("")  # raises where this bus cannot be written to
        self._bus = bus
        self._submit, self._loop = submitter(executor)
        self._limit = limit
        self._backpressure = backpressure
        self._changed = threading.Condition()  # guards all below
        self._queue: deque[_Entry] = deque()
        self._in_job = 0  # entries at the left that a job is writing
        self._job: _Job | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._tasks: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.dropped = 0

    @property
    def pending(self) -> int:
        """Messages that have not been written yet."""
        return len(self._queue)

    def post(self, topic: str, *buffers: AnyBuffer, descendants: bool = False) -> None:
        """Queues a message, as `Bus.post` would write it. The payload is copied. It is for the subscriptions of now.

        Also raises what an earlier job raised; this message has not been queued then.

        Raises:
            QueueFull: `limit` messages are queued.
            Closed: after close().
        """
        entry = _Entry(self._bus._encode(topic, *buffers, descendants=descendants))
        with self._changed:
            self._check()
            is_full = self._limit is not None and len(self._queue) >= self._limit
            if not is_full:
                self._queue.append(entry)
        try:
            self._start()
        except BaseException:
            if not is_full and not self._take_back(entry):
                return  # another thread's job has it
            raise
        if is_full:
            raise QueueFull(f"{self._limit} messages are queued, as many as may be")

    def _take_back(self, entry: _Entry) -> bool:
        with self._changed:
            for index in range(len(self._queue) - 1, self._in_job - 1, -1):
                if self._queue[index] is entry:
                    del self._queue[index]
                    return True
        return False

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all that is queued has been written, at most `timeout` seconds. Not where the jobs run.

        Returns:
            False if there was not enough time.

        Also raises what a job raised.

        Raises:
            InUse: in the thread of the asyncio loop that runs the jobs; await `flush_async` there.
            Closed: the writer was closed before everything was written.
        """
        self._refuse_in_own_loop()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._is_flushed():
            with self._changed:
                if self._job is None:
                    continue  # started anew by the look
                wait = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
                if wait <= 0:
                    return False
                self._changed.wait(wait)
        return True

    async def flush_async(self) -> None:
        """As `flush`, awaited in a running asyncio loop."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            self._tasks.add(entry)
        try:
            while not self._is_flushed():
                try:
                    await asyncio.wait_for(entry[1].wait(), _LOOK_SECONDS)
                except asyncio.TimeoutError:
                    continue
                entry[1].clear()
        finally:
            with self._changed:
                self._tasks.discard(entry)

    def close(self) -> None:
        """Writes what is queued, and ends. Idempotent; closed even if it raises, then `pending` were not written."""
        self._refuse_in_own_loop()
        if not self._closed:
            try:
                self.flush()
            finally:
                self._closed = True

    async def close_async(self) -> None:
        """As `close`, awaited in a running asyncio loop."""
        if not self._closed:
            try:
                await self.flush_async()
            finally:
                self._closed = True

    def _refuse_in_own_loop(self) -> None:
        if self._loop is not None and asyncio._get_running_loop() is self._loop and self._queue:
            raise InUse("the jobs run in this thread's asyncio loop: use `async with`, or await flush_async()")

    def _check(self) -> None:
        if self._job is not None and self._in_job == 0 and self._loop is not None and self._loop.is_closed():
            self._end(self._job, Closed("the asyncio loop that should write the messages is closed"))
        if self._closed:
            raise Closed("the writer is closed")
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _is_flushed(self) -> bool:
        with self._changed:
            if self._closed and not self._queue:
                return True
            self._check()
            if not self._queue and self._job is None:
                return True
        self._start()
        with self._changed:
            return not self._queue and self._job is None and self._error is None

    # ---- jobs

    def _start(self) -> None:
        """Submits a job if there is none and something to do. The lock is free meanwhile: it may run at once."""
        with self._changed:
            if not self._queue or self._job is not None or self._error is not None:
                return
            job = self._job = _Job(self)
        try:
            submitted = self._submit(job)
        except BaseException as error:
            with self._changed:
                self._end(job, None)
                if self._error is error:  # run at once, and raised through here
                    self._error = None
            raise
        if hasattr(submitted, "add_done_callback"):
            submitted.add_done_callback(job.done)

    def _write(self, job: _Job) -> None:
        with self._changed:
            if self._job is not job:
                return
            batch = list(islice(self._queue, _MESSAGES_A_JOB))
            self._in_job = len(batch)
        error: BaseException | None = None
        try:
            self._write_all(batch)
        except BaseException as failure:
            error = failure
        with self._changed:
            self._end(job, error)
        try:
            self._start()
        except Exception as failure:  # the executor is shut down: said by the next call
            with self._changed:
                self._error = failure
        if error is not None and not isinstance(error, Exception):
            raise error

    def _write_all(self, batch: list[_Entry]) -> None:
        bodies = [entry.body for entry in batch]
        while bodies:
            written, error = self._bus._post_encoded(bodies, backpressure=self._backpressure)
            dropped = error is None and written < len(bodies)
            with self._changed:
                for _ in range(written + dropped):
                    self._queue.popleft()
                self._in_job -= written + dropped
                self.dropped += dropped
            del bodies[: written + dropped]
            if error is not None:
                raise error

    def _end(self, job: _Job, error: BaseException | None) -> None:
        """With the lock held."""
        if self._job is not job:
            return
        self._job = None
        self._in_job = 0
        if error is not None:
            self._error = error
        self._changed.notify_all()
        for loop, event in self._tasks:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def _close_async(self, error: BaseException | None) -> None:
        await self.close_async()

    def __del__(self) -> None:
        if getattr(self, "_queue", None):
            warnings.warn(
                f"an AsyncWriter ends with {len(self._queue)} messages that were not written; close it first",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


class _Entry:
    """A queued message, which is itself and no other, however equal."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body


class _Job:
    """One run of the writer, which may also never come: the executor or its loop may be shut down."""

    def __init__(self, writer: AsyncWriter) -> None:
        self._writer = writer

    def __call__(self) -> None:
        self._writer._write(self)

    def done(self, future: object) -> None:
        """Called by the future of the job, if there is one: it ends the job if that has not run to its end."""
        error: BaseException = Closed("the executor was shut down before it wrote the messages")
        cancelled, exception = getattr(future, "cancelled", None), getattr(future, "exception", None)
        if cancelled is not None and exception is not None and not cancelled():
            error = exception() or error
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Ends the job, unless it has run."""
        with self._writer._changed:
            self._writer._end(self, error)
