"""Every command under its name; each is a function in a file of its own, whose docstring is its help."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Annotated

import typer

from toroni import __version__
from toroni.cli import (
    doctor,
    information,
    listing,
    measuring,
    publish,
    rates,
    removal,
    subscribe,
    top,
)

app = typer.Typer(
    help="Toroni: brokerless, crash-safe, totally ordered messaging between the processes of one machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # which joins the lines of a paragraph
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, Callable[..., int]] = {
    "pub": publish.pub,
    "sub": subscribe.sub,
    "tail": subscribe.tail,
    "hz": rates.hz,
    "bw": rates.bw,
    "ls": listing.ls,
    "info": information.info,
    "top": top.top,
    "rm": removal.rm,
    "gc": removal.gc,
    "doctor": doctor.doctor,
    "bench": measuring.bench,
}


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"toroni {__version__}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _of_no_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Shows the version and ends.")
    ] = False,
) -> None:
    pass


for name, command in _COMMANDS.items():
    app.command(name)(command)
# The demo has options of its own, and its own --help.
app.command("demo", context_settings={"ignore_unknown_options": True, "help_option_names": []})(measuring.demo)
