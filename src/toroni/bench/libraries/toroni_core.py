"""Ours without Python between, for bursts: their two ends are in `_burst`, and open the bus by its name."""

from __future__ import annotations

from toroni.bench.libraries.toroni_bus import ToroniBus

ONE_BATCH, ONE_BY_ONE = "toroni core, one batch", "toroni core, one by one"


class ToroniCore(ToroniBus):
    """The core alone: all messages of a burst as one batch, or each a publication of its own."""

    def __init__(self, batches: bool) -> None:
        super().__init__(batches)
        self.name = ONE_BATCH if batches else ONE_BY_ONE
