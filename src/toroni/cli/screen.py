"""Where tables go."""

from __future__ import annotations

from io import TextIOWrapper

from rich.console import Console
from rich.table import Table

_WIDTH_OF_NO_TERMINAL = 10_000  # nothing is wrapped, or left out
WIDE = 80
"""Columns, below which a table leaves something out."""


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read it has gone: as for any other output, instead of ending the program here."""
        raise BrokenPipeError


def console_for_output() -> Console:
    """Standard output: as wide as its terminal, and wide enough for everything where it is none."""
    return _console(_Output(highlight=False))


def console_for_errors() -> Console:
    """Standard error, likewise."""
    return _console(_Output(highlight=False, stderr=True))


def _console(console: Console) -> Console:
    if isinstance(console.file, TextIOWrapper):
        console.file.reconfigure(errors="backslashreplace")  # labels of others, where the encoding is ASCII
    if not console.is_terminal:
        console.width = _WIDTH_OF_NO_TERMINAL
    return console


def table_for(console: Console) -> Table:
    """On a terminal as wide as that, so that columns with a ratio give way, and not the others."""
    return Table(box=None, pad_edge=False, header_style="bold", expand=console.is_terminal)
