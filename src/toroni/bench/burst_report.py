"""Bursts on the screen and as pictures: writers by readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from toroni.bench.bursts import GRIDS, READERS, Grid
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
_Cells = dict[tuple[int, int], Summary]  # (writers, readers)
_UNITS = {Kind.BURST: "million messages a second at each reader", Kind.BURST_LATENCY: "ms, the mean"}


def render(result: Result) -> list[Part]:
    """A table for each grid and way of use."""
    return framed(result, [_table(*one) for one in _grids(result)], _NOTE)


def plot(result: Result, folder: Path) -> list[Path]:
    """Writes an SVG file for each table: a line for each number of writers.

    Raises:
        OSError: the folder cannot be written to.
    """
    return plot_all(result.machine, [_lines(*one) for one in _grids(result)], folder)


def _grids(result: Result) -> Iterator[tuple[Grid, str, _Cells]]:
    """Each that something was measured of, with the name of the way of use."""
    for entry in result.libraries:
        for grid in GRIDS:
            cells = {
                (one.publishers, one.subscribers): summary
                for one in result.workloads
                if one.kind is grid.kind and (summary := result.summary(entry.name, one.name))
            }
            if cells:
                yield grid, entry.name, cells


def _table(grid: Grid, name: str, cells: _Cells) -> Table:
    title = f"{grid.name.capitalize()}: {name}"
    table = Table(title=title, title_justify="left", show_lines=True, min_width=len(title))
    table.add_column("writers", justify="right")
    columns = sorted({readers for _, readers in cells})
    for readers in columns:
        table.add_column(f"{readers}", justify="right")
    for writers in sorted({writers for writers, _ in cells}):
        table.add_row(f"{writers}", *(_cell(cells.get((writers, readers))) for readers in columns))
    return table


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


def _lines(grid: Grid, name: str, cells: _Cells) -> Lines:
    curves = [
        Curve(
            "1 writer" if writers == 1 else f"{writers} writers",
            [
                Point(readers, f"{readers}", value)
                for readers in READERS
                if (summary := cells.get((writers, readers))) and (value := _value(summary))
            ],
        )
        for writers in sorted({writers for writers, _ in cells})
    ]
    file = f"{grid.name}-{name.split(', ')[1].replace(' ', '-')}"
    return Lines(file, f"{grid.name.capitalize()}: {name}", "readers", _UNITS[grid.kind], curves)


def _value(summary: Summary) -> float | None:
    if summary.mean is not None:
        return summary.mean / 1000
    return None if summary.rate is None else summary.rate / 1e6
