"""Figures over what grows, as pictures: a line for each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toroni.bench.machine import Machine
from toroni.bench.plots import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE = 20.0  # from so many times between the least and the greatest on, the figures are drawn by their logarithms


@dataclass(frozen=True)
class Point:
    """A figure, where it is, and how that is called."""

    at: int
    name: str
    value: float


@dataclass(frozen=True)
class Curve:
    """Of one way; perhaps without points."""

    name: str
    points: list[Point]


@dataclass(frozen=True)
class Lines:
    """One picture, in a file of that name."""

    file: str
    title: str
    horizontal: str
    vertical: str
    curves: list[Curve]


def plot_all(machine: Machine, pictures: Sequence[Lines], folder: Path) -> list[Path]:
    """Writes an SVG file for each that has points.

    Raises:
        OSError: the folder cannot be written to.
    """
    from matplotlib.figure import Figure  # takes a second, and may not be there

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for picture in pictures:
        if any(curve.points for curve in picture.curves):
            figure = Figure(figsize=(8, 5), layout="constrained")
            _draw(figure.add_subplot(), picture)
            files.append(save(figure, machine, folder / f"{picture.file}.svg"))
    return files


def _draw(axes: Axes, picture: Lines) -> None:
    for curve in picture.curves:
        axes.plot([point.at for point in curve.points], [point.value for point in curve.points], "o-", label=curve.name)
    points = [point for curve in picture.curves for point in curve.points]
    names = {point.at: point.name for point in points}
    axes.set_xscale("log")
    axes.set_xticks(list(names), list(names.values()))
    axes.set_xticks([], minor=True)
    values = [point.value for point in points]
    if max(values) > _WIDE * min(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(picture.horizontal)
    axes.set_ylabel(picture.vertical)
    axes.set_title(picture.title, loc="left")
    axes.legend(frameon=False)
