"""`toroni top`: the buses of this machine, or one of them, as they change."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
from typing import Annotated

import typer
from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live

from toroni import Bus, buses
from toroni.cli.keys import Keys, ignore_ending, keys_of_terminal
from toroni.cli.options import CommandError, Every
from toroni.cli.screens import SORTS, all_buses, one_bus
from toroni.cli.watching import Watched

_PAGE = 10
_STEPS = {"up": -1, "down": 1, "page up": -_PAGE, "page down": _PAGE, "home": -(10**6), "end": 10**6}


def top(
    bus: Annotated[str | None, typer.Argument(help="The bus's name; none: all.", show_default=False)] = None,
    every: Every = 1.0,
) -> int:
    """Shows all buses, or one with its readers, full-screen, with rates and how far each reader is behind.

    Takes no part in any of them. The keys are shown at the foot. Exit status: 0 after q; 1 if there is no such bus;
    2 if there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("there is no terminal for `toroni top`; `toroni info BUS --json` is for programs")
    if bus is not None:
        Bus(bus, role="observer").close()  # raises, where it cannot be seen
    if not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    console = Console(highlight=False, force_terminal=True)  # it is one, whatever the environment says
    if console.is_dumb_terminal:
        raise CommandError("the terminal, as TERM says, cannot show `toroni top`; `toroni info BUS` shows it once")
    try:
        with keys_of_terminal() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
            try:
                _Top(bus, every, keys, console, live).run()
            finally:
                ignore_ending()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        # The terminal has gone, and with it what was to be written to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGHUP
    return 0


class _Top:
    def __init__(self, bus: str | None, every: float, keys: Keys, console: Console, live: Live) -> None:
        self._only = bus
        self._every, self._keys, self._console, self._live = every, keys, console, live
        self._watched: dict[str, Watched] = {}
        self._opened = bus
        self._selected = self._scrolled = 0
        self._selected_name = ""  # whose place changes, as buses come and go
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
            self._console.size = _size_of_terminal()
            self._live.update(self._screen(), refresh=True)
            try:
                key = self._keys.read(due - time.monotonic())
            except EOFError:
                return
            if key == "q":
                return
            if key == "stop":
                self._live.stop()
                self._keys.stop()
                self._live.start()
            elif key is not None:
                self._handle(key)

    def _look(self, now: float) -> None:
        names = [self._only] if self._only is not None else buses()
        for name in self._watched.keys() - set(names) - {self._opened}:
            self._watched.pop(name).close()
        for name in names:
            self._watched.setdefault(name, Watched(name))
        for one in self._watched.values():
            one.look(now)

    def _shown(self) -> list[Watched]:
        """All but those that have gone, and which of them is selected."""
        shown = [one for name, one in sorted(self._watched.items()) if not one.is_missing]
        names = [one.name for one in shown]
        if self._selected_name in names:
            self._selected = names.index(self._selected_name)
        self._select(shown, 0)
        return shown

    def _select(self, shown: list[Watched], step: int) -> None:
        self._selected = max(0, min(self._selected + step, len(shown) - 1))
        self._selected_name = shown[self._selected].name if shown else ""

    def _screen(self) -> RenderableType:
        width = self._console.width
        if self._opened is None:
            return all_buses(self._shown(), self._selected, width, self._console.height, self._paused)
        watched = self._watched.setdefault(self._opened, Watched(self._opened))
        self._scrolled = max(0, self._scrolled)
        height, back = self._console.height, self._only is None
        screen = one_bus(watched, self._sort, self._scrolled, width, height, self._paused, back)
        self._scrolled = screen.first
        return screen

    def _handle(self, key: str) -> None:
        step = _STEPS.get(key, 0)
        if key == "p":
            self._paused = not self._paused
        elif self._opened is None:
            shown = self._shown()
            self._select(shown, step)
            if key == "enter" and shown:
                self._opened = self._selected_name
                self._scrolled = 0
        else:
            self._scrolled += step
            if key == "s":
                self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
            if key in ("escape", "b") and self._only is None:
                self._opened = None


def _size_of_terminal() -> ConsoleDimensions:
    """As it is now. COLUMNS and LINES do not follow it, and count only where it has no size, as some remote ones."""
    size = os.get_terminal_size(sys.stdout.fileno())
    if size.columns <= 0 or size.lines <= 0:
        size = shutil.get_terminal_size()
    return ConsoleDimensions(size.columns, size.lines)
