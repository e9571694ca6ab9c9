"""What the processes of a burst do. Like those of `roles`, but READY and start are repeated, for one burst after the
other:

    subscriber   -> READY   <- start     ... -> Arrived
    publisher    -> READY   <- start     ... -> Written

No Python runs between the start of a burst and its end.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from toroni.bench._burst import BurstReader, BurstWriter
from toroni.bench.library import Library
from toroni.bench.results import Arrived, Written
from toroni.bench.roles import READY, await_start
from toroni.bench.workloads import Kind, Scale, Workload


def write(pipe: Connection, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """A publisher."""
    writer, count, turns = BurstWriter(channel.name, workload.size), scale.count(workload), scale.turns(workload)
    took = 0
    for _ in range(turns):
        await_start(pipe)
        took += writer.write(count, one_by_one=not library.batches)
    pipe.send(Written(count * turns, took))


def read(pipe: Connection, library: Library, channel: Any, index: int, workload: Workload, scale: Scale) -> None:
    """A subscriber, which waits for messages before the publishers start."""
    reader, turns = BurstReader(channel.name, workload.size), scale.turns(workload)
    expected = scale.count(workload) * workload.publishers
    took, latency = 0, 0
    for _ in range(turns):
        pipe.send(READY)
        pipe.recv()
        duration, summed = reader.read(expected, workload.kind is Kind.BURST_LATENCY)
        took, latency = took + duration, latency + summed
    pipe.send(Arrived(expected * turns, took, latency))
