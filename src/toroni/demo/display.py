"""What the demo shows: bars on a terminal, now and then a line elsewhere; and the closing tables."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

_LINE_EVERY_PART, _LINE_EVERY_SECONDS = 0.1, 1.0
_WIDTH_OF_NO_TERMINAL = 110


@dataclass(frozen=True)
class Bar:
    """How far one process is, in bytes, and a word on it."""

    name: str
    done: int
    total: int
    text: str


@dataclass(frozen=True)
class Row:
    """A line of a closing table."""

    name: str
    what: str
    messages: int
    size: int
    seconds: float
    order: tuple[str, ...] = ()


def readable(size: int) -> str:
    """A number of bytes as people read it."""
    for unit, name in ((10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.0f} {name}" if size >= 10 * unit else f"{size / unit:.1f} {name}"
    return f"{size} bytes"


class Display:
    """Says everything on standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = _WIDTH_OF_NO_TERMINAL
        columns = (TextColumn("{task.description:10}"), BarColumn(24), TextColumn("{task.fields[text]}"))
        self._progress = Progress(*columns, console=self._console)
        self._tasks: dict[str, TaskID] = {}
        self._line_part, self._line_time = 0.0, time.monotonic()

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def note(self, text: str, style: str = "") -> None:
        """A line for something that happened."""
        self._console.print(escape(text), style=style)

    def bars(self, whole: Bar, others: Iterable[Bar]) -> None:
        """How far everybody is; the first is all of it."""
        if self._console.is_terminal:
            for bar in (whole, *others):
                self._show(bar)
            return
        part, now = whole.done / whole.total, time.monotonic()
        if part >= self._line_part + _LINE_EVERY_PART or now >= self._line_time + _LINE_EVERY_SECONDS:
            texts = ", ".join(f"{bar.name} {bar.text}" for bar in others if bar.text)
            self.note(f"{part:4.0%}  {whole.text}; {texts}")
            self._line_part, self._line_time = part, now

    def _show(self, bar: Bar) -> None:
        if bar.name not in self._tasks:
            self._tasks[bar.name] = self._progress.add_task(bar.name, text="")
        self._progress.update(self._tasks[bar.name], completed=bar.done, total=bar.total, text=bar.text)

    def table(self, title: str, orders: Iterable[str], rows: Iterable[Row]) -> None:
        """A closing table. `orders` heads the columns of what `Row.order` holds."""
        table = Table(title=title, title_justify="left")
        for head in ("", "fate"):
            table.add_column(head)
        for head in ("messages", "MB", "msg/s", "MB/s"):
            table.add_column(head, justify="right")
        for head in orders:
            table.add_column(head)
        for row in rows:
            seconds = max(row.seconds, 1e-3)
            rates = f"{row.messages / seconds:,.0f}", f"{row.size / seconds / 1e6:,.1f}"
            amounts = f"{row.messages:,}", f"{row.size / 1e6:,.1f}"
            table.add_row(row.name, row.what, *amounts, *rates, *row.order)
        self._console.print(table)
