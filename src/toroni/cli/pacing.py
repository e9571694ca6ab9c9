"""Batches of messages, limited in number and in rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

# What an input that was slower than the rate may make good.
_CATCH_UP_SECONDS = 0.1


def at_most(batches: Iterable[list[bytes]], count: int | None) -> Iterator[list[bytes]]:
    """The first `count` messages; None is all. Asks for no batch beyond them."""
    if count is None:
        yield from batches
        return
    for batch in batches:
        yield batch[:count]
        count -= len(batch)
        if count <= 0:
            return


def paced(batches: Iterable[list[bytes]], rate: float | None) -> Iterator[list[bytes]]:
    """The same messages, `rate` a second, the first one at once; None is as they come."""
    if rate is None:
        yield from batches
        return
    due = time.monotonic()
    for batch in batches:
        due = max(due, time.monotonic() - _CATCH_UP_SECONDS)
        at = 0
        while at < len(batch):
            late = time.monotonic() - due
            if late < 0:
                time.sleep(-late)
                continue
            count = min(int(late * rate) + 1, len(batch) - at)
            yield batch[at : at + count]
            at += count
            due += count / rate
