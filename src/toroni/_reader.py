"""The reader of a bus: a position in the stream, a set of topics, and handlers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, overload

from toroni import _asyncio, _core
from toroni._core import Message
from toroni._errors import Closed, InvalidArgument, Unhandled
from toroni._notifiers import looks_by_itself
from toroni._opening import OnLoss, Start

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


Handler = Callable[[Message], object]
_Handler = TypeVar("_Handler", bound=Handler)


class Reader(_core.TopicReader):
    """A position in the stream and a set of topics; made by `Bus.subscribe`. Usable from any thread, by one at a time.

    Iterating waits for each next message, and ends when the reader is closed; so does `async for`.
    """

    __module__ = "toroni"  # where users find it

    def __init__(self, bus: _core.Bus, start: Start, label: str, on_loss: OnLoss) -> None:
        super().__init__(bus, start, label, on_loss)
        self._bus = bus
        self._topics: dict[tuple[str, bool], int] = {}  # without handlers
        self._handlers: dict[int, tuple[str, bool, Handler]] = {}
        self._undone: deque[tuple[Message, list[int]]] = deque()  # what a handler that raised has left over
        self._waits = _asyncio.Waits(looks_by_itself(bus._notifier[0]))

    # ---- what to read

    def subscribe(self, *topics: str, descendants: bool = False) -> None:
        """Adds topics. When it returns, the reader gets every message that is created from then on, and none older.

        Args:
            topics: subscribed to; again is no error and changes nothing.
            descendants: each with all topics below it; "" and "/" are above all.
        """
        self._subscribe_all(topics, descendants, historic=False)

    def _subscribe_all(self, topics: tuple[str, ...], descendants: bool, historic: bool) -> None:
        for topic in topics:
            if (topic, descendants) not in self._topics:
                self._topics[topic, descendants] = self._subscribe(topic, descendants, historic)

    def unsubscribe(self, *topics: str) -> None:
        """Ends subscriptions, with and without descendants, and handlers. What was not read of them is gone.

        Raises:
            InvalidArgument: one of the topics is not subscribed to; nothing is changed.
        """
        for topic in topics:
            if not self._ids_of(topic):
                raise InvalidArgument(f"not subscribed to {topic!r}")
        for topic in topics:
            for subscription in self._ids_of(topic):
                self._unsubscribe(subscription)
                self._handlers.pop(subscription, None)
            for key in ((topic, False), (topic, True)):
                self._topics.pop(key, None)

    def _ids_of(self, topic: str) -> list[int]:
        plain = [subscription for (name, _), subscription in self._topics.items() if name == topic]
        return plain + [subscription for subscription, entry in self._handlers.items() if entry[0] == topic]

    @property
    def topics(self) -> list[tuple[str, bool]]:
        """What is subscribed to, with and without handlers: (topic, descendants)."""
        handled = [(topic, descendants) for topic, descendants, _ in self._handlers.values()]
        return list(dict.fromkeys([*self._topics, *handled]))

    # ---- callbacks

    @overload
    def on(self, topic: str, handler: _Handler, *, descendants: bool = ...) -> _Handler: ...
    @overload
    def on(self, topic: str, *, descendants: bool = ...) -> Callable[[_Handler], _Handler]: ...
    def on(
        self, topic: str, handler: _Handler | None = None, *, descendants: bool = False
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Has `dispatch` call `handler(message)` for each message to a topic that is created from now on.

        Several handlers of one topic are called in the order in which they were added. Without a handler it is a
        decorator: `@reader.on("/line1", descendants=True)`.

        Returns:
            The handler.
        """
        if handler is None:
            return lambda decorated: self.on(topic, decorated, descendants=descendants)
        if not callable(handler):
            raise TypeError(f"a handler is a callable; got {handler!r}")
        self._handlers[self._subscribe(topic, descendants, False, True)] = (topic, descendants, handler)
        return handler

    def dispatch(self) -> int:
        """Hands the messages that are there now to their handlers. Never waits; for anybody's loop.

        A handler that raises ends the pass; the next one goes on behind it.

        Returns:
            The number of messages handed out.

        Raises:
            Unhandled: the next message is for a subscription without a handler; `recv` takes it.
            MessagesLost: as `recv`.
        """
        handed_out = 0
        end = self._bus.position
        while self._undone or self._fetch(end):
            message, subscriptions = self._undone[0]
            while subscriptions:
                entry = self._handlers.get(subscriptions.pop(0))
                if entry is not None:
                    entry[2](message)
            if self._undone and self._undone[0][0] is message:
                self._undone.popleft()
                handed_out += 1
        return handed_out

    def _fetch(self, end: int) -> bool:
        taken = self._take_for_dispatch(end)
        if taken is None:
            return False
        if taken is False:
            raise Unhandled("the next message is for a subscription without a handler; recv() takes it")
        self._undone.append(taken)
        return True

    # ---- asyncio

    async def recv_async(self) -> Message:
        """The next message, awaited in a running asyncio loop. Cancelled, it has taken no message.

        Raises:
            As `recv`.
        """
        return await self._waits.next(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self.closed:
            raise StopAsyncIteration
        try:
            return await self._waits.next(self)
        except Closed:
            raise StopAsyncIteration from None

    # ---- lifetime

    def close(self) -> None:
        """Gives the slot back; waits in other threads and tasks end. Idempotent."""
        self._waits.close()
        self._close()

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
        self.close()

    def __repr__(self) -> str:
        where = "closed" if self.closed else f"at {self.position}"
        return f"<toroni.Reader{' ' + self.label if self.label else ''} {where}>"
