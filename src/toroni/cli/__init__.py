"""The command `toroni`. What it needs beyond the library is looked for only when it is called."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: the command's; 1 if it failed; 2 if it cannot run, as for wrong options; 130 after Ctrl-C, and
        141 if whoever read its output has gone, as shells have it for other programs.
    """
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"toroni needs {' and '.join(missing)}: pip install 'toroni[cli]'", file=sys.stderr)
        return 2
    from toroni.cli.app import app

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(given, prog_name="toroni", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return _pipe_is_closed()
    except SystemExit as ended:  # of click, where a help's reader has gone
        if isinstance(ended.__context__, BrokenPipeError):
            return _pipe_is_closed()
        raise
    except Exception as error:
        return _explain(error)


def _pipe_is_closed() -> int:
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the flush at exit
    return 128 + signal.SIGPIPE


def _explain(error: Exception) -> int:
    """One sentence for what is the user's to mend; anything else is a bug, and shows itself as one."""
    from toroni import ToroniError

    says = getattr(error, "format_message", None)  # of typer, for wrong options
    cannot_run = type(error).__name__ == "CommandError"  # of a command, known only once it is imported
    if says is None and not cannot_run and not isinstance(error, ToroniError):
        raise error
    text = says() if says else str(error)
    if text and (context := getattr(error, "ctx", None)) is not None:
        text = text.replace("Value error, ", "").removesuffix(".")  # the validator's own word for ours
        text += f"; `{context.command_path} --help` shows how it is used"
    if text:  # what wants arguments and got none has shown its help
        print(f"toroni: {text}", file=sys.stderr)
    return int(getattr(error, "exit_code", 2 if cannot_run else 1))
