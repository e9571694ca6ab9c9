"""Bursts in the core alone, as data: the tables of Toroni's whitepaper, each of their cells a workload."""

from __future__ import annotations

from dataclasses import dataclass

from toroni.bench.libraries.toroni_core import ONE_BATCH
from toroni.bench.workloads import Kind, Workload

WRITERS = (1, 2, 4, 7)
READERS = (1, 2, 4, 8, 16)
_QUICK = {(1, 1), (1, 4), (4, 1), (4, 4)}


@dataclass(frozen=True)
class Grid:
    """Writers by readers.

    Attributes:
        name: that of its workloads, before the cell.
        kind: what comes out.
        only: as in `Workload`.
    """

    name: str
    kind: Kind
    only: tuple[str, ...] = ()

    def workload(self, writers: int, readers: int) -> Workload:
        """One cell."""
        cell = f"{writers} x {readers}"
        name = f"{self.name}-{cell.replace(' ', '')}"
        return Workload(name, cell, self.kind, writers, readers, size=8, only=self.only)


GRIDS = (Grid("throughput", Kind.BURST), Grid("latency", Kind.BURST_LATENCY, (ONE_BATCH,)))

WORKLOADS = tuple(grid.workload(writers, readers) for grid in GRIDS for writers in WRITERS for readers in READERS)
QUICK_WORKLOADS = tuple(one for one in WORKLOADS if (one.publishers, one.subscribers) in _QUICK)
