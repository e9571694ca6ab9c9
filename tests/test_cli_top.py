"""`toroni top`: what it makes of two samples, and the program on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from command_line import fail
from toroni import Bus, unlink

pyte = pytest.importorskip("pyte", reason="looks at a terminal's screen")
pytest.importorskip("typer", reason="of the extra `cli`")

from rich.console import Console  # noqa: E402

from toroni.cli.screens import all_buses, bar, one_bus, sort_key, sparkline  # noqa: E402
from toroni.cli.watching import Watched  # noqa: E402

_PATIENCE = 30.0


# ---- what is shown


def lines(screen: object, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(screen)
    return captured.get().splitlines()


def test_rates_are_differences(bus_name: str) -> None:
    with Bus(bus_name, capacity="64 KiB") as bus, bus.subscribe("/t", label="one") as reader:
        watched = Watched(bus_name)
        watched.look(100.0)
        for _ in range(10):
            bus.post("/t", bytes(91))
        reader.recv_many(timeout=0)
        watched.look(102.0)
        assert watched.rates.messages == 5.0
        assert watched.rates.bytes == 10 * (91 + 2 + 10) / 2
        assert list(watched.rates.readers.values()) == [5.0]
        assert list(watched.history) == [5.0]
        bus.post("/t", bytes(32 << 10))
        watched.look(103.0)
        assert 49 < watched.lag_percent < 52
        watched.close()


def test_a_bus_that_is_removed_and_made_anew_is_another(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        bus.post("/t", b"")
        watched = Watched(bus_name)
        watched.look(0.0)
        unlink(bus_name)
    watched.look(1.0)
    assert watched.sample is not None
    assert watched.sample.statistics.is_unlinked
    watched.look(2.0)
    assert watched.is_missing
    assert "there is no bus" in str(watched.problem)
    with Bus(bus_name):
        watched.look(3.0)
        assert watched.problem is None
        assert watched.sample.statistics.messages == 0
        assert watched.rates.messages == 0
        watched.close()


def test_bars_and_sparklines() -> None:
    assert bar(0, 4).plain == "····"
    assert bar(50, 4).plain == "██··"
    assert bar(250, 4).plain == "████"
    assert [str(bar(percent, 4).style) for percent in (10, 50, 90)] == ["green", "yellow", "red"]
    assert sparkline([0, 1, 2, 4, 8], 4) == "▂▃▅█"
    assert sparkline([0, 8], 10) == "▁█"
    assert sparkline([0, 0], 10) == "▁▁"
    assert sparkline([], 10) == ""


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("height", [5, 15, 40])
def test_it_fits_the_screen(bus_name: str, width: int, height: int) -> None:
    """No line is wrapped, and the keys stay at the foot."""
    with Bus(bus_name, capacity="4 KiB") as bus:
        readers = [bus.subscribe("/t", label=f"a label [red] that is rather long {number}") for number in range(20)]
        watched = Watched(bus_name)
        for moment in range(3):
            bus.post("/t", bytes(500))
            watched.look(float(moment))
        single = lines(one_bus(watched, "lag", 0, width, height, False, True), width)
        assert len(single) <= height
        assert bus_name in single[0]
        assert " s  sorted by lag" in single[-1]
        every = lines(all_buses([watched] * 30, 25, width, height, True), width)
        assert len(every) <= height
        assert "30 buses" in every[0]
        if width >= 60:
            assert "PAUSED" in every[-1]
        for one in readers:
            one.close()
        watched.close()


def test_orders_of_readers(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/t") as behind, bus.subscribe("/t") as fast:
        watched = Watched(bus_name)
        watched.look(0.0)
        bus.post("/t", b"x")
        fast.recv(timeout=0)
        watched.look(1.0)
        assert watched.sample is not None
        slots = {
            sort: [one.slot for one in sorted(watched.sample.readers, key=sort_key(sort, watched.rates))]
            for sort in ("lag", "rate", "pid")
        }
        assert slots == {"lag": [0, 1], "rate": [1, 0], "pid": [0, 1]}
        assert behind.lag
        watched.close()


def test_what_cannot_be_seen_is_said(bus_name: str) -> None:
    watched = Watched(bus_name)
    watched.look(0.0)
    shown = lines(one_bus(watched, "lag", 0, 80, 10, False, False), 80)
    assert any("there is no bus" in line for line in shown)


# ---- the program


class Terminal:
    """A terminal with `toroni top` on it, and what its screen shows."""

    def __init__(self, *arguments: str, columns: int = 100, rows: int = 20) -> None:
        self._leader, terminal = pty.openpty()
        self.before = termios.tcgetattr(terminal)
        self.terminal = terminal
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        self._set_size(columns, rows)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "toroni", "top", "--every", "0.1", *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**environment, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def press(self, keys: bytes) -> None:
        os.write(self._leader, keys)

    def _read(self, seconds: float) -> None:
        if select.select([self._leader], [], [], seconds)[0]:
            read = os.read(self._leader, 65536)
            self.output += read
            self._stream.feed(read)

    def shows(self, met: Callable[[str], bool]) -> str:
        """The screen, once it shows that."""
        end = time.monotonic() + _PATIENCE
        while not met(text := "\n".join(self._screen.display)):
            assert time.monotonic() < end, f"this is still shown:\n{text}\n{self.output[-2000:]!r}"
            self._read(0.1)
        return text

    def ends(self) -> int:
        """Its exit status; the terminal must be as it was."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.05)
        self._read(0.05)
        assert termios.tcgetattr(self.terminal) == self.before
        assert self.output.rstrip().endswith((b"\x1b[?25h", b"\x1b[?1049l")), self.output[-100:]
        return self.process.wait(timeout=_PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)
        os.close(self.terminal)


@contextmanager
def top(*arguments: str, columns: int = 100, rows: int = 20) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, columns=columns, rows=rows)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_bus_and_its_readers_as_they_change(bus_name: str) -> None:
    code = f"""
import sys, toroni
reader = toroni.Bus({bus_name!r}).subscribe("/t", label="victim")
print(flush=True)
sys.stdin.read()
"""
    with (
        Bus(bus_name, capacity="64 KiB") as bus,
        bus.subscribe("/t", label="here [red]"),
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim,
        top(bus_name) as terminal,
    ):
        assert victim.stdout is not None
        victim.stdout.readline()
        text = terminal.shows(lambda text: "here [red]" in text and "victim" in text)
        assert "64.0 KiB, futex" in text
        bus.post("/t", bytes(32 << 10))
        terminal.shows(lambda text: "50 %" in text and "1 messages" in text)
        victim.kill()
        terminal.shows(lambda text: any("victim" in line and "dead" in line for line in text.splitlines()))
        terminal.press(b"s")
        terminal.shows(lambda text: "sorted by rate" in text)
        terminal.press(b"p")
        terminal.shows(lambda text: "PAUSED" in text)
        terminal.press(b"p")
        terminal.shows(lambda text: "PAUSED" not in text)
        terminal.resize(60, 12)
        terminal.shows(lambda text: "PROGRAM" not in text and "LABEL" in text)
        terminal.press(b"q")
        assert terminal.ends() == 0


def test_all_buses_and_back(bus_name: str) -> None:
    other = f"{bus_name}-x"
    try:
        with Bus(bus_name), Bus(other), top(columns=120, rows=60) as terminal:
            terminal.shows(lambda text: bus_name in text and other in text)
            terminal.press(b"\x1b[F")  # the last one
            terminal.press(b"\r")
            terminal.shows(lambda text: "back" in text)
            terminal.press(b"\x1b[A")
            terminal.press(b"b")
            terminal.shows(lambda text: "choose" in text)
            unlink(other)
            terminal.shows(lambda text: other not in text)
            terminal.press(b"q")
            assert terminal.ends() == 0
    finally:
        unlink(other)


def test_keys_that_are_typed_at_once(bus_name: str) -> None:
    with Bus(bus_name), top(bus_name) as terminal:
        terminal.shows(lambda text: bus_name in text)
        terminal.press(b"s\x1b[B\x1b[5~\x1b\x1b[Zxsq")
        assert terminal.ends() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_leave_the_terminal_as_it_was(bus_name: str, number: signal.Signals, status: int) -> None:
    with Bus(bus_name), top(bus_name) as terminal:
        terminal.shows(lambda text: bus_name in text)
        terminal.process.send_signal(number)
        assert terminal.ends() == status


def test_a_bus_that_comes_and_goes(bus_name: str) -> None:
    with Bus(bus_name), top(bus_name) as terminal:
        terminal.shows(lambda text: "futex" in text)
        unlink(bus_name)
        terminal.shows(lambda text: "there is no bus" in text)
        with Bus(bus_name, capacity="8 KiB"):
            terminal.shows(lambda text: "8.0 KiB" in text)
            terminal.press(b"q")
            assert terminal.ends() == 0


def test_without_a_terminal_or_a_bus(bus_name: str) -> None:
    assert "toroni info BUS --json" in fail(2, "top", bus_name)
    with top(bus_name) as terminal:
        terminal.shows(lambda text: f"there is no bus '{bus_name}'" in text)
        assert terminal.process.wait(timeout=_PATIENCE) == 1
