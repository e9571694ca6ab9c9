"""What the documents show: their fenced blocks, and terminals that run console blocks as a reader types them.

The commands of a page's console blocks are typed in order, in one directory; a python block with a title is a file in
it. A block with a title is a terminal of that name: its last command may go on, as a subscriber does, while others are
typed elsewhere; what it prints is compared when that terminal gets its next command, or at the end of the page, where
Ctrl-C ends it. `...` stands for anything in a line, and alone in a line for any lines; 4711 for any number. The bus
called plant has another name in each run.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import toroni
from processes import PATIENCE
from toroni import Bus

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *(ROOT / "docs").rglob("*.md")]
)
BUS = re.compile(r"(?<![\w/.-])plant(?!\w)|(?<=toroni-)plant(?=-r[bi])")

# What is not typed, and why; everything else is.
NOT_TYPED = {
    r"make\b": "long, or part of this run; that it is a target is checked",
    r"(python3? -m )?(pip|venv)\b|python3 -m venv|\. \.venv|source \.venv": "installs; the tests run in what it made",
    r"git clone|cd ": "the checkout is here",
    r"toroni (bench|demo)\b|(\S*/)?python -m toroni\.demo": "long; test_bench.py, test_bench_suites.py, test_demo.py",
    r"python -m toroni\.testing\.chaos": "long; test_chaos.py",
    r"toroni-agent|(TORONI_AGENT\S* )?tests/agents\.sh": "test_agent.py",
    r"python examples/": "test_examples.py",
    r"docker|podman|kubectl": "needs a container runtime",
}


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    title: str
    text: str


def blocks(page: Path, language: str = r"\w*") -> list[Block]:
    found = re.findall(
        rf"^( *)```({language})\b([^\n]*)\n(.*?)^\1```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    titles = [re.search(r'title="([^"]*)"', options) for _, _, options, _ in found]
    return [
        Block(kind, title[1] if title else "", textwrap.dedent(text))
        for (_, kind, _, text), title in zip(found, titles, strict=True)
    ]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command, and what is shown beneath it."""
    lines = block.text.splitlines()
    assert lines[0].startswith("$ "), block
    while lines:
        command = lines.pop(0).removeprefix("$ ")
        while command.count("'") % 2 or command.endswith("\\"):
            command += "\n" + lines.pop(0)
        shown = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0))
        yield command, "\n".join(shown)


def reason_not_to_type(command: str) -> str | None:
    return next((reason for start, reason in NOT_TYPED.items() if re.match(start, command)), None)


def expected(shown: str) -> re.Pattern[str]:
    """Of the whole output."""
    lines = [_expected_line(line) for line in _even(shown).splitlines()]
    return re.compile("".join(r"(?:.*\n)*" if line == ".*\n" else line for line in lines))


def _expected_line(line: str) -> str:
    return re.escape(line).replace(r"\.\.\.", ".*").replace("4711", r"\d+") + "\n"


def _even(text: str) -> str:
    """Tables are as wide as what is in them, such as the name of a bus: spaces count once, and none at either end."""
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


@dataclass
class _Running:
    command: str
    shown: str
    output: Path
    process: subprocess.Popen[bytes]


@dataclass
class Session:
    """The terminals of one page."""

    directory: Path
    bus: str
    running: dict[str, _Running] = field(default_factory=dict)
    started: int = 0

    def __post_init__(self) -> None:
        self.work = self.directory / "work"
        self.work.mkdir()
        (self.work / ".venv").symlink_to(sys.prefix)
        self.environment = {
            **os.environ,
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "PYTEST_ADDOPTS": "",  # of who runs these tests
        }

    def save(self, block: Block) -> None:
        """A python block with a title is a file of that name."""
        (self.work / block.title).write_text(BUS.sub(self.bus, block.text))

    def type(self, block: Block) -> None:
        for command, shown in commands(block):
            if reason_not_to_type(command) is None:
                self._compare(block.title)
                self._start(block.title, command, shown)
                if not block.title:
                    self.running[block.title].process.wait(PATIENCE)
                    self._compare(block.title)

    def _start(self, title: str, command: str, shown: str) -> None:
        self.started += 1
        output = self.directory / f"output{self.started}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", BUS.sub(self.bus, command)],
                cwd=self.work,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running[title] = _Running(command, shown, output, process)
        self._wait_until_it_waits(process)

    def _wait_until_it_waits(self, process: subprocess.Popen[bytes]) -> None:
        """Until the command has ended or a reader of its sleeps, as somebody sees who types the next one."""
        end = time.monotonic() + PATIENCE
        while process.poll() is None and not self._sleeps(process.pid):
            assert time.monotonic() < end, process.args
            time.sleep(0.01)

    def _sleeps(self, session: int) -> bool:
        """Opens a bus only if the command may read it: others would see this process among those that have it open."""
        for name in self._buses():
            if not any(_may_read(pid, name) for pid in _processes_of(session)):
                continue
            with suppress(toroni.BusNotFound, ProcessLookupError), Bus(name, role="observer") as bus:
                if any(one.alive and one.waiting and os.getsid(one.pid) == session for one in bus.readers()):
                    return True
        return False

    def _compare(self, title: str) -> None:
        """What a terminal shows with what the page shows; whatever still runs there is ended by Ctrl-C."""
        one = self.running.pop(title, None)
        if one is None:
            return
        pattern, end = expected(one.shown), time.monotonic() + PATIENCE
        while one.process.poll() is None and not pattern.fullmatch(self._output(one)) and time.monotonic() < end:
            time.sleep(0.01)
        output = self._output(one)
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGINT)
            one.process.wait(PATIENCE)
        assert pattern.fullmatch(output), f"$ {one.command}\n{output}--- instead of\n{one.shown}"

    def _output(self, one: _Running) -> str:
        return _even(one.output.read_text().replace(self.bus, "plant"))

    def finish(self) -> None:
        """Compares what is still to be compared."""
        for title in list(self.running):
            self._compare(title)

    def abandon(self) -> None:
        """Whatever happened: no process and no bus is left."""
        for one in self.running.values():
            if one.process.poll() is None:
                os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait(PATIENCE)
        for name in self._buses():
            toroni.unlink(name)

    def _buses(self) -> list[str]:
        return [name for name in toroni.buses() if name == self.bus or name.startswith(f"{self.bus}-")]


def _processes_of(session: int) -> list[int]:
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(ProcessLookupError):
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def _may_read(pid: int, bus: str) -> bool:
    """Maps the slots to write. By number: the name that the maker's mapping shows is that before the file had one."""
    with suppress(OSError):  # one of them is gone
        inode = os.stat(f"/dev/shm/toroni-{bus}-ri").st_ino
        return re.search(rf" rw-s \S+ \S+ {inode} ", Path(f"/proc/{pid}/maps").read_text()) is not None
    return False


def is_named_in(file: str, block: Block) -> bool:
    return any(file in shlex.split(command, comments=True) for command, _ in commands(block))
