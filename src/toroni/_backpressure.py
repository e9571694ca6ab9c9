"""What a writer does when slow readers are in its way. Dead readers never are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


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
class Drop:
    """Does not write the message, and says so by returning None."""

    _rule: ClassVar[str] = "drop"


@dataclass(frozen=True)
class Fail:
    """Raises NoRoom, which names the slow readers."""

    _rule: ClassVar[str] = "fail"


Backpressure = Wait | Overwrite | Drop | Fail
