# What the generated stub imports for the signatures that are written by hand.
_core.__prefix__:
    from toroni._backpressure import Backpressure
    from toroni._types import AnyBuffer
    from typing_extensions import Buffer, Self
    from collections.abc import Iterable
    from typing import Any, Literal, final, overload

_core.Message$:
    @final
    class Message:
        """A message as a reader gets it: topic, data and position. Immutable."""

        __match_args__ = ("topic", "data", "position")

        def __init__(self, topic: str, data: bytes, position: int) -> None: ...
        @property
        def topic(self) -> str:
            """The topic that it was posted to."""
        @property
        def data(self) -> bytes:
            """The payload."""
        @property
        def position(self) -> int:
            """Its position in the stream: the order of all messages, the same in every process."""

_core.TopicReader.recv$:
    @overload
    def recv(self, timeout: None = None) -> Message: ...
    @overload
    def recv(self, timeout: float | None) -> Message | None:
        \doc

_core.TopicReader.borrow$:
    @overload
    def borrow(self, timeout: None = None) -> BorrowedMessage: ...
    @overload
    def borrow(self, timeout: float | None) -> BorrowedMessage | None:
        \doc

_core.Reader.read$:
    @overload
    def read(self, timeout: None = None) -> bytes: ...
    @overload
    def read(self, timeout: float | None) -> bytes | None:
        \doc

_core.TopicReader.__iter__$:
    def __iter__(self) -> Self: ...

_core.TopicReader.__next__$:
    def __next__(self) -> Message: ...

_core.Reader.__iter__$:
    def __iter__(self) -> Self: ...

_core.Reader.__next__$:
    def __next__(self) -> bytes: ...

_core.Bus.post$:
    def post(self, topic: str, *buffers: AnyBuffer, descendants: bool = False, backpressure: Backpressure | None = None) -> int | None:
        \doc

_core.Bus.post_many$:
    @overload
    def post_many(self, messages: Iterable[tuple[Any, ...]], *, descendants: bool = False, backpressure: Backpressure | None = None) -> int: ...
    @overload
    def post_many(self, messages: Iterable[AnyBuffer], *, topic: str, descendants: bool = False, backpressure: Backpressure | None = None) -> int:
        \doc

_core.Stream.write$:
    def write(self, *buffers: AnyBuffer, backpressure: Backpressure | None = None) -> int | None:
        \doc
