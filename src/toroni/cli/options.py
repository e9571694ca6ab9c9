"""Options and arguments that several commands have, and what they mean."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from toroni import InvalidArgument

BusName = Annotated[str, typer.Argument(help="The bus's name.", show_default=False)]
Topics = Annotated[list[str] | None, typer.Argument(metavar="topic", help="Only these; none: all.", show_default=False)]
Descendants = Annotated[bool, typer.Option("--descendants", "-d", help="Also all topics below.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON, one object a line where there are several.")]
JsonDocument = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]


def number(value: float | None) -> float | None:
    """Of an option: not "nan", which every range lets through."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


Every = Annotated[
    float, typer.Option(min=0.1, max=3600.0, callback=number, metavar="SECONDS", help="Between two looks.")
]


class CommandError(Exception):
    """The command cannot run as it was asked to; one sentence says why."""


def to_start(text: str) -> Literal["now", "oldest"] | int:
    """Of --start.

    Raises:
        InvalidArgument: it is none.
    """
    if text == "now":
        return "now"
    if text == "oldest":
        return "oldest"
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"--start is now, oldest or a position; got {text!r}") from None


def topics_of(topics: list[str] | None, descendants: bool) -> tuple[list[str], bool]:
    """What to subscribe to: these, or everything."""
    return (topics, descendants) if topics else ([""], True)
