"""Ours in columns: batches are written as ever, and read without an object for each message."""

from __future__ import annotations

from toroni import Columns, rmp
from toroni.bench.libraries.toroni_bus import BusSubscriber, ToroniBus
from toroni.bench.libraries.toroni_rmp import RmpSubscriber, ToroniRmp
from toroni.bench.library import Setup, Subscriber


class _BusSubscriber(BusSubscriber):
    def receive_columns(self, timeout: float) -> Columns:
        return self.reader.recv_columns(timeout=timeout)


class _RmpSubscriber(RmpSubscriber):
    def receive_columns(self, timeout: float) -> rmp.Columns:
        return self.reader.read_columns(timeout=timeout)


class ToroniBusColumns(ToroniBus):
    """`toroni.Bus`, `post_many` and `recv_columns`."""

    def __init__(self) -> None:
        super().__init__(batches=True)
        self.name = "toroni, columns"

    def subscriber(self, channel: Setup, index: int) -> Subscriber:
        """Opens it to read."""
        return _BusSubscriber(channel)


class ToroniRmpColumns(ToroniRmp):
    """`toroni.rmp.Stream`, `write_many` and `read_columns`."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "toroni.rmp, columns"

    def subscriber(self, channel: Setup, index: int) -> Subscriber:
        """Opens it to read."""
        return _RmpSubscriber(channel)
