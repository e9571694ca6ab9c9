"""`toroni info`: all about one bus."""

from __future__ import annotations

import datetime
import json as json_format
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toroni import Bus, ReaderInfo
from toroni.cli.formats import printable
from toroni.cli.inspection import Inspection, inspect, notifier_text, to_json
from toroni.cli.options import BusName, JsonDocument
from toroni.cli.processes import is_same, is_stopped, program_of
from toroni.cli.readable import readable_age, readable_bytes
from toroni.cli.screen import WIDE, console_for_output, table_for


def info(bus: BusName, json: JsonDocument = False) -> int:
    """Shows a bus's configuration, counters and readers, and who holds its writer lock.

    Takes no part in it, and no slot. With --json, one object, whose keys docs/reference/cli.md explains. Exit
    status: 0; 1 if there is no such bus, or it cannot be opened.
    """
    Bus(bus, role="observer").close()  # raises, where that is so
    (found,) = inspect([bus])
    if json:
        print(json_format.dumps(to_json(found)))
        return 0
    console = console_for_output()
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        facts.add_row(name, Text(printable(value)))
    console.print(facts)
    if found.readers:
        console.print()
        console.print(_readers(found.readers, console))
    return 0


def _facts(bus: Inspection) -> Iterator[tuple[str, str]]:
    statistics, notifier = bus.statistics, bus.notifier
    if statistics is None or notifier is None:  # it has just gone
        yield "bus", f"{bus.name}: {bus.problem}"
        return
    yield "bus", bus.name + (" (removed meanwhile)" if statistics.is_unlinked else "")
    yield "capacity", f"{readable_bytes(statistics.capacity)}; {readable_bytes(bus.memory)} of memory"
    yield "notifier", notifier_text(notifier)
    yield "rights", f"{bus.mode} {bus.owner}"
    if statistics.created is not None and bus.age is not None:
        made = datetime.datetime.fromtimestamp(statistics.created).isoformat(" ", "seconds")
        yield "made", f"{made}, {readable_age(bus.age)} ago"
    if statistics.is_foreign:
        yield "made by", "a C++ or Java process, in part: some counters are not kept"
    yield "messages", f"{statistics.messages:,}; {readable_bytes(statistics.bytes)} of them"
    yield "position", f"{statistics.position:,}"
    overtaken = f"overtaken {statistics.overwritten:,} times"
    yield "slow readers", f"met by writers {statistics.backpressure:,} times, {overtaken}"
    yield "losses", f"{statistics.losses:,} of all readers so far"
    yield "wake-ups", f"{statistics.notifications:,}"
    yield "writer lock", holder_of_lock(statistics.lock_holder)
    yield "readers", f"{sum(one.alive for one in bus.readers)} of at most {statistics.max_readers}"
    processes = ", ".join(_process(one.pid) + ("" if one.may_write else " reads") for one in bus.attached.processes)
    unseen = "" if bus.attached.is_certain else "; other users' processes cannot be seen"
    yield "open in", (processes or "no process") + unseen


def _process(pid: int) -> str:
    program = program_of(pid)
    return f"{pid} ({program})" if program else str(pid)


def _readers(readers: Sequence[ReaderInfo], console: Console) -> Table:
    is_wide = console.width >= WIDE
    table = table_for(console)
    table.add_column("PID", justify="right", no_wrap=True)
    if is_wide:
        table.add_column("PROGRAM", ratio=1, overflow="ellipsis", no_wrap=True)
    table.add_column("LABEL", ratio=1, overflow="ellipsis", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for head in ("LAG", *(["", "MESSAGES"] if is_wide else [""]), "LOSSES"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in readers:
        lost = f" ({readable_bytes(one.lost_bytes)})" if one.losses and is_wide else ""
        table.add_row(
            str(one.pid or "?"),
            *([Text(printable(program_of(one.pid)) if one.alive and one.pid else "")] if is_wide else []),
            Text(printable(one.label)),
            state_of(one),
            readable_bytes(one.lag) if one.alive else "",
            f"{one.lag_percent:.0f} %" if one.alive else "",
            *([f"{one.messages:,}"] if is_wide else []),
            f"{one.losses:,}{lost}",
        )
    return table


def holder_of_lock(pid: int) -> str:
    """Who it is, and whether it does not go on; 0 is nobody."""
    if not pid:
        return "free"
    stopped = f", stopped: kill -CONT {pid} lets it go on" if is_stopped(pid) else ""
    return f"held by {_process(pid)}{stopped}"


def state_of(reader: ReaderInfo) -> str:
    """In a word or two."""
    if not reader.alive:
        return "dead"
    state = "waits" if reader.waiting else "reads" if reader.active else "starts"
    if is_same(reader) and is_stopped(reader.pid):
        state = "stopped"
    return f"{state}, foreign" if reader.foreign else state
