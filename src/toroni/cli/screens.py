"""What `toroni top` shows, made of what it knows; nothing here waits or reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
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
# Columns: below the first something is left out, from the last on there is room for all.
_NARROW, _MIDDLE, _WIDE = 80, 96, 110
_HEAD_OF_LIST = 2  # lines


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
    """The order of readers: the furthest behind first, or the fastest, or by process.

    A dead one is always further behind, and holds nobody up.
    """
    if sort == "lag":
        return lambda one: (-one.lag if one.alive else 1, one.slot)
    if sort == "rate":
        return lambda one: (-rates.readers.get((one.slot, one.start_time), 0.0), one.slot)
    return lambda one: (one.pid, one.slot)


def all_buses(watched: Sequence[Watched], selected: int, width: int, height: int, paused: bool) -> Screen:
    """A row for each bus."""
    table = _table()
    table.add_column("BUS", no_wrap=True, overflow="ellipsis", ratio=1)
    for head in ("SIZE", "MESSAGES/S", *(["BYTES/S"] if width >= _NARROW else []), "READERS"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("LARGEST LAG", no_wrap=True)
    if width >= _WIDE:
        table.add_column("LOSSES", justify="right", no_wrap=True)
    rows = max(1, height - _HEAD_OF_LIST - 2)
    first = max(0, min(selected - rows + 1, len(watched) - rows)) if selected >= rows else 0
    problems = {}
    for number, one in enumerate(watched[first : first + rows], first):
        style = "reverse" if number == selected else ""
        name = Text(printable(one.name), style=style)
        if one.sample is None:
            problems[table.row_count + 1] = name.append(f": {printable(one.problem or '')}", style="yellow")
            table.add_row()
            continue
        statistics = one.sample.statistics
        living = sum(reader.alive for reader in one.sample.readers)
        table.add_row(
            name,
            readable_bytes(statistics.capacity),
            f"{one.rates.messages:,.0f}",
            *([f"{readable_bytes(one.rates.bytes)}/s"] if width >= _NARROW else []),
            str(living),
            _lag(one.lag_percent, _bar_width(width)) if living else "",
            *([f"{statistics.losses:,}"] if width >= _WIDE else []),
            style=style,
        )
    title = Text(f"{len(watched)} {'bus' if len(watched) == 1 else 'buses'} on this machine", style="bold")
    foot = _foot(paused, [("Enter", "open")], ("↑↓", "choose"))
    return Screen([title, Text()], table, foot, problems)


def one_bus(
    watched: Watched, sort: str, scrolled: int, width: int, height: int, paused: bool, may_go_back: bool
) -> Screen:
    """Its counters, and a row for each reader, from that number on or the last page."""
    sample, rates = watched.sample, watched.rates
    back = [("b", "back")] if may_go_back else []
    foot = _foot(paused, [("s", f"sorted by {sort}"), *back], ("↑↓", "scroll"))
    name = Text(printable(watched.name), style="bold")
    if sample is None:
        waits = "; it will be shown when it is there" if watched.is_missing else ""
        return Screen([name, Text()], Text(f"{printable(watched.problem or '')}{waits}", style="yellow"), foot)
    lines: list[Text] = [name.append(_about(watched, sample), style="not bold")]
    if watched.problem is not None:
        lines.append(Text(printable(watched.problem), style="yellow"))
    lines += [Text("  ".join(facts)) for facts in _facts(sample, rates, width)]
    if watched.history:
        most = f" up to {max(watched.history):,.0f}/s"
        lines.append(Text(sparkline(watched.history, width - len(most)), style="cyan").append(most, style="dim"))
    lines = [*lines[: max(1, height - 4)], Text()]
    rows = max(1, height - len(lines) - 2)
    readers = sorted(sample.readers, key=sort_key(sort, rates))
    first = max(0, min(scrolled, len(readers) - rows))
    table = _readers(readers[first : first + rows], rates, width)
    shown: RenderableType = table if readers else Text("nobody reads", style="dim")
    return Screen(lines, shown, foot, first=first)


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
    is_narrow = width < _NARROW
    table = _table()
    table.add_column("PID", justify="right", no_wrap=True)
    if not is_narrow:
        table.add_column("PROGRAM", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("LABEL", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("STATE", no_wrap=True)
    table.add_column("LAG", no_wrap=True)
    for head in (*([] if is_narrow else ["BEHIND"]), "MESSAGES/S", "LOSSES"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in readers:
        table.add_row(
            str(one.pid or "?"),
            *([] if is_narrow else [Text(program_of(one.pid) if one.alive and one.pid else "")]),
            Text(printable(one.label)),
            Text(state_of(one), style="" if one.alive else "red"),
            _lag(one.lag_percent, _bar_width(width)) if one.alive else "",
            *([] if is_narrow else [readable_bytes(one.lag) if one.alive else ""]),
            f"{rates.readers.get((one.slot, one.start_time), 0.0):,.0f}",
            f"{one.losses:,}",
        )
    return table


def _lag(percent: float, width: int) -> Text:
    return bar(percent, width).append(f" {min(percent, 999):3.0f} %", style="")


def _bar_width(width: int) -> int:
    return 6 if width < _MIDDLE else 10 if width < _WIDE else 20


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold dim", expand=True)


def _foot(paused: bool, keys: Sequence[tuple[str, str]], arrows: tuple[str, str]) -> Text:
    """What matters least comes last, where a narrow screen cuts it."""
    foot = Text(no_wrap=True, overflow="ellipsis")
    if paused:
        foot.append("PAUSED ", style="bold yellow")
    for key, what in (*keys, ("p", "go on" if paused else "pause"), ("q", "quit"), arrows):
        foot.append(f" {key} ", style="reverse").append(f" {what}  ")
    return foot


class Screen:
    """All of it: the head, as much of the body as there is room for, and the foot in the last line.

    Args:
        head: lines.
        body: a table with a line for each row, or a text.
        foot: a line.
        instead: of lines of the body, by number.
        first: the number of the first row that is shown.
    """

    def __init__(
        self,
        head: Sequence[Text],
        body: RenderableType,
        foot: Text,
        instead: Mapping[int, Text] | None = None,
        first: int = 0,
    ) -> None:
        self._instead = instead or {}
        self.first = first
        for line in (*head, *self._instead.values()):
            line.no_wrap, line.overflow = True, "ellipsis"
        self._head, self._body, self._foot = head, body, foot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or options.size.height
        free = options.update(height=None)
        body = console.render_lines(self._body, free)
        for number, text in self._instead.items():
            body[number] = console.render_lines(text, free)[0]
        lines = [line for one in self._head for line in console.render_lines(one, free)] + body
        lines = Segment.set_shape(lines[: height - 1], options.max_width, height - 1)
        lines += console.render_lines(self._foot, free)[:1]
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line
