"""The three objects in shared memory that all agents share."""

from __future__ import annotations

import contextlib
import os

from toroni import _core
from toroni import unlink as unlink_bus
from toroni._core import _Counter as Counter
from toroni._core import _Counters as Counters
from toroni._opening import patiently
from toroni.agent.options import Options

__all__ = ["BUS", "TOPIC", "Counter", "Counters", "initialize", "open_or_make", "unlink"]

BUS = "burst"
TOPIC = "channel"
_COUNTERS = f"/dev/shm/toroni-{BUS}-s"


def open_or_make(options: Options) -> Counters:
    """All three, made of zeros where they are missing. Returns the agents' counters.

    Raises:
        InvalidArgument: a capacity or number of readers that cannot be.
    """
    patiently(lambda: _core._open_or_make_foreign(BUS, options.capacity, options.max_readers))
    return patiently(lambda: Counters(_COUNTERS))


def initialize(options: Options) -> None:
    """Writes fresh headers, whoever uses them.

    Raises:
        BusMismatch: what is there is too short for these sizes.
    """
    _core._initialize_foreign(BUS, options.capacity, options.max_readers)
    counters = Counters(_COUNTERS)
    for counter in Counter:
        counters.set(counter, 0)


def unlink() -> None:
    """Removes all three."""
    unlink_bus(BUS)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_COUNTERS)
