"""`toroni ls`: the buses of this machine."""

from __future__ import annotations

import json as json_format

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toroni import buses
from toroni.cli.formats import printable
from toroni.cli.inspection import Inspection, inspect, to_json
from toroni.cli.options import JsonDocument
from toroni.cli.readable import readable_age, readable_bytes
from toroni.cli.screen import WIDE, console_for_output, table_for


def ls(json: JsonDocument = False) -> int:
    """Lists the buses of this machine.

    LAG is that of the reader which is furthest behind, in percent of the ring. WRITERS are processes that could write
    and are no readers. IN USE says whether any process has the bus open; other users' processes cannot be looked at.
    With --json, one list of objects like that of `toroni info`. Exit status: 0, also if there is none.
    """
    found = [one for one in inspect(buses()) if not one.has_gone]
    if json:
        print(json_format.dumps([to_json(one) for one in found]))
        return 0
    if not found:
        print("there is no bus on this machine")
        return 0
    console = console_for_output()
    console.print(_table(found, console))
    _print_problems(console, found)
    return 0


def _table(found: list[Inspection], console: Console) -> Table:
    is_wide = console.width >= WIDE
    table = table_for(console)
    table.add_column("BUS", ratio=1, no_wrap=True, overflow="ellipsis")
    for head in (
        "SIZE",
        *(["MESSAGES"] if is_wide else []),
        "LAG",
        "READERS",
        *(["WRITERS", "AGE"] if is_wide else []),
    ):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("IN USE", no_wrap=True)
    for bus in found:
        use = {True: "yes", False: "no", None: "unknown"}[bus.is_in_use]
        name, dead, living = Text(printable(bus.name)), 0, 0
        size, messages, age = readable_bytes(bus.memory), "", ""
        if bus.statistics is not None:
            living = sum(one.alive for one in bus.readers)
            dead = len(bus.readers) - living
            size, messages = readable_bytes(bus.statistics.capacity), f"{bus.statistics.messages:,}"
            age = "" if bus.age is None else readable_age(bus.age)
        table.add_row(
            name,
            size,
            *([messages] if is_wide else []),
            f"{min(bus.lag_percent, 999):.0f} %" if living else "",
            f"{living} + {dead} dead" if dead else str(living),
            *([str(len(bus.writers)), age] if is_wide else []),
            use,
        )
    return table


def _print_problems(console: Console, found: list[Inspection]) -> None:
    for bus in found:
        if bus.problem is not None:
            console.print(Text(f"{printable(bus.name)}: {printable(bus.problem)}", style="yellow"))
