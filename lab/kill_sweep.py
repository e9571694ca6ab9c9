"""`make kill-sweep`: runs the C++ program of the same name, with a bar while it runs and a table at the end.

Takes the program's path, then its options: --operation NAME, of which --instruction NUMBER kills at that one only;
--sample KILLS --seed NUMBER for so many kills of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Event = dict[str, Any]


class Display:
    """What has come so far."""

    def __init__(self, console: Console, operations: int) -> None:
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=console)
        self.all = self.progress.add_task("all operations", total=operations)
        self.current = self.progress.add_task("recording", total=None)
        self.ends: list[Event] = []

    def take(self, event: Event) -> None:
        """One line of the program's."""
        if event["event"] == "begin":
            self.progress.reset(self.current, total=event["kills"], description=event["operation"])
        elif event["event"] == "progress":
            self.progress.update(self.current, completed=event["done"])
        elif event["event"] == "failure":
            self.progress.console.print(
                f"[red]{event['operation']}[/], killed at instruction {event['instruction']}, {event['where']}:\n"
                f"    {event['what']}",
                highlight=False,
                soft_wrap=True,
            )
        elif event["event"] == "end":
            self.ends.append(event)
            self.progress.update(self.current, completed=event["kills"])
            self.progress.advance(self.all)


def table_of(ends: list[Event]) -> Table:
    """A line for each operation, and the sums."""
    table = Table("operation", title="Killed at every instruction", show_footer=True)
    columns: dict[str, Callable[[Event], str]] = {
        "instructions": lambda e: f"{e['instructions']:,}",
        "shared stores": lambda e: f"{e['stores']:,}",
        "kills": lambda e: f"{e['kills']:,}",
        "kills a minute": lambda e: f"{e['kills'] / e['seconds'] * 60:,.0f}",
        "elsewhere": lambda e: f"{e['elsewhere']:,}",
        "slowest, ms": lambda e: f"{e['slowest_ms']:.1f}",
        "failures": lambda e: f"[red]{e['failures']:,}[/]" if e["failures"] else "0",
        "seconds": lambda e: f"{e['seconds']:.1f}",
    }
    total: Event = {key: sum(end[key] for end in ends) for key in ends[0] if key not in {"event", "operation"}}
    total["slowest_ms"] = max(end["slowest_ms"] for end in ends)
    table.columns[0].footer = "all"
    for name, text in columns.items():
        table.add_column(name, justify="right", footer=text(total))
    table.columns[0].no_wrap = True
    for end in ends:
        table.add_row(end["operation"], *(text(end) for text in columns.values()))
    return table


def main(program: str, *options: str) -> int:
    """The program's exit code: 0 if whoever survived found everything as it should be."""
    names = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()
    console = Console(width=None if sys.stdout.isatty() else 140)
    display = Display(console, len(names))
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as process, display.progress:
        assert process.stdout
        with suppress(KeyboardInterrupt):  # the program hears of it, too, and clears up
            for line in process.stdout:
                display.take(json.loads(line))
    if display.ends:
        console.print(table_of(display.ends))
        console.print(
            "elsewhere: killed after as many instructions, but at another one than was recorded (time, threads); "
            "slowest: all that the survivors of one kill did",
            style="dim",
        )
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
