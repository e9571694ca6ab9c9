"""Keys of a terminal, one at a time and at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType

_SEQUENCES = {  # the longer ones first
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1bOA": "up",
    b"\x1bOB": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
}


class Keys:
    """Standard input, read key by key; made by `keys_of_terminal`."""

    def __init__(self, wakes: int) -> None:
        self._input = sys.stdin.fileno()
        self._wakes = wakes
        self._typed = b""

    def read(self, timeout: float) -> str | None:
        """The next key: its character or its name. None after `timeout` seconds, and when the terminal was resized.

        Raises:
            EOFError: the terminal has gone.
        """
        if not self._typed:
            ready, _, _ = select.select([self._input, self._wakes], [], [], max(0.0, timeout))
            if self._wakes in ready:
                os.read(self._wakes, 64)
            if self._input not in ready:
                return None
            self._typed = os.read(self._input, 256)  # a sequence comes whole
            if not self._typed:
                raise EOFError
        for sequence, name in _SEQUENCES.items():
            if self._typed.startswith(sequence):
                self._typed = self._typed[len(sequence) :]
                return name
        key, self._typed = self._typed[:1], self._typed[1:]
        return key.decode("ascii", "replace")


@contextlib.contextmanager
def keys_of_terminal() -> Iterator[Keys]:
    """Keys come at once and are not shown, until the end of the block, whatever ends it, a signal included."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    wakes_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        tty.setcbreak(descriptor)
        yield Keys(reading)
    finally:
        signal.set_wakeup_fd(wakes_before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.close(reading)
        os.close(writing)
