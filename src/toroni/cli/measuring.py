"""`toroni bench` and `toroni demo`, which are packages of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SUITES = "libraries: beside others; burst: writers by readers in the core alone; growth: ours as it grows."


def bench(
    suite: Annotated[str, typer.Option(help=_SUITES)] = "libraries",
    quick: Annotated[bool, typer.Option("--quick", help="Under two minutes, one round, needs no peer.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Default 3, or 1 with --quick.")] = None,
    library: Annotated[list[str] | None, typer.Option(help="Only those whose name contains this.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only this, such as T1, T5, or readers.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="All figures.")] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="SVG files, one for each table or workload.")
    ] = None,
) -> int:
    """Measures Toroni on this machine: beside every other library that is installed, in turn, or by itself."""
    from toroni.bench import command

    number = rounds or (1 if quick else 3)
    return command.bench(command.Options(suite, quick, number, library or [], workload or [], json, plots))


def demo(arguments: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]")] = None) -> int:
    """Moves real data between processes, kills some, and proves that nothing is lost; --help has its options."""
    from toroni.demo.__main__ import main as run

    return run(arguments or [])
