"""A result as pictures: a bar chart for each workload."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from toroni.bench.machine import Machine
from toroni.bench.run import Result
from toroni.bench.summary import Summary
from toroni.bench.workloads import Kind, Workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OURS, _PEERS = "#c0392b", "#7f8c8d"
_BAR = 0.34  # inches


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def plot(result: Result, folder: Path) -> list[Path]:
    """Writes an SVG file for each workload that gave figures.

    Raises:
        OSError: the folder cannot be written to.
    """
    from matplotlib import figure as drawing  # takes a second, and may not be there

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for workload in result.workloads:
        rows = [(entry, result.summary(entry.name, workload.name)) for entry in result.libraries]
        measured = [(entry.name, entry.ours, one) for entry, one in rows if one and one.speed]
        if not measured:
            continue
        measured.sort(key=lambda row: row[2].speed or 0.0)
        figure = drawing.Figure(figsize=(8, 1.4 + _BAR * len(measured)), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, workload, measured)
        files.append(save(figure, result.machine, folder / f"{workload.name}.svg"))
    return files


def save(figure: Figure, machine: Machine, file: Path) -> Path:
    """Writes it, with the machine below, and returns the file."""
    from matplotlib import rc_context

    figure.supxlabel(str(machine), fontsize=7, color="gray")
    with rc_context({"svg.fonttype": "none"}):  # text as text: a tenth of the size
        figure.savefig(file, metadata={"Date": None})
    return file


def _draw(axes: Axes, workload: Workload, measured: list[tuple[str, bool, Summary]]) -> None:
    values = [_value(one) for _, _, one in measured]
    ranges = [_range(one) for _, _, one in measured]
    below = [max(0.0, value - low) for value, (low, _) in zip(values, ranges, strict=True)]
    above = [max(0.0, high - value) for value, (_, high) in zip(values, ranges, strict=True)]
    colors = [_OURS if ours else _PEERS for _, ours, _ in measured]
    names = [f"{name} (lost {one.loss:.0%})" if one.loss >= 0.005 else name for name, _, one in measured]
    bars = axes.barh(names, values, xerr=[below, above], color=colors, ecolor="black", capsize=2)
    axes.bar_label(bars, [_label(one) for _, _, one in measured], padding=4, fontsize=8)
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    is_rate = workload.kind is Kind.RATE
    axes.set_xlabel("thousand messages a second at each subscriber" if is_rate else "microseconds: p50, less is better")
    size = "" if workload.title.endswith("B") else f", {workload.size} bytes"
    axes.set_title(f"{workload.name}: {workload.title}{size}", loc="left")


def _value(summary: Summary) -> float:
    return summary.p50 if summary.p50 is not None else (summary.rate or 0.0) / 1000


def _range(summary: Summary) -> tuple[float, float]:
    if summary.p50_range is not None:
        return summary.p50_range
    low, high = summary.rate_range or (0.0, 0.0)
    return low / 1000, high / 1000


def _label(summary: Summary) -> str:
    if summary.p50 is not None:
        return f"{summary.p50:.3g} (p99 {summary.p99:.3g})"
    return f"{_value(summary):,.0f}" if _value(summary) >= 10 else f"{_value(summary):.2g}"
