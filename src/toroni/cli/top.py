"""`toroni top`: the buses of this machine, or one of them, as they change."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from toroni import Bus, buses
from toroni.cli.keys import Keys, keys_of_terminal
from toroni.cli.options import CommandError
from toroni.cli.screens import SORTS, all_buses, one_bus
from toroni.cli.watching import Watched

_PAGE = 10


def top(
    bus: Annotated[str | None, typer.Argument(help="The bus's name; none: all.", show_default=False)] = None,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 1.0,
) -> int:
    """Shows all buses, or one with its readers, full-screen, with rates and how far each reader is behind.

    Takes no part in any of them. The keys are shown at the foot. Exit status: 0 after q; 1 if there is no such bus;
    2 if there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("there is no terminal for `toroni top`; `toroni info BUS --json` is for programs")
    if bus is not None:
        Bus(bus, role="observer").close()  # raises, where it cannot be seen
    console = Console(highlight=False)
    with keys_of_terminal() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        _Top(bus, every, keys, console, live).run()
    return 0


class _Top:
    def __init__(self, bus: str | None, every: float, keys: Keys, console: Console, live: Live) -> None:
        self._only = bus
        self._every, self._keys, self._console, self._live = every, keys, console, live
        self._watched: dict[str, Watched] = {}
        self._opened = bus
        self._selected = self._scrolled = 0
        self._sort = SORTS[0]
        self._paused = False

    def run(self) -> None:
        """Until it is to end."""
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                due = max(due + self._every, now)
                if not self._paused:
                    self._look(now)
            self._live.update(self._screen(), refresh=True)
            try:
                key = self._keys.read(due - time.monotonic())
            except EOFError:
                return
            if key == "q":
                return
            if key is not None:
                self._handle(key)

    def _look(self, now: float) -> None:
        names = [self._only] if self._only is not None else buses()
        for name in self._watched.keys() - set(names) - {self._opened}:
            self._watched.pop(name).close()
        for name in names:
            self._watched.setdefault(name, Watched(name))
        for one in self._watched.values():
            one.look(now)

    def _sorted(self) -> list[Watched]:
        return [one for name, one in sorted(self._watched.items()) if not one.is_missing or name == self._opened]

    def _screen(self) -> RenderableType:
        width, height = self._console.size
        if self._opened is None:
            watched = self._sorted()
            self._selected = max(0, min(self._selected, len(watched) - 1))
            return all_buses(watched, self._selected, width, height, self._paused)
        watched_one = self._watched.setdefault(self._opened, Watched(self._opened))
        readers = len(watched_one.sample.readers) if watched_one.sample else 0
        self._scrolled = max(0, min(self._scrolled, readers - 1))
        back = self._only is None
        return one_bus(watched_one, self._sort, self._scrolled, width, height, self._paused, back)

    def _handle(self, key: str) -> None:
        step = {"up": -1, "down": 1, "page up": -_PAGE, "page down": _PAGE, "home": -(10**6), "end": 10**6}.get(key, 0)
        if key == "p":
            self._paused = not self._paused
        elif self._opened is None:
            self._selected += step
            if key == "enter" and self._sorted():
                self._opened = self._sorted()[max(0, min(self._selected, len(self._sorted()) - 1))].name
                self._scrolled = 0
        else:
            self._scrolled += step
            if key == "s":
                self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
            if key in ("escape", "b") and self._only is None:
                self._opened = None
