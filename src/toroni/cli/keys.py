"""Keys of a terminal, one at a time and at once, and its settings, which are left as they were."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType

_NAMES = {
    **{b"[A": "up", b"[B": "down", b"OA": "up", b"OB": "down", b"[5~": "page up", b"[6~": "page down"},
    **{b"[H": "home", b"OH": "home", b"[1~": "home", b"[F": "end", b"OF": "end", b"[4~": "end"},
}
_SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|O[ -~])")
_BEGUN = re.compile(rb"\x1b(\[[0-?]*[ -/]*|O)?")
_LONGEST_SEQUENCE = 32  # bytes; nobody waits for the end of a longer one
_NEXT_BYTE_SECONDS = 0.05  # a sequence may come in parts, over a network; who presses Escape waits as long

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Keys:
    """Standard input, read key by key; made by `keys_of_terminal`."""

    def __init__(self, wakes: int) -> None:
        self._input = sys.stdin.fileno()
        self._wakes = wakes
        self._typed = b""
        self._before = termios.tcgetattr(self._input)
        self.is_to_stop = False

    def read(self, timeout: float) -> str | None:
        """The next key: its character or its name, "" for one that has none here, "stop" when we are to stop.

        Returns:
            None after `timeout` seconds, and when the terminal was resized.

        Raises:
            EOFError: the terminal has gone.
        """
        if not self._typed and not self.is_to_stop:
            ready, _, _ = select.select([self._input, self._wakes], [], [], max(0.0, timeout))
            if self._wakes in ready:
                os.read(self._wakes, 64)
            if self._input in ready:
                self._read_more()
        if self.is_to_stop:
            self.is_to_stop = False
            return "stop"
        if not self._typed:
            return None
        while _BEGUN.fullmatch(self._typed) and len(self._typed) < _LONGEST_SEQUENCE:
            if not select.select([self._input], [], [], _NEXT_BYTE_SECONDS)[0]:
                break
            self._read_more()
        if sequence := _SEQUENCE.match(self._typed):
            self._typed = self._typed[sequence.end() :]
            return _NAMES.get(sequence[1], "")
        key, self._typed = self._typed[:1], self._typed[1:]
        return {b"\x1b": "escape", b"\r": "enter", b"\n": "enter"}.get(key) or key.decode("ascii", "replace")

    def _read_more(self) -> None:
        try:
            more = os.read(self._input, 256)
        except OSError:
            raise EOFError from None
        if not more:
            raise EOFError
        self._typed += more

    def take(self) -> None:
        """The terminal gives keys at once and does not show them; those that were typed before count."""
        tty.setcbreak(self._input, termios.TCSADRAIN)

    def give_back(self) -> None:
        """The terminal is as it was."""
        with contextlib.suppress(termios.error):  # it has gone
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def stop(self) -> None:
        """Until a shell lets us go on, with the terminal in its hands meanwhile."""
        self.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.take()


def ignore_ending() -> None:
    """From now on no signal disturbs the end."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    ignore_ending()
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


@contextlib.contextmanager
def keys_of_terminal() -> Iterator[Keys]:
    """Keys come at once and are not shown, until the end of the block, whatever ends it, a signal included."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    keys = Keys(reading)

    def stop(number: int, frame: FrameType | None) -> None:
        keys.is_to_stop = True

    wakes_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _end) for number in _ENDING}
    handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, stop)
    handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    try:
        keys.take()
        yield keys
    finally:
        ignore_ending()
        keys.give_back()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakes_before)
        os.close(reading)
        os.close(writing)
