"""`toroni hz` and `toroni bw`: how many messages and bytes a second go to each topic, counted and not sampled."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from toroni import Bus, MessagesLost
from toroni.cli.formats import printable
from toroni.cli.options import BusName, Descendants, Every, Json, Topics, topics_of
from toroni.cli.readable import readable_bytes
from toroni.cli.screen import console_for_output

_LINES_AROUND = 6  # of the screen: the table's head and foot

Reports = Annotated[int | None, typer.Option("--count", "-n", min=1, help="Ends after so many reports.")]


def hz(
    bus: BusName,
    topics: Topics = None,
    descendants: Descendants = False,
    every: Every = 1.0,
    count: Reports = None,
    json: Json = False,
) -> int:
    """Shows messages a second of each topic.

    Every message is counted; where the counting is too slow for the writers, the report says what it missed. The rate
    of the whole bus is the writers' own count.
    """
    return _report(bus, topics, descendants, every, count, _print_json if json else _View(_MESSAGES))


def bw(
    bus: BusName,
    topics: Topics = None,
    descendants: Descendants = False,
    every: Every = 1.0,
    count: Reports = None,
    json: Json = False,
) -> int:
    """Shows bytes a second of each topic.

    Every message is counted; where the counting is too slow for the writers, the report says what it missed. The rate
    of the whole bus is the writers' own count, in which topics and a few bytes a message are included.
    """
    return _report(bus, topics, descendants, every, count, _print_json if json else _View(_BYTES))


@dataclass
class _Count:
    messages: int = 0
    bytes: int = 0

    def add(self, messages: int, size: int) -> None:
        self.messages += messages
        self.bytes += size


@dataclass
class _Interval:
    """What came between two reports."""

    seconds: float
    topics: dict[str, _Count]  # all that were ever seen
    bus: _Count  # of all topics, by the writers' count
    missed: int | None  # messages that were not counted; None: some, nobody knows how many
    totals: dict[str, _Count] = field(default_factory=dict)  # since the beginning


class _Counting:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._totals: dict[str, _Count] = {}
        self._topics: dict[str, _Count] = {}
        self.missed: int | None = 0
        self._begin()

    def _begin(self) -> None:
        statistics = self._bus.stats()
        self._before = statistics.messages, statistics.bytes
        self._started = time.monotonic()

    def note_loss(self, loss: MessagesLost) -> None:
        """Of the reader that counts."""
        self.missed = None if self.missed is None or loss.messages is None else self.missed + loss.messages

    def add(self, tally: dict[str, tuple[int, int]]) -> None:
        """Of the reader, what it has counted."""
        for topic, (messages, size) in tally.items():
            self._topics.setdefault(topic, _Count()).add(messages, size)
            self._totals.setdefault(topic, _Count()).add(messages, size)

    def end(self) -> _Interval:
        """What came since the last call."""
        messages, size = self._before
        topics = {topic: self._topics.get(topic, _Count()) for topic in self._totals}
        seconds, missed = time.monotonic() - self._started, self.missed
        self._topics, self.missed = {}, 0
        self._begin()
        bus = _Count(self._before[0] - messages, self._before[1] - size)
        return _Interval(seconds, topics, bus, missed, self._totals)


def _report(
    name: str,
    topics: list[str] | None,
    descendants: bool,
    every: float,
    count: int | None,
    show: Callable[[_Interval], object],
) -> int:
    names, below = topics_of(topics, descendants)
    with Bus(name, role="reader") as bus:
        counting = _Counting(bus)
        with (
            bus.subscribe(*names, descendants=below, label="toroni rates", on_loss=counting.note_loss) as reader,
            show if isinstance(show, _View) else nullcontext(),
        ):
            while count is None or count > 0:
                end = time.monotonic() + every
                while (left := end - time.monotonic()) > 0:
                    counting.add(reader.tally(timeout=left))
                show(counting.end())
                count = None if count is None else count - 1
    return 0


def _print_json(interval: _Interval) -> None:
    topics = {topic: {"messages": one.messages, "bytes": one.bytes} for topic, one in interval.topics.items()}
    bus = {"messages": interval.bus.messages, "bytes": interval.bus.bytes}
    print(
        json_format.dumps({"seconds": interval.seconds, "topics": topics, "bus": bus, "missed": interval.missed}),
        flush=True,
    )


@dataclass(frozen=True)
class _Quantity:
    """What is shown of each topic."""

    heads: tuple[str, ...]  # of a table
    units: tuple[str, ...]  # the same in a line
    cells: Callable[[_Count, _Count, float], tuple[str, ...]]  # of an interval, of all, of its seconds


def _cells_of_bytes(now: _Count, total: _Count, seconds: float) -> tuple[str, ...]:
    mean = now.bytes / now.messages if now.messages else 0
    return f"{readable_bytes(now.bytes / seconds)}/s", readable_bytes(mean), readable_bytes(total.bytes)


_MESSAGES = _Quantity(
    ("messages/s", "in all"),
    (" messages/s", " in all"),
    lambda now, total, seconds: (f"{now.messages / seconds:,.1f}", f"{total.messages:,}"),
)
_BYTES = _Quantity(("bytes/s", "a message", "in all"), ("", " a message", " in all"), _cells_of_bytes)


class _View:
    """A table that stays in its place on a terminal; elsewhere the lines of each report."""

    def __init__(self, quantity: _Quantity) -> None:
        self._quantity = quantity
        self._console = console_for_output()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, interval: _Interval) -> None:
        ranked = sorted(interval.topics.items(), key=lambda item: (-item[1].bytes - item[1].messages, item[0]))
        if self._live is not None:
            self._live.update(self._table(interval, ranked), refresh=True)
            return
        for topic, now in ranked:
            cells = self._quantity.cells(now, interval.totals[topic], interval.seconds)
            print(f"{printable(topic)}  {', '.join(map(''.join, zip(cells, self._quantity.units, strict=True)))}")
        print(f"the whole bus: {self._rate_of(interval)}{self._quantity.units[0]}{_missed(interval)}", flush=True)

    def _rate_of(self, interval: _Interval) -> str:
        return self._quantity.cells(interval.bus, interval.bus, interval.seconds)[0]

    def _table(self, interval: _Interval, ranked: list[tuple[str, _Count]]) -> Table:
        table = Table(box=None, pad_edge=False, show_footer=True, expand=True)
        room = max(1, self._console.height - _LINES_AROUND)
        hidden = len(ranked) - room
        foot = "the whole bus" + (f", with {hidden:,} more topics" if hidden > 0 else "")
        table.add_column("topic", foot, overflow="ellipsis", no_wrap=True, ratio=1)
        for number, head in enumerate(self._quantity.heads):
            table.add_column(head, "" if number else self._rate_of(interval), justify="right", no_wrap=True)
        for topic, now in ranked[:room]:
            cells = self._quantity.cells(now, interval.totals[topic], interval.seconds)
            table.add_row(Text(printable(topic)), *cells)
        table.caption = _missed(interval).lstrip("; ") or None
        return table


def _missed(interval: _Interval) -> str:
    if interval.missed == 0:
        return ""
    how_many = "some messages" if interval.missed is None else f"{interval.missed:,} messages"
    return f"; {how_many} were not counted: the writers were too fast"
