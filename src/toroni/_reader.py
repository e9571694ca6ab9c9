"""The reader of a bus: a position in the stream, a set of topics, and handlers."""

from __future__ import annotations

import inspect
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

from toroni import _asyncio, _core
from toroni._closing import AsyncClosing
from toroni._columns import Columns
from toroni._core import Message
from toroni._errors import Closed, InUse, InvalidArgument, Unhandled
from toroni._notifiers import looks_by_itself
from toroni._opening import OnLoss, Start

if TYPE_CHECKING:
    from typing_extensions import Self

Handler = Callable[[Message], object]
_Handler = TypeVar("_Handler", bound=Handler)


@dataclass(frozen=True)
class _Subscription:
    descendants: bool
    handler: Handler | None


class _ForkSafeLock:
    """A lock that a forked child finds free, whoever held it in its parent."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._pid, self._lock = os.getpid(), threading.RLock()

    def held(self) -> threading.RLock:
        """For a `with` statement."""
        if self._pid != os.getpid():
            self._renew()
        return self._lock


class Reader(AsyncClosing, _core.TopicReader):
    """A position in the stream and a set of topics; made by `Bus.subscribe`. Usable from any thread, by one at a time.

    Iterating waits for each next message, and ends when the reader is closed; so does `async for`.
    """

    __module__ = "toroni"  # where users find it

    def __init__(self, bus: _core.Bus, start: Start, label: str, on_loss: OnLoss) -> None:
        super().__init__(bus, start, label, on_loss)
        self._bus = bus
        self._topics: dict[str, dict[int, _Subscription]] = {}
        self._handlers: dict[int, Handler] = {}
        self._undone: deque[tuple[Message, list[int]]] = deque()  # what a handler that raised has left over
        self._dispatching = _ForkSafeLock()
        self._changing = _ForkSafeLock()  # guards _topics and _handlers
        self._waits = _asyncio.Waits(looks_by_itself(bus._notifier[0]))

    # ---- what to read

    def subscribe(self, *topics: str, descendants: bool = False, history: bool = False) -> None:
        """Adds topics. When it returns, the reader gets every message that is created from then on.

        Args:
            topics: to subscribe to; again is no error and changes nothing.
            descendants: each with all topics below it; "" and "/" are above all.
            history: also what was created before, as far as this reader has not come to it yet.

        Raises:
            InvalidArgument: a NUL in a topic, or more than 4096 bytes; nothing is changed.
        """
        for topic in topics:
            _core._check_topic(topic)
        with self._changing.held():
            for topic in topics:
                if _Subscription(descendants, None) not in self._topics.get(topic, {}).values():
                    self._add(topic, _Subscription(descendants, None), history)

    def _add(self, topic: str, subscription: _Subscription, history: bool) -> None:
        identity = self._subscribe(topic, subscription.descendants, history, subscription.handler is not None)
        self._topics.setdefault(topic, {})[identity] = subscription
        if subscription.handler is not None:
            self._handlers[identity] = subscription.handler

    def _remove(self, topic: str, identity: int) -> None:
        self._unsubscribe(identity)
        self._handlers.pop(identity, None)
        del self._topics[topic][identity]
        if not self._topics[topic]:
            del self._topics[topic]

    def unsubscribe(self, *topics: str) -> None:
        """Ends subscriptions, with and without descendants, and handlers. What was not read of them is gone.

        Raises:
            InvalidArgument: one of the topics is not subscribed to; nothing is changed.
        """
        with self._changing.held():
            for topic in topics:
                if topic not in self._topics:
                    raise InvalidArgument(f"not subscribed to {topic!r}")
            for topic in topics:
                for identity in list(self._topics.get(topic, {})):
                    self._remove(topic, identity)

    @property
    def topics(self) -> list[tuple[str, bool]]:
        """What is subscribed to, with and without handlers: (topic, descendants)."""
        with self._changing.held():
            return list(
                dict.fromkeys(
                    (topic, subscription.descendants)
                    for topic, subscriptions in self._topics.items()
                    for subscription in subscriptions.values()
                )
            )

    # ---- in columns

    def recv_columns(self, max: int = 65536, timeout: float | None = None) -> Columns:
        """What is there now, up to `max` messages, in columns; waits for the first one as `recv` does.

        The fastest way to read, for arrays and tables: the payloads are copied behind each other, and no object is made
        for a message.

        Args:
            max: messages to take at most.
            timeout: seconds to wait at most; None for ever, 0 not at all.

        Returns:
            The messages in order; none at all after `timeout` seconds. Perhaps fewer than there are.

        Raises what `recv_many` raises.
        """
        return Columns(*self._recv_columns(max, timeout))

    # ---- callbacks

    @overload
    def on(self, topic: str, handler: _Handler, *, descendants: bool = ..., history: bool = ...) -> _Handler: ...
    @overload
    def on(self, topic: str, *, descendants: bool = ..., history: bool = ...) -> Callable[[_Handler], _Handler]: ...
    def on(
        self, topic: str, handler: _Handler | None = None, *, descendants: bool = False, history: bool = False
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Has `dispatch` call `handler(message)` for each message to a topic that is created from now on.

        Several handlers of one message are called in the order in which they were added. Without a handler it is a
        decorator: `@reader.on("/line1", descendants=True)`. Arguments and errors are those of `subscribe`.

        Returns:
            The handler.
        """
        if handler is None:
            return lambda decorated: self.on(topic, decorated, descendants=descendants, history=history)
        if not callable(handler) or inspect.iscoroutinefunction(handler):
            raise TypeError(f"a handler is a function that is called, not awaited; got {handler!r}")
        with self._changing.held():
            self._add(topic, _Subscription(descendants, handler), history)
        return handler

    def off(self, topic: str, handler: Handler) -> None:
        """Ends what `on(topic, handler)` began; other handlers and subscriptions of the topic go on.

        Raises:
            InvalidArgument: it is no handler of that topic.
        """
        with self._changing.held():
            subscriptions = self._topics.get(topic, {})
            found = [identity for identity, subscription in subscriptions.items() if subscription.handler == handler]
            if not found:
                raise InvalidArgument(f"{handler!r} is no handler of {topic!r}")
            for identity in found:
                self._remove(topic, identity)

    def dispatch(self) -> int:
        """Hands the messages that are there now to their handlers. Never waits; for anybody's loop.

        A handler that raises ends the pass; the next one goes on behind it. So does one that closes the reader.

        Returns:
            The number of messages handed out.

        Raises:
            Unhandled: the next message is for a subscription without a handler; `recv` takes it.
            InUse: another thread is dispatching.
            MessagesLost: as `recv`.
        """
        dispatching = self._dispatching.held()
        if not dispatching.acquire(blocking=False):
            raise InUse("another thread is dispatching the messages of this reader")
        try:
            return self._dispatch()
        finally:
            dispatching.release()

    def _dispatch(self) -> int:
        handed_out = 0
        end = self._bus.position
        while self._undone or self._fetch(end):
            message, subscriptions = self._undone[0]
            while subscriptions:
                handler = self._handlers.get(subscriptions.pop(0))
                if handler is not None:
                    handler(message)
                if self.closed:
                    self._undone.clear()
                    return handed_out + 1
            if self._undone and self._undone[0][0] is message:  # a handler may have dispatched, too
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

        Raises what `recv` raises.
        """
        message = await self._waits.until(self, lambda: self.recv(timeout=0))
        assert message is not None
        return message

    async def recv_many_async(self, max: int = 1024) -> list[Message]:
        """What is there now, up to `max` messages; awaits the first one as `recv_async` does.

        Raises what `recv_many` raises.
        """
        return await self._waits.until(self, lambda: self.recv_many(max, timeout=0))

    async def recv_columns_async(self, max: int = 65536) -> Columns:
        """The same in columns; see `recv_columns`.

        Raises what `recv_many` raises.
        """
        return await self._waits.until(self, lambda: self.recv_columns(max, timeout=0))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self.closed:
            raise StopAsyncIteration
        try:
            return await self.recv_async()
        except Closed:
            raise StopAsyncIteration from None

    # ---- lifetime

    def close(self) -> None:
        """Gives the slot back; waits in other threads and tasks end. Idempotent."""
        self._close()
        self._waits.wake()

    def __repr__(self) -> str:
        where = "closed" if self.closed else f"at {self.position}"
        return f"<toroni.Reader{' ' + self.label if self.label else ''} {where}>"
