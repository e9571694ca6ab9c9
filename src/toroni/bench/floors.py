"""The floors under every library on this machine: what the kernel, the memory and Python itself take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from toroni.bench import _floors
from toroni.bench.results import percentile
from toroni.bench.workloads import BATCH_MESSAGES, PACE

_AREA = 8 << 20  # bytes of shared memory that are copied to, more than caches near a processor hold


@dataclass(frozen=True)
class Floor:
    """One figure; where it is a distribution, its median and 99th percentile."""

    name: str
    unit: str
    value: float
    p99: float | None = None


def measure_floors(quick: bool) -> Iterator[Floor]:
    """All of them, one by one.

    Raises:
        RuntimeError: the other process of a pair died.
    """
    part = 5 if quick else 1
    usable = sorted(os.sched_getaffinity(0))
    first, other = usable[0], usable[1 % len(usable)]
    pairs = {"": (-1, -1), ", two processors": (first, other), ", one processor": (first, first)}
    for where, processors in pairs.items():
        waking = _floors.wake(1000 // part, int(PACE * 1e9), *processors)
        yield _distribution(f"futex wake of another process, one way, one each 2 ms{where}", waking)
    yield _distribution("futex ping-pong, half round trip", _floors.ping_pong(10_000 // part, False))
    yield _distribution("polling a shared word, half round trip", _floors.ping_pong(50_000 // part, True))
    for size, name in ((64 << 10, "64 KiB"), (1 << 20, "1 MiB")):
        yield Floor(f"memcpy of {name} into shared memory", "GB/s", _floors.copying(size, _AREA, 200 // part))
    for size in (64, 8):
        each = _floors.making_bytes(size, BATCH_MESSAGES, 2000 // part)
        yield Floor(f"making a list of {size}-byte bytes objects, each", "ns", each)
    yield Floor("robust mutex, lock and unlock", "ns", _floors.locking(1_000_000 // part))


def _distribution(name: str, nanoseconds: list[int]) -> Floor:
    counted = nanoseconds[len(nanoseconds) // 10 :]
    return Floor(name, "us", percentile(counted, 0.5) / 1000, percentile(counted, 0.99) / 1000)
