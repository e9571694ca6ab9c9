"""Where jobs of the library run: on the application's executor, its asyncio loop, or by its callable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from toroni._errors import InvalidArgument


class Job(Protocol):
    """What is to be called once."""

    def __call__(self) -> None: ...

    def done(self, future: object) -> None:
        """For `add_done_callback`: fails the job if it has not run."""

    def fail(self, error: BaseException) -> None:
        """It will not run."""


Submit = Callable[[Job], object]
AnyExecutor = Executor | asyncio.AbstractEventLoop | Callable[[Callable[[], None]], object]


def submitter(executor: AnyExecutor | None) -> tuple[Submit, asyncio.AbstractEventLoop | None]:
    """How jobs are submitted, and the loop on which that depends, if any. None is the running loop.

    Raises:
        InvalidArgument: None, and no loop runs.
        TypeError: none of the three.
    """
    if executor is None:
        try:
            executor = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidArgument("outside of asyncio, say where to write: async_writer(executor)") from None
    if isinstance(executor, Executor):
        return executor.submit, None
    if isinstance(executor, asyncio.AbstractEventLoop):
        return _LoopExecutor(executor), executor
    if callable(executor):
        owner = getattr(executor, "__self__", None)  # loop.call_soon_threadsafe
        return executor, owner if isinstance(owner, asyncio.AbstractEventLoop) else None
    raise TypeError(f"an executor is an Executor, an asyncio loop or a callable; got {executor!r}")


class _LoopExecutor:
    """Runs jobs in a loop's default executor: writing may wait for slow readers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, job: Job) -> None:
        self._loop.call_soon_threadsafe(self._run, job)

    def _run(self, job: Job) -> None:
        try:
            self._loop.run_in_executor(None, job).add_done_callback(job.done)
        except Exception as error:  # shut down
            job.fail(error)
