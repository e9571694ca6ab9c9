"""The command `toroni`. What it needs beyond the library is looked for only when it is called.

(No `from __future__ import annotations`: typer reads the annotations, and could not find what is imported locally.)
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

_SUITES = "libraries: beside others; burst: writers by readers in the core alone; growth: ours as it grows."
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: the command's; 2 if it cannot run; 130 after Ctrl-C.
    """
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"toroni needs {' and '.join(missing)}: pip install 'toroni[cli]'", file=sys.stderr)
        return 2
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _app()(given, prog_name="toroni", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the flush at exit
        return 1
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    """One sentence for what is the user's to mend; anything else is a bug, and shows itself as one."""
    from toroni import ToroniError

    says = getattr(error, "format_message", None)  # of typer, for wrong options
    if says is None and not isinstance(error, ToroniError) and type(error).__name__ != "CommandError":
        raise error
    text = says() if says else str(error)
    if text:  # what wants arguments and got none has shown its help
        print(f"toroni: {text}", file=sys.stderr)
    return int(getattr(error, "exit_code", 2 if type(error).__name__ == "CommandError" else 1))


def _app() -> Any:
    import typer

    app = typer.Typer(
        help="Toroni: brokerless, crash-safe, totally ordered messaging between the processes of one machine.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.command()
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

    @app.command(context_settings=_PASSED_ON)
    def demo(context: typer.Context) -> int:
        """Moves real data between processes, kills some, and proves that nothing is lost; --help has its options."""
        from toroni.demo.__main__ import main as run

        return run(context.args)

    return app
