"""`toroni top`: what it makes of two samples, and the program on a terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import fail
from toroni import Bus, BusNotReady, unlink

pyte = pytest.importorskip("pyte", reason="looks at a terminal's screen")
pytest.importorskip("typer", reason="of the extra `cli`")

from rich.console import Console  # noqa: E402

from toroni.cli import keys, watching  # noqa: E402
from toroni.cli.screens import all_buses, bar, one_bus, sort_key, sparkline  # noqa: E402
from toroni.cli.watching import Watched  # noqa: E402

_PATIENCE = 30.0


# ---- what is shown


def lines(screen: object, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
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
    assert watched.sample is None
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
        single = lines(one_bus(watched, "lag", 0, width, height, False, True), width, height)
        assert len(single) == height
        assert bus_name in single[0]
        assert " s  sorted by lag" in single[-1]
        if height > 5:
            assert any("PID" in line and "LOSSES" in line and "LAG" in line for line in single) == (width >= 60)
            assert any("BEHIND" in line and "PROGRAM" in line for line in single) == (width >= 80)
            assert any("a label" in line and "reads" in line for line in single) == (width >= 60)
        every = lines(all_buses([watched] * 30, 25, width, height, True), width, height)
        assert len(every) == height
        assert "30 buses" in every[0]
        assert "PAUSED" in every[-1]
        if width >= 60:
            assert " q  quit" in single[-1]
            assert " q  quit" in every[-1]
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
    shown = lines(one_bus(watched, "lag", 0, 80, 10, False, False), 80, 10)
    assert any("there is no bus" in line for line in shown)
    narrow = lines(one_bus(watched, "lag", 0, 30, 10, False, False), 30, 10)
    assert len(narrow) == 10
    assert " s  sorted by lag" in narrow[-1]


def test_the_history_is_of_whole_seconds(bus_name: str) -> None:
    """Or a minute would not fit, where we look ten times a second."""
    with Bus(bus_name) as bus:
        watched = Watched(bus_name)
        for tenth in range(21):
            watched.look(tenth / 10)
            bus.post("/t", b"x")
        assert list(watched.history) == [pytest.approx(10.0)] * 2
        watched.close()
        assert list(watched.history) == []


def test_a_look_does_not_wait_for_a_bus_that_is_being_made(bus_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_made = threading.Event()

    def slow_bus(name: str, role: Any) -> Bus:
        assert is_made.wait(_PATIENCE)
        return Bus(name, role=role)

    monkeypatch.setattr(watching, "Bus", slow_bus)
    with Bus(bus_name):
        watched = Watched(bus_name)
        for moment in range(3):
            watched.look(float(moment))
            assert "another process is making it" in str(watched.problem)
        is_made.set()
        end = time.monotonic() + _PATIENCE
        while watched.sample is None:
            assert time.monotonic() < end
            watched.look(time.monotonic())
        assert watched.problem is None
        watched.close()


def test_who_died_while_making_a_bus_is_not_waited_for_again_and_again(
    bus_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def half_bus(name: str, role: str) -> Bus:
        tries.append(name)
        raise BusNotReady("half of it is missing")

    monkeypatch.setattr(watching, "Bus", half_bus)
    monkeypatch.setattr(watching, "_OPENING_SECONDS", _PATIENCE)
    watched = Watched(bus_name)
    for moment in range(20):
        watched.look(float(moment))
        assert watched.problem == "half of it is missing"
    assert len(tries) == 2


def test_a_name_that_is_no_text() -> None:
    """Anybody can give a file such a name; it must not end the view of all the others."""
    watched = Watched(os.fsdecode(b"pytest-\xff"))
    watched.look(0.0)
    shown = lines(all_buses([watched], 0, 80, 10, False), 80, 10)
    assert any("not UTF-8" in line for line in shown)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_row_has_room_for_what_is_wrong(bus_name: str, width: int) -> None:
    with Bus(bus_name):
        good, bad = Watched(bus_name), Watched("bad")
        good.look(0.0)
        bad.problem = f"{bus_name} is another user's, and its mode [0600] forbids that you open it" * 3
        shown = lines(all_buses([bad, good, bad], 2, width, 20, False), width, 20)
        assert [line.split()[0] for line in shown if line.strip()][2:5] == ["bad:", bus_name, "bad:"]
        for line in shown[3], shown[5]:
            assert line.startswith(f"bad: {bus_name} is another user's, and its")
            assert line.rstrip().endswith("…")
        good.close()


def test_who_holds_the_lock_and_who_is_foreign(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/t", label="cpp"):
        watched = Watched(bus_name)
        watched.look(0.0)
        assert watched.sample is not None
        (reader,) = watched.sample.readers
        names = ("slot", "start_time", "label", "alive", "active", "waiting", "lag", "lag_percent", "losses")
        foreign: Any = SimpleNamespace(**{name: getattr(reader, name) for name in names}, pid=0, foreign=True)
        counters = ("capacity", "created", "is_unlinked", "messages", "losses", "overwritten")
        values = {name: getattr(watched.sample.statistics, name) for name in counters}
        statistics: Any = SimpleNamespace(**values, is_foreign=True, lock_holder=os.getpid())
        watched.sample = dataclasses.replace(watched.sample, statistics=statistics, readers=[foreign])
        shown = "\n".join(lines(one_bus(watched, "lag", 0, 160, 20, False, False), 160, 20))
        assert f"writer lock: {os.getpid()} (" in shown
        assert "made by a C++ or Java process" in shown
        assert re.search(r"\? +cpp +reads, foreign", shown)
        watched.close()


# ---- keys


def test_keys_that_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a network; those that have no name here are no Escape."""
    leader, terminal = pty.openpty()
    wakes, wakes_end = os.pipe()
    read = os.read
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, 1))
        typed = keys.Keys(wakes)
        typed.take()
        os.write(leader, b"\x1b[B\x1b[3~\x1b[1;5C\x1bOHs\x1b[6~\x1b\x1b[A\r")
        expected = ["down", "", "", "home", "s", "page down", "escape", "up", "enter"]
        assert [typed.read(_PATIENCE) for _ in expected] == expected
        assert typed.read(0) is None
        os.write(leader, b"\x1b")
        assert typed.read(_PATIENCE) == "escape"
        typed.give_back()
    for one in (leader, wakes, wakes_end):
        os.close(one)


# ---- the program


class Terminal:
    """A terminal with `toroni top` on it, and what its screen shows."""

    def __init__(self, *arguments: str, columns: int = 100, rows: int = 20, **variables: str) -> None:
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
            stderr=subprocess.PIPE,
            env={**environment, "TERM": "xterm-256color", **variables},
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

    def read(self, seconds: float) -> bool:
        """Whether there was anything to read."""
        if not select.select([self._leader], [], [], seconds)[0]:
            return False
        read = os.read(self._leader, 65536)
        self.output += read
        self._stream.feed(read)
        return True

    def shows(self, met: Callable[[str], bool]) -> str:
        """The screen, once it shows that."""
        end = time.monotonic() + _PATIENCE
        while not met(text := "\n".join(self._screen.display)):
            assert time.monotonic() < end, f"this is still shown:\n{text}\n{self.output[-2000:]!r}"
            self.read(0.1)
        return text

    def ends(self) -> int:
        """Its exit status; the terminal must be as it was."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.read(0.05)
        self.is_left()
        status = self.process.wait(timeout=_PATIENCE)
        assert self.says() == ""
        return status

    def is_left(self) -> None:
        """The main screen is shown, and the cursor."""
        assert termios.tcgetattr(self.terminal) == self.before
        assert self.output.rfind(b"\x1b[?1049l") > self.output.rfind(b"\x1b[?1049h"), self.output[-100:]
        assert self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l"), self.output[-100:]

    def says(self) -> str:
        """On standard error, until its end."""
        return self.process.communicate(timeout=_PATIENCE)[1].decode()

    def is_stopped(self) -> bool:
        """Whether a signal has just stopped it."""
        self.read(0.05)
        return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG) is not None

    def hang_up(self) -> None:
        """Whoever was at the terminal has gone."""
        os.close(self._leader)
        self._leader = -1

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        if self._leader >= 0:
            os.close(self._leader)
        os.close(self.terminal)


@contextlib.contextmanager
def top(*arguments: str, columns: int = 100, rows: int = 20, **variables: str) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, columns=columns, rows=rows, **variables)
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
        bus.subscribe("/t", label="here [red]") as reader,
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
        reader.recv(timeout=0)
        # The dead one is further behind than all others, and of no interest.
        last = re.compile(r"here .* reads .*victim +dead +\d+ +\d+ *\n", re.DOTALL)
        terminal.shows(lambda text: last.search(text) is not None)
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


def test_scrolling_goes_no_further_than_the_last_reader(bus_name: str) -> None:
    """And back at once."""
    with Bus(bus_name) as bus, contextlib.ExitStack() as readers, top(bus_name) as terminal:
        for number in range(30):
            readers.enter_context(bus.subscribe("/t", label=f"reader {number}."))
        terminal.shows(lambda text: "reader 0." in text and "reader 29." not in text)
        terminal.press(b"\x1b[6~\x1b[6~\x1b[6~\x1b[F\x1b[B")
        terminal.shows(lambda text: "reader 29." in text)
        terminal.press(b"\x1b[A")
        terminal.shows(lambda text: "reader 28." in text and "reader 29." not in text)
        terminal.press(b"\x1b[H")
        terminal.shows(lambda text: "reader 0." in text)
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


def test_the_selected_bus_stays_selected(bus_name: str) -> None:
    """Also when others come before it."""
    earlier, selected = f"~{bus_name}-a", f"~{bus_name}-b"  # behind those of other tests
    try:
        with Bus(selected), top(columns=120, rows=60) as terminal:
            terminal.shows(lambda text: selected in text)
            terminal.press(b"\x1b[F")
            with Bus(earlier):
                terminal.shows(lambda text: earlier in text)
                terminal.press(b"\r")
                text = terminal.shows(lambda text: "back" in text)
                assert text.startswith(selected)
                terminal.press(b"\x1b[D\x1b[3~s")  # keys that mean nothing do not go back
                text = terminal.shows(lambda text: "sorted by rate" in text)
                assert text.startswith(selected)
                terminal.press(b"q")
                assert terminal.ends() == 0
    finally:
        unlink(earlier)
        unlink(selected)


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


def test_it_stops_and_goes_on(bus_name: str) -> None:
    """As Ctrl-Z has it, with the terminal as the shell wants it meanwhile."""
    with Bus(bus_name), top(bus_name) as terminal:
        terminal.shows(lambda text: bus_name in text)
        terminal.process.send_signal(signal.SIGTSTP)
        end = time.monotonic() + _PATIENCE
        while not terminal.is_stopped():
            assert time.monotonic() < end
        while terminal.read(0.05):
            pass
        terminal.is_left()
        terminal.output = b""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.press(b"s")
        terminal.shows(lambda text: "sorted by rate" in text)
        assert b"\x1b[?1049h" in terminal.output
        terminal.press(b"q")
        assert terminal.ends() == 0


def test_a_terminal_that_goes(bus_name: str) -> None:
    with Bus(bus_name), top(bus_name) as terminal:
        terminal.shows(lambda text: bus_name in text)
        terminal.hang_up()
        assert terminal.says() == ""
        assert terminal.process.returncode == 129


def test_what_the_environment_says_of_the_terminal(bus_name: str) -> None:
    with Bus(bus_name):
        with top(bus_name, TERM="dumb") as terminal:
            assert terminal.says().startswith("toroni: the terminal, as TERM says, cannot show")
            assert terminal.process.returncode == 2
        # What it says of the size is of the past, and not every terminal has these characters.
        with top(bus_name, COLUMNS="30", LINES="5", PYTHONIOENCODING="ascii", TTY_COMPATIBLE="0") as terminal:
            terminal.shows(lambda text: "nobody reads" in text and "quit" in text and "writer lock free" in text)
            terminal.press(b"q")
            assert terminal.ends() == 0


def test_without_a_terminal_or_a_bus(bus_name: str) -> None:
    assert "toroni info BUS --json" in fail(2, "top", bus_name)
    for every in ("nan", "inf", "0", "1e12"):
        assert "--every" in fail(2, "top", bus_name, "--every", every)
    with top(bus_name) as terminal:
        assert f"there is no bus '{bus_name}'" in terminal.says()
        assert terminal.process.returncode == 1
