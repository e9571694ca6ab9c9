"""Bursts on the screen and as pictures: writers by readers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from toroni.bench.bursts import GRIDS, READERS, WRITERS, Grid
from toroni.bench.lines import Curve, Lines, Point, plot_all
from toroni.bench.report import Part, faults, figure, framed
from toroni.bench.run import Result
from toroni.bench.summary import Summary
from toroni.bench.workloads import Kind

_NOTE = (
    "Writers down, readers across; messages of 8 bytes, no Python. Throughput: million messages a second at each "
    "reader in bursts of 20,000 messages a writer, and below it ns a message for the writer. Latency: ms from the "
    "creation of a message until a reader has it, the mean of bursts of 10 messages a writer. Medians over the rounds."
)
_UNITS = {Kind.BURST: "million messages a second at each reader", Kind.BURST_LATENCY: "ms, the mean"}


def render(result: Result) -> list[Part]:
    """A table for each grid and way of use."""
    return framed(result, [_table(result, grid, name) for grid, name in _grids(result)], _NOTE)


def plot(result: Result, folder: Path) -> list[Path]:
    """Writes an SVG file for each table: a line for each number of writers.

    Raises:
        OSError: the folder cannot be written to.
    """
    return plot_all(result.machine, [_lines(result, grid, name) for grid, name in _grids(result)], folder)


def _grids(result: Result) -> list[tuple[Grid, str]]:
    """Each with the name of a library, if there are figures or errors."""
    pairs = [(grid, entry.name) for entry in result.libraries for grid in GRIDS]
    return [
        (grid, name)
        for grid, name in pairs
        if any(result.summary(name, one.name) for one in result.workloads if one.kind is grid.kind)
    ]


def _table(result: Result, grid: Grid, name: str) -> Table:
    title = f"{grid.name.capitalize()}: {name}"
    table = Table(title=title, title_justify="left", show_lines=True, min_width=len(title))
    table.add_column("writers", justify="right")
    columns = [readers for readers in READERS if any(_column(result, grid, name, readers))]
    for readers in columns:
        table.add_column(f"{readers}", justify="right")
    for writers in WRITERS:
        row = [result.summary(name, grid.workload(writers, readers).name) for readers in columns]
        if any(row):
            table.add_row(f"{writers}", *(_cell(summary) for summary in row))
    return table


def _column(result: Result, grid: Grid, name: str, readers: int) -> Iterable[Summary | None]:
    return (result.summary(name, grid.workload(writers, readers).name) for writers in WRITERS)


def _cell(summary: Summary | None) -> Text:
    text = Text()
    if summary is None:
        return text
    if summary.rate is not None and summary.cost is not None:
        text.append(figure(summary.rate / 1e6))
        text.append(f"\n{figure(summary.cost)} ns", style="dim")
    if summary.mean is not None:
        text.append(f"{summary.mean / 1000:.3f}")
    for fault in faults(summary):
        text.append(f"\n{fault}", style="red")
    return text


def _lines(result: Result, grid: Grid, name: str) -> Lines:
    curves = []
    for writers in WRITERS:
        summaries = {readers: result.summary(name, grid.workload(writers, readers).name) for readers in READERS}
        points = [_point(readers, one) for readers, one in summaries.items() if one]
        title = "1 writer" if writers == 1 else f"{writers} writers"
        curves.append(Curve(title, [point for point in points if point]))
    file = f"{grid.name}-{name.split(', ')[1].replace(' ', '-')}"
    return Lines(file, f"{grid.name.capitalize()}: {name}", "readers", _UNITS[grid.kind], curves)


def _point(readers: int, summary: Summary) -> Point | None:
    if summary.mean is not None:
        return Point(readers, f"{readers}", summary.mean / 1000)
    return None if summary.rate is None else Point(readers, f"{readers}", summary.rate / 1e6)
