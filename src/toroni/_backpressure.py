"""What a writer does when slow readers are in its way. Dead readers never are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from toroni import _core
from toroni._core import ReaderInfo


@dataclass(frozen=True)
class Wait:
    """Waits for the readers, in turn with other waiting writers, then overwrites.

    Attributes:
        timeout: seconds for one publication; None waits as long as a live reader is in the way.
    """

    timeout: float | None = 1.0
    _rule: ClassVar[str] = "wait"


@dataclass(frozen=True)
class Overwrite:
    """Overtakes slow readers at once; they are told what they missed."""

    _rule: ClassVar[str] = "overwrite"


@dataclass(frozen=True)
class Sleep:
    """Sleeps, and overtakes the slowest reader if it has not moved meanwhile; if it has but made no room, again.

    What the C++ and Java Toroni do, but for the writer mutex, which they hold while they sleep.

    Attributes:
        seconds: how long.
    """

    seconds: float
    _rule: ClassVar[str] = "sleep"


@dataclass(frozen=True)
class Drop:
    """Does not write the message, and says so by returning None."""

    _rule: ClassVar[str] = "drop"


@dataclass(frozen=True)
class Fail:
    """Raises NoRoom, which names the slow readers."""

    _rule: ClassVar[str] = "fail"


@dataclass(frozen=True)
class SlowReaders:
    """What a backpressure callable is told: who is in the way of a message.

    Attributes:
        readers: they, each with pid, label, lag in bytes and lag_percent of the ring, and whether it is alive.
        size: of the message, in bytes, its topic included.
        attempt: how often the callable has been asked about this message, from 1.
        waited: seconds since it was asked first.
    """

    readers: Sequence[ReaderInfo]
    size: int
    attempt: int
    waited: float


Answer = Literal["retry", "overwrite", "drop"]
"""Of a callable: "retry" looks again when a reader has made room, or after 20 ms, and then asks again."""

Backpressure = Wait | Overwrite | Sleep | Drop | Fail | Callable[[SlowReaders], Answer]

_core._register_classes({"SlowReaders": SlowReaders})
