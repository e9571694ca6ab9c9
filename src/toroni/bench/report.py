"""A result on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from toroni.bench.comparison import KINDS
from toroni.bench.run import Result
from toroni.bench.summary import Summary
from toroni.bench.workloads import Kind, Workload

_NOTE = (
    "Rates: thousand messages a second at each subscriber. Latencies: microseconds, p50 / p99. Medians over the "
    "rounds, ranges below them. Lost: the most in any round. R above 1: ours is faster."
)

Part = Table | Text


def show(result: Result, console: Console) -> None:
    """Prints all of it."""
    console.print(Group(*render(result)))


def render(result: Result) -> list[Part]:
    """What `show` prints: the libraries side by side."""
    rates = [workload for workload in result.workloads if workload.kind is Kind.RATE]
    latencies = [workload for workload in result.workloads if workload.kind is not Kind.RATE]
    tables = [_table(result, title, some) for title, some in (("Rates", rates), ("Latency", latencies)) if some]
    if any(result.comparisons(workload.name) for workload in result.workloads):
        tables.append(_ratios(result))
    return framed(result, tables, _NOTE)


def framed(result: Result, tables: Sequence[Table], note: str) -> list[Part]:
    """Tables between what every result has: the machine before them; its floors, what went wrong and a note behind."""
    parts: list[Part] = [Text(str(result.machine), style="bold"), *tables]
    if result.floors:
        parts.append(_floors(result))
    return [*parts, *_errors(result), Text(note, style="dim")]


def _table(result: Result, title: str, workloads: Sequence[Workload]) -> Table:
    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column("library")
    for workload in workloads:
        table.add_column(_heading(workload), justify="right")
    shows_order = any(workload.shows_one_order for workload in workloads)
    if shows_order:
        table.add_column("one order")
    for entry in result.libraries:
        summaries = [result.summary(entry.name, workload.name) for workload in workloads]
        if not any(summaries):
            continue
        cells = [cell(summary) for summary in summaries]
        if shows_order:
            orders = [one.one_order for one in summaries if one and one.one_order is not None]
            cells.append(Text("" if not orders else "yes" if all(orders) else "no"))
        table.add_row(Text(entry.name, style="bold" if entry.ours else ""), *cells)
    return table


def _heading(workload: Workload) -> str:
    return f"{workload.name.split('-')[0]}\n{workload.title}"


def cell(summary: Summary | None) -> Text:
    """What the table says of one library and one workload."""
    if summary is None:
        return Text("")
    text = Text()
    if summary.rate is not None and summary.rate_range is not None:
        text.append(_thousands(summary.rate))
        text.append(f"\n{_thousands(summary.rate_range[0])}-{_thousands(summary.rate_range[1])}", style="dim")
    if summary.p50 is not None and summary.p99 is not None and summary.p50_range is not None:
        text.append(f"{figure(summary.p50)} / {figure(summary.p99)}")
        text.append(f"\n{figure(summary.p50_range[0])}-{figure(summary.p50_range[1])}", style="dim")
    for fault in faults(summary):
        text.append(f"\n{fault}", style="red")
    return text


def faults(summary: Summary) -> list[str]:
    """What went wrong, in few words."""
    found = []
    if summary.loss:
        found.append(f"lost {max(summary.loss * 100, 0.01):.2g} %")
    # Numbers go round: a gap of more than half of them looks like disorder.
    if summary.disordered and not summary.loss:
        found.append(f"{summary.disordered} out of order")
    if summary.damaged:
        found.append(f"{summary.damaged} damaged")
    if summary.errors:
        found.append("error" if len(summary.errors) == 1 else f"{len(summary.errors)} errors")
    return found


def _thousands(rate: float) -> str:
    return figure(rate / 1000)


def figure(value: float) -> str:
    """With as many digits as mean something."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def _ratios(result: Result) -> Table:
    table = Table(title="R", title_justify="left")
    table.add_column("")
    for workload in result.workloads:
        table.add_column(_heading(workload), justify="right")
    for kind in KINDS:
        cells = []
        for workload in result.workloads:
            found = [one for one in result.comparisons(workload.name) if one.kind == kind]
            cells.append(f"{found[0].ratio:.2f}\n{found[0].peer}" if found else "")
        if any(cells):
            table.add_row(kind, *cells)
    return table


def _floors(result: Result) -> Table:
    table = Table(title="Floors", title_justify="left")
    for heading in ("what", "figure", "p99", "unit"):
        table.add_column(heading, justify="left" if heading in ("what", "unit") else "right")
    for floor in result.median_floors():
        table.add_row(floor.name, f"{floor.value:.2f}", "" if floor.p99 is None else f"{floor.p99:.2f}", floor.unit)
    return table


def _errors(result: Result) -> list[Text]:
    lines = []
    for entry in result.libraries:
        for workload in result.workloads:
            summary = result.summary(entry.name, workload.name)
            for error in dict.fromkeys(summary.errors) if summary else ():
                lines.append(Text(f"{entry.name}, {workload.name}: {error}", style="red"))
    return lines
