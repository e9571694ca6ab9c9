"""Batches of messages, limited in number and in rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator


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
    start, sent = time.monotonic(), 0
    for batch in batches:
        at = 0
        while at < len(batch):
            due = int((time.monotonic() - start) * rate) + 1 - sent
            if due <= 0:
                time.sleep(max(0.0, start + sent / rate - time.monotonic()))
                continue
            yield batch[at : at + due]
            sent += min(due, len(batch) - at)
            at += due
        if sent <= int((time.monotonic() - start) * rate):
            # The input is slower than the rate: it does not catch up in a burst.
            start, sent = time.monotonic() - 1 / rate, 0
