"""What a library has to offer to be measured. Each has an adapter, a small file in `libraries`, that uses it as its own
documents recommend.

    channel = library.open(Setup(...))                            in the coordinator, before any process starts
    publisher = library.publisher(channel, index)                 in each publisher's process
    subscriber = library.subscriber(channel, index)               in each subscriber's process
    library.close(channel)                                        in the coordinator, when all processes have ended
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Payload = bytes | memoryview


@dataclass(frozen=True)
class Setup:
    """What a channel is for.

    Attributes:
        name: unlike that of any other channel on this machine; letters, digits and "-".
        publishers: how many publish.
        subscribers: how many each get every message.
        size: of a message, in bytes.
        spins: whether subscribers may burn a processor while they wait (latency workloads only).
        capacity: of the ring, in bytes; 0 for what suits the size.
        topics: that publishers go through in turn, `payload.topics`; then a message is a pair of topic and bytes. 0 for
            one topic that all know.
        subscribes_each: whether subscribers subscribe to each of them, and not once to what is above all.
    """

    name: str
    publishers: int
    subscribers: int
    size: int
    spins: bool = False
    capacity: int = 0
    topics: int = 0
    subscribes_each: bool = False


class Publisher(Protocol):
    """One end, in a process of its own."""

    def publish(self, message: Any, /) -> object:
        """Sends one message to all subscribers. Where the library has backpressure, waits for room."""

    def publish_many(self, messages: Sequence[Any], /) -> object:
        """The same for a batch; called only if the library has batches."""

    def close(self) -> None:
        """All that was published can still be received."""


class Subscriber(Protocol):
    """The other end, in a process of its own. Usable when its constructor returns: nothing later is missed."""

    def receive(self, timeout: float) -> Payload | None:
        """The next message, as the library gives it without a copy more than needed; None after `timeout` seconds."""

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        """What is there, at least one message; empty after `timeout` seconds. Called only if there are batches."""

    def close(self) -> None:
        """Ends it."""


@runtime_checkable
class PublishesEach(Protocol):
    """A publisher that takes one message a call, though not in the form of `publish`, which would cost a call more."""

    def publish_each(self, messages: Sequence[bytes], /) -> object:
        """As `publish` for each."""


@runtime_checkable
class Delivers(Protocol):
    """A subscriber whose library calls a function with each message, or is iterated over, rather than asked again."""

    def deliver(self, accept: Callable[[Payload], bool], timeout: float) -> None:
        """Calls `accept` with each message until it answers False. May return after `timeout` seconds without any."""


class Columns(Protocol):
    """Messages without an object for each."""

    @property
    def data(self) -> bytes:
        """The payloads, behind each other."""

    @property
    def offsets(self) -> memoryview:
        """Where each begins, and where the last one ends: 64-bit integers."""


@runtime_checkable
class ReceivesColumns(Protocol):
    """A subscriber that has its batches in columns."""

    def receive_columns(self, timeout: float) -> Columns:
        """As `receive_many`."""


class Library(Protocol):
    """One way to use one library.

    Attributes:
        name: as in the table of results: "pyzmq", "mmbus, batches".
        module: what must be importable; None for the standard library and ours.
        batches: whether publish_many and receive_many are what is measured.
        polls: whether a waiting subscriber burns a processor.
    """

    name: str
    module: str | None
    batches: bool
    polls: bool

    def open(self, setup: Setup) -> Any:
        """The channel, which is passed to the processes as an argument of multiprocessing.Process (spawn)."""

    def publisher(self, channel: Any, index: int) -> Publisher:
        """Publisher number `index`, from 0."""

    def subscriber(self, channel: Any, index: int) -> Subscriber:
        """Subscriber number `index`, from 0."""

    def close(self, channel: Any) -> None:
        """Removes what the channel has left on the machine."""
