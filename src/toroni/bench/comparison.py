"""R: how much faster ours is than the best peer at the same workload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toroni.bench.machine import Entry
from toroni.bench.summary import Summary

COLUMNS = "R, columns: ours / best peer of any kind"
BATCHES = "R, batches: ours / best peer of any kind"
BLOCKING = "R, single: ours / best peer that blocks"
POLLING = "R, single: ours / best peer that polls"
KINDS = (COLUMNS, BATCHES, BLOCKING, POLLING)


@dataclass(frozen=True)
class Comparison:
    """One figure R. The peer is the best one that lost nothing."""

    kind: str
    ours: str
    peer: str
    ratio: float


def compare(figures: Iterable[tuple[Entry, Summary]]) -> list[Comparison]:
    """All that can be compared. Batches must beat everybody, single messages only what sends single messages."""
    speeds = [(entry, one.speed) for entry, one in figures if one.speed and not one.loss]
    found = []
    for kind in KINDS:
        ours = [(speed, entry.name) for entry, speed in speeds if entry.ours and _is_of(entry, kind)]
        peers = [(speed, entry.name) for entry, speed in speeds if not entry.ours and _is_rival(entry, kind)]
        if ours and peers:
            (our_speed, our_name), (peer_speed, peer_name) = max(ours), max(peers)
            found.append(Comparison(kind, our_name, peer_name, our_speed / peer_speed))
    return found


def _is_of(ours: Entry, kind: str) -> bool:
    return (ours.batches, ours.in_columns) == (kind in (BATCHES, COLUMNS), kind == COLUMNS)


def _is_rival(peer: Entry, kind: str) -> bool:
    return kind in (BATCHES, COLUMNS) or (not peer.batches and peer.polls == (kind == POLLING))
