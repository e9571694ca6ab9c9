"""`toroni rm` and `toroni gc`: buses that nobody needs any more."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

import typer

from toroni import BusNotFound, buses, unlink
from toroni.cli.formats import printable
from toroni.cli.inspection import Inspection, inspect
from toroni.cli.options import CommandError, Json
from toroni.cli.readable import readable_bytes


def rm(
    names: Annotated[list[str], typer.Argument(metavar="bus", help="The buses' names.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", "-f", help="Also a bus that is in use.")] = False,
) -> int:
    """Removes buses.

    A bus that a process has open is left alone, unless --force is given; then those who have it open go on with it, and
    who opens it later makes a new one. Exit status: 0; 1 if there is no such bus, or it is in use.
    """
    status = 0
    for bus in inspect(names):
        if bus.is_in_use and not force:
            _say(f"the bus '{bus.name}' is in use by {_users(bus)}; --force removes it all the same")
            status = 1
        elif not unlink(bus.name):
            _say(str(BusNotFound(f"there is no bus '{bus.name}'")))
            status = 1
    return status


def gc(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="bus", help="Only these; none: all.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Does not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would be removed.")] = False,
    json: Json = False,
) -> int:
    """Removes the buses that no process has open, after asking.

    Left alone are also those of another PID namespace, and those that another user's process could have open, which
    cannot be seen. Exit status: 0; 1 if one could not be removed; 2 if there is nobody to ask.
    """
    existing = buses()
    for name in names or ():
        if name not in existing:
            raise BusNotFound(f"there is no bus '{name}'")
    found = inspect(names or existing)
    unused = [one for one in found if one.is_in_use is False]
    kept = {one.name: _why_kept(one) for one in found if one.is_in_use is not False}
    if not json:
        _show(unused, kept)
    removed: list[str] = []
    if unused and not dry_run and (yes or _agrees(len(unused))):
        for bus in unused:
            (now,) = inspect([bus.name])  # somebody may have come while we asked
            if now.is_in_use is not False:
                kept[bus.name] = _why_kept(now)
                _say(f"'{bus.name}' is left: {kept[bus.name]}")
            elif unlink(bus.name):
                removed.append(bus.name)
        if not json:
            print(f"removed {len(removed)}, which frees {readable_bytes(sum(one.memory for one in unused))}")
    if json:
        unused_names = [one.name for one in unused]
        print(json_format.dumps({"unused": unused_names, "removed": removed, "kept": kept}))
    return 0


def _show(unused: list[Inspection], kept: dict[str, str]) -> None:
    for name, reason in kept.items():
        print(f"left alone: {printable(name)}: {reason}")
    if not unused:
        print("there is no bus that nobody has open")
        return
    print(f"{len(unused)} {'bus' if len(unused) == 1 else 'buses'} that nobody has open:")
    for bus in unused:
        messages = "" if bus.statistics is None else f", {bus.statistics.messages:,} messages were posted"
        print(f"  {printable(bus.name)}  {readable_bytes(bus.memory)}{messages}")


def _agrees(count: int) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("there is nobody to ask whether to remove them: --yes removes, --dry-run only looks")
    return typer.confirm(f"Remove {'it' if count == 1 else 'them'}?")


def _why_kept(bus: Inspection) -> str:
    if bus.is_in_use:
        return f"in use by {_users(bus)}"
    if bus.is_elsewhere:
        return printable(bus.problem or "")
    return "it could be in use by processes of other users, which cannot be seen"


def _users(bus: Inspection) -> str:
    pids = {one.pid: one.program for one in bus.attached.processes}
    pids |= {one.pid: "" for one in bus.readers if one.alive and one.pid not in pids}
    return ", ".join(f"process {pid}" + (f" ({printable(name)})" if name else "") for pid, name in pids.items())


def _say(text: str) -> None:
    print(f"toroni: {text}", file=sys.stderr)
