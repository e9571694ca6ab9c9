"""Ours as it grows, on the screen and as pictures: one axis a table and a plot."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from toroni.bench.growth import AXES, Axis, measured
from toroni.bench.lines import Curve, Lines, Point, plot_all
from toroni.bench.report import Part, cell, framed
from toroni.bench.run import Result

_RATE = "thousand messages a second at each reader"
_NOTE = (
    f"{_RATE.capitalize()}, ranges below them; medians over the rounds. One writer, one reader, 64 bytes and a ring of "
    "4 MiB, or of 8 messages, unless the axis says otherwise."
)


def render(result: Result) -> list[Part]:
    """A table for each axis."""
    return framed(result, [_table(result, axis) for axis in AXES if measured(axis, result.workloads)], _NOTE)


def plot(result: Result, folder: Path) -> list[Path]:
    """Writes an SVG file for each axis: a line for each way of use.

    Raises:
        OSError: the folder cannot be written to.
    """
    return plot_all(result.machine, [_lines(result, axis) for axis in AXES], folder)


def _ways(result: Result, axis: Axis) -> list[str]:
    workloads = measured(axis, result.workloads)
    return [one.name for one in result.libraries if any(result.summary(one.name, each.name) for each in workloads)]


def _table(result: Result, axis: Axis) -> Table:
    table = Table(title=f"{axis.name.capitalize()}", title_justify="left", show_lines=True)
    table.add_column(axis.title, justify="right")
    ways = _ways(result, axis)
    for name in ways:
        table.add_column(name, justify="right")
    for workload in measured(axis, result.workloads):
        table.add_row(workload.title, *(cell(result.summary(name, workload.name)) for name in ways))
    return table


def _lines(result: Result, axis: Axis) -> Lines:
    curves = []
    for name in _ways(result, axis):
        summaries = [(one, result.summary(name, one.name)) for one in measured(axis, result.workloads)]
        points = [
            Point(axis.value(workload), workload.title, summary.rate / 1000)
            for workload, summary in summaries
            if summary and summary.rate
        ]
        curves.append(Curve(name, points))
    return Lines(axis.name, f"Rate by {axis.title}", axis.title, _RATE, curves)
