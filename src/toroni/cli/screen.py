"""Where tables go."""

from __future__ import annotations

from rich.console import Console

_WIDTH_OF_NO_TERMINAL = 200


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read it has gone: as for any other output, instead of ending the program here."""
        raise BrokenPipeError


def console_for_output() -> Console:
    """Standard output: as wide as its terminal, and wide enough for everything where it is none."""
    console = _Output(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_NO_TERMINAL
    return console
