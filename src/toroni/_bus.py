"""The bus: topics on one totally ordered stream."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakSet

from toroni import _core
from toroni._async_writer import AsyncWriter
from toroni._closing import AsyncClosing
from toroni._errors import InvalidArgument
from toroni._opening import OnLoss, Opened, Start
from toroni._reader import Reader

if TYPE_CHECKING:
    from toroni._backpressure import Backpressure
    from toroni._executors import AnyExecutor


class Bus(AsyncClosing, Opened, _core.Bus):
    __doc__ = Opened.__doc__
    __module__ = "toroni"  # where users find it

    def subscribe(
        self,
        *topics: str,
        descendants: bool = False,
        start: Start = "now",
        label: str = "",
        on_loss: OnLoss = "raise",
    ) -> Reader:
        """A new reader of these topics, which takes a slot while it is open.

        When it returns, the reader gets every message that is created from then on.

        Args:
            topics: none, one or more; `Reader.subscribe` and `Reader.on` add others later.
            descendants: each with all topics below it; "" and "/" are above all.
            start: "now", or "oldest" for all that the ring still holds, also of processes that are gone, or a
                position, where a message must start: what was posted to `topics` from there on.
            label: up to 63 bytes, for those who see this reader in statistics and errors.
            on_loss: what to do when this reader was overtaken: "raise" raises MessagesLost, "skip" goes on, a
                callable is called with the MessagesLost. The next message is the first one behind the gap.

        Raises:
            NoFreeSlot: all slots are taken; names the holders.
            InvalidArgument: no message starts at `start`, a label too long, a NUL in a topic, role="writer".
        """
        if isinstance(start, str) and start not in ("now", "oldest"):
            raise InvalidArgument(f"start must be 'now', 'oldest' or a position; got {start!r}")
        for what, value in (("label", label), *(("a topic", topic) for topic in topics)):
            if not isinstance(value, str):
                raise TypeError(f"{what} is a str; got {value!r}")
        reader = Reader(self, start, label, on_loss)
        try:
            reader.subscribe(*topics, descendants=bool(descendants), history=start != "now")
        except BaseException:
            reader.close()
            raise
        self._readers.add(reader)
        return reader

    def async_writer(
        self,
        executor: AnyExecutor | None = None,
        *,
        limit: int | None = None,
        backpressure: Backpressure | None = None,
    ) -> AsyncWriter:
        """A writer whose `post` never waits: messages are queued, and written by one job at a time.

        Args:
            executor: where the jobs run: an Executor; an asyncio loop, for its default executor; or a callable that
                has its argument called soon, as `loop.call_soon_threadsafe` does. None: the running asyncio loop.
            limit: the most messages that may be queued; None for any number.
            backpressure: of the writing, instead of the bus's own policy.

        Raises:
            InvalidArgument: no executor, and no running loop; role="reader".
        """
        writer = AsyncWriter(self, executor, limit, backpressure)
        self._writers.add(writer)
        return writer

    @cached_property
    def _writers(self) -> WeakSet[AsyncWriter]:
        return WeakSet()

    async def _close_async(self, error: BaseException | None) -> None:
        """Writes what AsyncWriters have queued, unless an error ends the block, and closes."""
        try:
            if error is None:
                for writer in list(self._writers):
                    await writer.close_async()
        finally:
            self.close()
