"""`toroni rm` and `toroni gc`: buses that nobody needs any more."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from toroni import BusNotFound, ToroniError, buses, unlink
from toroni.cli.formats import printable
from toroni.cli.inspection import Inspection, inspect
from toroni.cli.options import CommandError, JsonDocument
from toroni.cli.readable import readable_bytes
from toroni.cli.screen import console_for_errors, console_for_output


def rm(
    names: Annotated[list[str], typer.Argument(metavar="bus", help="The buses' names.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", "-f", help="Also a bus that is, or could be, in use.")] = False,
) -> int:
    """Removes buses.

    A bus that a process has open, or could have for all that can be seen, is left alone, unless --force is given; then
    those who have it open go on with it, and who opens it later makes a new one. Exit status: 0; 1 if there is no such
    bus, or it is left, or it is not ours to remove.
    """
    status = 0
    for bus in inspect(names):
        if bus.is_in_use is not False and not force:
            _say(f"the bus '{bus.name}' is left: {_why_kept(bus)}; --force removes it all the same")
            status = 1
        elif (problem := _remove(bus.name)) is not None:
            _say(problem)
            status = 1
    return status


def gc(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="bus", help="Only these; none: all.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Does not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would be removed.")] = False,
    json: JsonDocument = False,
) -> int:
    """Removes the buses that no process has open, after asking.

    Left alone are also those of another PID namespace, and those that another user's process could have open, which
    cannot be seen; an administrator's could have any. With --json, an object with "unused" and "removed" (lists of
    names), and "kept" (an object of names and reasons). Exit status: 0, whatever is answered; 1 if there is no such
    bus, or one could not be removed; 2 if there is nobody to ask.
    """
    existing = buses()
    for name in names or ():
        if name not in existing:
            raise BusNotFound(f"there is no bus '{name}'")
    found = [one for one in inspect(names or existing) if not one.has_gone]
    unused = [one for one in found if one.is_in_use is False]
    kept = {one.name: _why_kept(one) for one in found if one.is_in_use is not False}
    console = console_for_errors() if json else console_for_output()
    if not json:
        _show(console, unused, kept)
    removed: list[Inspection] = []
    status = 0
    if unused and not dry_run and (yes or _agrees(console, unused, json)):
        for bus in unused:
            (now,) = inspect([bus.name])  # somebody may have come while we asked
            if now.is_in_use is not False:
                kept[bus.name] = _why_kept(now)
            elif (problem := _remove(bus.name)) is not None:
                kept[bus.name], status = problem, 1
            else:
                removed.append(bus)
                continue
            _say(f"'{bus.name}' is left: {kept[bus.name]}")
        if not json:
            print(f"removed {len(removed)}, which frees {readable_bytes(sum(one.memory for one in removed))}")
    if json:
        names_of = ([one.name for one in unused], [one.name for one in removed])
        print(json_format.dumps({"unused": names_of[0], "removed": names_of[1], "kept": kept}))
    return status


def _remove(name: str) -> str | None:
    """Removes a bus; or why that could not be."""
    try:
        return None if unlink(name) else str(BusNotFound(f"there is no bus '{name}'"))
    except ToroniError as error:
        return str(error)


def _show(console: Console, unused: list[Inspection], kept: dict[str, str]) -> None:
    for name, reason in kept.items():
        console.print(Text(f"left alone: {printable(name)}: {printable(reason)}"))
    if not unused:
        console.print("there is no bus that nobody has open")
        return
    console.print(f"{len(unused)} {'bus' if len(unused) == 1 else 'buses'} that nobody has open:")
    for bus in unused:
        messages = "" if bus.statistics is None else f", {bus.statistics.messages:,} messages were posted"
        console.print(Text(f"  {printable(bus.name)}  {readable_bytes(bus.memory)}{messages}"))


def _agrees(console: Console, unused: list[Inspection], json: bool) -> bool:
    """What a person says, who must see first what it is about."""
    if not sys.stdin.isatty():
        raise CommandError("there is nobody to ask whether to remove them: --yes removes, --dry-run only looks")
    if json:
        _show(console, unused, {})
    try:
        return Confirm.ask(f"Remove {'it' if len(unused) == 1 else 'them'}?", console=console, default=False)
    except (EOFError, KeyboardInterrupt) as ended:  # Ctrl-D, Ctrl-C
        console.print()
        if isinstance(ended, KeyboardInterrupt):
            raise
        return False


def _why_kept(bus: Inspection) -> str:
    if bus.is_in_use:
        return f"in use by {_users(bus)}"
    if bus.is_elsewhere:
        return bus.problem or ""
    return "it could be in use by processes of other users, which cannot be seen"


def _users(bus: Inspection) -> str:
    pids = {one.pid: one.program for one in bus.attached.processes}
    pids |= {one.pid: "" for one in bus.readers if one.alive and one.pid not in pids}
    return ", ".join(
        ("a C++ or Java process" if not pid else f"process {pid}") + (f" ({name})" if name else "")
        for pid, name in pids.items()
    )


def _say(text: str) -> None:
    print(f"toroni: {printable(text)}", file=sys.stderr)
