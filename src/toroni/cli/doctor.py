"""`toroni doctor`: what is wrong with this machine, or with one bus, and what to do."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Iterator
from functools import partial
from shlex import quote
from typing import Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from toroni import Bus, BusDamaged, InvalidArgument, Multicast, ToroniError
from toroni.cli import checks_bus, checks_files, checks_machine
from toroni.cli.findings import Finding, Result, ok, problem, problem_of, warning
from toroni.cli.formats import printable
from toroni.cli.multicast import why_no_multicast
from toroni.cli.options import CommandError
from toroni.cli.screen import console_for_output
from toroni.cli.trials import trials

_COLOURS: dict[Result, str] = {"OK": "green", "warning": "yellow", "problem": "bold red"}
_NAME_WIDTH = 16
_WIDEST = 120  # lines that are longer are hard to read

_Named = Iterator[tuple[str, Finding]]


def doctor(
    bus: Annotated[str | None, typer.Argument(help="Also looks at this bus, and changes nothing there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs: one JSON list, see below.")] = False,
) -> int:
    """Says what is wrong with this machine, or with a bus, and what to do about it.

    It makes a bus of its own for a moment, passes messages to another process, and kills that process.

    With --json, each check is an object with "check" (its name), "result" ("OK", "warning" or "problem"), "text" and
    "remedy" (may be empty). Checks whose ground is missing are left out: without a bus nothing is said of its readers.

    Exit status: 0 if there is no problem, warnings or not; 1 if there is one; 2 if it cannot run.
    """
    opened = None if bus is None else _open(bus)
    show = _Collected() if json else _Shown()
    show.head("this machine")
    for name, found in _of_machine():
        show.add(name, found)
    if bus is not None and opened is not None:
        show.head(f"the bus {printable(bus)}")
        for name, found in _of_bus(bus, opened):
            show.add(name, found)
    show.end()
    return 1 if any(one.result == "problem" for one in show.findings.values()) else 0


def _of_machine() -> _Named:
    for name, check in checks_machine.CHECKS.items():
        yield name, _tried(check)
    yield from trials()
    yield "multicast", _tried(_multicast)


def _multicast() -> Finding:
    if why := why_no_multicast(Multicast()):
        return warning(f"{why[0]}; only buses with notifier='multicast' need it", why[1])
    return ok("a datagram came back on the loopback interface, as buses with notifier='multicast' need")


def _open(name: str) -> Bus | ToroniError:
    """As an observer, which leaves no trace; or why not.

    Raises:
        CommandError: there can be no such bus.
    """
    try:
        return Bus(name, role="observer")
    except InvalidArgument as error:
        raise CommandError(str(error)) from None
    except ToroniError as error:
        return error


def _of_bus(name: str, opened: Bus | ToroniError) -> _Named:
    for check, look in checks_files.CHECKS.items():
        found = _tried(partial(look, name))
        yield check, found
        if found.result == "problem":
            return
    if isinstance(opened, ToroniError):
        found = problem_of(opened)
        if isinstance(opened, BusDamaged):
            found = problem(str(opened), f"`toroni rm {quote(name)}` removes it; then start its processes anew")
        yield "opening", found
        return
    with opened:
        yield "opening", ok("both files are whole, and of this PID namespace")
        for check, look_at in checks_bus.CHECKS.items():
            yield check, _tried(partial(look_at, opened))


def _tried(check: Callable[[], Finding]) -> Finding:
    """What it finds; that something of the system could not be read is not wrong by itself."""
    try:
        return check()
    except (OSError, ValueError, ToroniError) as error:
        return warning(f"cannot be checked: {error}", "mend what is said above; look whether /proc is mounted")


class _Collected:
    """One JSON list, at the end."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}

    def head(self, text: str) -> None:
        """What the next findings are about."""

    def add(self, name: str, found: Finding) -> None:
        """The next one."""
        self.findings[name] = found

    def end(self) -> None:
        """There are no more."""
        print(
            json_format.dumps(
                [
                    {"check": name, "result": one.result, "text": one.text, "remedy": one.remedy}
                    for name, one in self.findings.items()
                ],
                indent=1,
            )
        )


class _Shown(_Collected):
    """Each as soon as it is known: laid out on a terminal, and one line for each text elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._console = console_for_output()
        if self._console.is_terminal:
            self._console.width = min(self._console.width, _WIDEST)

    def head(self, text: str) -> None:
        self._line(Text(text, "bold"))

    def add(self, name: str, found: Finding) -> None:
        super().add(name, found)
        mark = Text(found.result, _COLOURS[found.result])
        remedy = Text(found.remedy, "italic")
        if not self._console.is_terminal:
            self._line(Text(f"{mark.plain:<8} {name:<{_NAME_WIDTH}} {found.text}"))
            if found.remedy:
                self._line(Text(f"{'':<8} {'':<{_NAME_WIDTH}} -> {found.remedy}"))
            return
        table = Table.grid(padding=(0, 1))
        table.add_column(width=8)
        table.add_column(width=_NAME_WIDTH)
        table.add_column(overflow="fold")
        table.add_row(mark, name, Text(found.text))
        if found.remedy:
            table.add_row("", "", Padding(remedy, (0, 0, 0, 2)))
        self._console.print(table)

    def end(self) -> None:
        results = [one.result for one in self.findings.values()]
        problems, warnings = _counted(results, "problem"), _counted(results, "warning")
        self._line(Text(f"{len(results)} checks: {problems}, {warnings}", "bold"))

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _counted(results: list[Result], which: Result) -> str:
    number = results.count(which)
    return f"{number or 'no'} {which}{'' if number == 1 else 's'}"
