"""What `toroni top` shows, made of what it knows; nothing here waits or reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from toroni import ReaderInfo
from toroni.cli.formats import printable
from toroni.cli.information import state_of
from toroni.cli.inspection import notifier_text
from toroni.cli.processes import program_of
from toroni.cli.readable import readable_age, readable_bytes
from toroni.cli.watching import Rates, Sample, Watched

SORTS = ("lag", "rate", "pid")

_BLOCKS = " ▁▂▃▄▅▆▇█"
_YELLOW_PERCENT, _RED_PERCENT = 50, 90
_NARROW, _WIDE = 80, 110  # columns, below which something is left out, and from which on there is room for all


def bar(percent: float, width: int) -> Text:
    """How full something is."""
    full = round(min(max(percent, 0.0), 100.0) / 100 * width)
    colour = "red" if percent >= _RED_PERCENT else "yellow" if percent >= _YELLOW_PERCENT else "green"
    return Text("█" * full, style=colour).append("·" * (width - full), style="dim")


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values, each as high as its part of the largest."""
    values = list(values)[-width:]
    largest = max(values, default=0.0)
    if largest <= 0:
        return _BLOCKS[1] * len(values)
    return "".join(_BLOCKS[1 + round(value / largest * (len(_BLOCKS) - 2))] for value in values)


def sort_key(sort: str, rates: Rates) -> Callable[[ReaderInfo], tuple[float, int]]:
    """The order of readers: the furthest behind first, or the fastest, or by process."""
    if sort == "lag":
        return lambda one: (-one.lag, one.slot)
    if sort == "rate":
        return lambda one: (-rates.readers.get((one.slot, one.start_time), 0.0), one.slot)
    return lambda one: (one.pid, one.slot)


def all_buses(watched: Sequence[Watched], selected: int, width: int, height: int, paused: bool) -> RenderableType:
    """A row for each bus."""
    table = _table()
    table.add_column("BUS", no_wrap=True, overflow="ellipsis", ratio=1)
    for head in ("SIZE", "MESSAGES/S", *(["BYTES/S"] if width >= _NARROW else []), "READERS"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("LARGEST LAG", no_wrap=True)
    if width >= _WIDE:
        table.add_column("LOSSES", justify="right", no_wrap=True)
    rows = max(1, height - 4)
    first = max(0, min(selected - rows + 1, len(watched) - rows)) if selected >= rows else 0
    for number, one in enumerate(watched[first : first + rows], first):
        style = "reverse" if number == selected else ""
        name = Text(printable(one.name))
        if one.sample is None:
            name.append(f": {printable(one.problem or '')}", style="yellow")
            table.add_row(name, style=style)
            continue
        statistics = one.sample.statistics
        living = sum(reader.alive for reader in one.sample.readers)
        table.add_row(
            name,
            readable_bytes(statistics.capacity),
            f"{one.rates.messages:,.0f}",
            *([f"{readable_bytes(one.rates.bytes)}/s"] if width >= _NARROW else []),
            str(living),
            _lag(one.lag_percent, 10 if width < _WIDE else 20) if living else "",
            *([f"{statistics.losses:,}"] if width >= _WIDE else []),
            style=style,
        )
    title = Text(f"{len(watched)} {'bus' if len(watched) == 1 else 'buses'} on this machine", style="bold")
    foot = _foot(paused, ("↑↓", "choose"), ("Enter", "open"))
    return _screen([title, Text()], table, foot, min(len(watched), rows) + 1, height)


def one_bus(
    watched: Watched, sort: str, scrolled: int, width: int, height: int, paused: bool, may_go_back: bool
) -> RenderableType:
    """Its counters, and a row for each reader."""
    sample, rates = watched.sample, watched.rates
    foot = _foot(paused, ("s", f"sorted by {sort}"), ("↑↓", "scroll"), *([("b", "back")] if may_go_back else []))
    name = Text(printable(watched.name), style="bold")
    if sample is None:
        waits = "; it will be shown when it is there" if watched.is_missing else ""
        return _screen(
            [name, Text()], Text(f"{printable(watched.problem or '')}{waits}", style="yellow"), foot, 1, height
        )
    lines: list[Text] = [name.append(_about(watched, sample), style="not bold")]
    if watched.problem is not None:
        lines.append(Text(printable(watched.problem), style="yellow"))
    lines += [Text("  ".join(facts)) for facts in _facts(sample, rates, width)]
    if watched.history:
        line = sparkline(watched.history, width - 14)
        lines.append(Text(line, style="cyan").append(f" {max(watched.history):,.0f}/s", style="dim"))
    lines = [*lines[: max(1, height - 4)], Text()]
    rows = max(1, height - len(lines) - 2)
    readers = sorted(sample.readers, key=sort_key(sort, rates))
    first = max(0, min(scrolled, len(readers) - rows))
    table = _readers(readers[first : first + rows], rates, width)
    shown: RenderableType = table if readers else Text("nobody reads", style="dim")
    return _screen(lines, shown, foot, min(len(readers), rows) + 1, height)


def _about(watched: Watched, sample: Sample) -> str:
    statistics = sample.statistics
    age = "" if statistics.created is None else f", {readable_age(max(0.0, time.time() - statistics.created))} old"
    gone = ", removed" if statistics.is_unlinked else ""
    foreign = ", made by a C++ or Java process" if statistics.is_foreign else ""
    return f"  {readable_bytes(statistics.capacity)}, {notifier_text(watched.notifier)}{age}{foreign}{gone}"


def _facts(sample: Sample, rates: Rates, width: int) -> list[list[str]]:
    statistics = sample.statistics
    holder = statistics.lock_holder
    program = program_of(holder) if holder else ""
    lock = (
        "writer lock free" if not holder else f"writer lock: {holder}" + (f" ({printable(program)})" if program else "")
    )
    facts = [
        f"{rates.messages:,.0f} messages/s",
        f"{readable_bytes(rates.bytes)}/s",
        f"{statistics.messages:,} messages",
        f"{statistics.losses:,} losses",
        f"overtaken {statistics.overwritten:,}",
        f"{rates.backpressure:,.0f} waits/s",
        f"{rates.notifications:,.0f} wake-ups/s",
        lock,
    ]
    lines: list[list[str]] = [[]]
    for fact in facts:
        if lines[-1] and len("  ".join([*lines[-1], fact])) > width:
            lines.append([])
        lines[-1].append(fact[:width])
    return lines


def _readers(readers: Sequence[ReaderInfo], rates: Rates, width: int) -> Table:
    table = _table()
    table.add_column("PID", justify="right", no_wrap=True)
    if width >= _NARROW:
        table.add_column("PROGRAM", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("LABEL", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("STATE", no_wrap=True)
    table.add_column("LAG", no_wrap=True)
    if width >= _WIDE:
        table.add_column("BEHIND", justify="right", no_wrap=True)
    table.add_column("MESSAGES/S", justify="right", no_wrap=True)
    if width >= _NARROW:
        table.add_column("LOSSES", justify="right", no_wrap=True)
    for one in readers:
        table.add_row(
            str(one.pid or "?"),
            *([Text(printable(program_of(one.pid) if one.alive and one.pid else ""))] if width >= _NARROW else []),
            Text(printable(one.label)),
            Text(state_of(one), style="" if one.alive else "red"),
            _lag(one.lag_percent, 10 if width < _WIDE else 20),
            *([readable_bytes(one.lag)] if width >= _WIDE else []),
            f"{rates.readers.get((one.slot, one.start_time), 0.0):,.0f}",
            *([f"{one.losses:,}"] if width >= _NARROW else []),
        )
    return table


def _lag(percent: float, width: int) -> Text:
    return bar(percent, width).append(f" {min(percent, 999):3.0f} %", style="")


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold dim", expand=True)


def _foot(paused: bool, *keys: tuple[str, str]) -> Text:
    foot = Text(no_wrap=True, overflow="ellipsis")
    for key, what in (*keys, ("p", "go on" if paused else "pause"), ("q", "quit")):
        foot.append(f" {key} ", style="reverse").append(f" {what}  ")
    if paused:
        foot.append(" PAUSED", style="bold yellow")
    return foot


def _screen(head: Sequence[Text], body: RenderableType, foot: Text, lines: int, height: int) -> RenderableType:
    for line in head:
        line.no_wrap, line.overflow = True, "ellipsis"
    space = max(0, height - len(head) - lines - 1)
    return Group(*head, body, *([Text("\n" * (space - 1))] if space else []), foot)
