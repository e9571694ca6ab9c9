"""Every command under its name; each is a function in a file of its own, whose docstring is its help."""

from __future__ import annotations

from collections.abc import Callable

import typer

from toroni.cli import measuring, publish, rates, subscribe

app = typer.Typer(
    help="Toroni: brokerless, crash-safe, totally ordered messaging between the processes of one machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, Callable[..., int]] = {
    "pub": publish.pub,
    "sub": subscribe.sub,
    "tail": subscribe.tail,
    "hz": rates.hz,
    "bw": rates.bw,
    "bench": measuring.bench,
}
for name, command in _COMMANDS.items():
    app.command(name)(command)
# The demo has options of its own, and its own --help.
app.command("demo", context_settings={"ignore_unknown_options": True, "help_option_names": []})(measuring.demo)
