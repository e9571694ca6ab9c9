"""What the run shows: a bar on a terminal if rich is installed, else a line now and then."""

from __future__ import annotations

import importlib.util
import sys
import time
from types import TracebackType
from typing import Any

_LINE_EVERY_SECONDS = 10.0
_BAR_EVERY_SECONDS = 0.2


class Display:
    """Says everything on standard output. It has no thread: the run forks."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic()
        self._shown = self._began
        self._bar: Any = None
        if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
            from rich.progress import Progress

            self._bar = Progress(auto_refresh=False)
            self._task = self._bar.add_task("chaos", total=seconds)

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def show(self, text: str = "") -> None:
        """How far the run is, if that has not been said for a while; with a text what it has seen."""
        now = time.monotonic()
        if self._bar is not None and now >= self._shown + _BAR_EVERY_SECONDS:
            self._shown = now
            self._bar.update(self._task, completed=now - self._began, refresh=True)
        elif self._bar is None and text and now >= self._shown + _LINE_EVERY_SECONDS:
            self._shown = now
            self.note(f"{min(1.0, (now - self._began) / self._seconds):4.0%}  {text}")
