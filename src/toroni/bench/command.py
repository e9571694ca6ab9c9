"""`toroni bench`, once its options are known: progress bar, report, files, exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from toroni.bench import plots
from toroni.bench.libraries import is_installed
from toroni.bench.library import Library
from toroni.bench.run import Result, empty_result, run
from toroni.bench.suites import Suite, suite_named

_WIDTH_OF_NO_TERMINAL = 200


class CommandError(Exception):
    """Cannot be done; one sentence says why."""


@dataclass(frozen=True)
class Options:
    """Of `toroni bench`."""

    suite: str
    quick: bool
    rounds: int
    libraries: list[str]
    workloads: list[str]
    json: Path | None
    plots: Path | None


def bench(options: Options) -> int:
    """Measures and reports.

    Returns:
        The exit status: 0; 1 if a measurement of ours failed; 130 after Ctrl-C, 128 + n after signal n.

    Raises:
        CommandError: an option makes no sense here.
    """
    try:
        suite = suite_named(options.suite)
        columns = suite.chosen(options.workloads, options.quick)
    except ValueError as error:
        raise CommandError(str(error)) from None
    libraries = _chosen_libraries(options, suite)
    if options.plots and not plots.can_plot():
        raise CommandError("plots need matplotlib, which is not installed: pip install 'toroni[plots]'")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_NO_TERMINAL
    result = empty_result(libraries, columns, suite.name)
    _end_by_signals()
    try:
        _measure(console, options, libraries, result)
    except KeyboardInterrupt:
        print("interrupted: all processes were ended", file=sys.stderr)
        return 130
    console.print(Group(*suite.render(result)))
    _write(options, suite, result, console)
    failed = any(
        one.errors or one.loss or one.disordered or one.damaged
        for entry in result.libraries
        for column in columns
        if entry.ours and (one := result.summary(entry.name, column.name))
    )
    return 1 if failed else 0


def _measure(console: Console, options: Options, libraries: Sequence[Library], result: Result) -> None:
    layout = (BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*layout, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        for step in run(libraries, result.workloads, options.rounds, options.quick, result):
            if not console.is_terminal and step.starts_round:
                console.print(step.text)
            progress.update(task, completed=step.number, total=step.of, description=step.text)


def _chosen_libraries(options: Options, suite: Suite) -> list[Library]:
    known = suite.libraries()
    if not options.libraries:
        # --quick needs no peer, so it takes none but those that every Python has.
        return [one for one in known if is_installed(one) and not (options.quick and one.module)]
    found: list[Library] = []
    for text in options.libraries:
        matches = [one for one in known if text.lower() in one.name.lower()]
        if not matches:
            raise CommandError(f"no library is named {text!r}; there are {'; '.join(one.name for one in known)}")
        missing = [one for one in matches if not is_installed(one)]
        if missing == matches:
            raise CommandError(f"{matches[0].name} is not installed (no module {matches[0].module})")
        found += [one for one in matches if one not in missing]
    return [one for one in known if one in found]


def _write(options: Options, suite: Suite, result: Result, console: Console) -> None:
    try:
        if options.json:
            options.json.write_text(result.to_json() + "\n")
            console.print(f"figures: {options.json}")
        if options.plots:
            files = suite.plot(result, options.plots)
            console.print(f"plots: {len(files)} in {options.plots}")
    except OSError as error:
        raise CommandError(f"cannot write: {error}") from None


def _end_by_signals() -> None:
    """They unwind like Ctrl-C, so that nothing is left."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
