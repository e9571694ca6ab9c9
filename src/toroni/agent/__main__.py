"""`toroni-agent COMMAND`: commands and exit status."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from toroni import BusNotReady, ToroniError
from toroni.agent import objects, report
from toroni.agent.objects import Counter, Counters
from toroni.agent.options import Options, describe, from_environment
from toroni.agent.reader import read
from toroni.agent.writer import write

_Command = Callable[[Options, Counters, Sequence[str]], int]
_FAILED = 1


def _said(text: str) -> int:
    print(text, flush=True)
    return 0


def _init(options: Options, counters: Counters, _: Sequence[str]) -> int:
    objects.initialize(options)
    return 0


def _wait_for_readers(options: Options, counters: Counters, _: Sequence[str]) -> int:
    while counters.get(Counter.READERS_READY) < options.readers:
        time.sleep(0.001)
    return 0


def _reset_iteration(options: Options, counters: Counters, _: Sequence[str]) -> int:
    counters.set(Counter.WRITERS_READY, 0)
    counters.set(Counter.READERS_READY, 0)
    return 0


def _expired(options: Options, counters: Counters, _: Sequence[str]) -> int:
    return min(report.statistics().losses, 255)  # an exit status has no more


def _compare_received(options: Options, counters: Counters, arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or not (arguments[0].isascii() and arguments[0].isdigit()):
        print("cmprcved takes the number of messages", file=sys.stderr)
        return _FAILED
    return 0 if counters.get(Counter.MSG_COUNT) == int(arguments[0]) else _FAILED


_COMMANDS: dict[str, tuple[_Command, str]] = {
    "init": (_init, "writes fresh headers into the three objects"),
    "read": (lambda o, c, _: read(o, c), "reads all writers' messages; exit status 2: expired"),
    "write": (lambda o, c, _: write(o, c), "creates the messages, then writes them"),
    "waitreaders": (_wait_for_readers, "returns when TORONI_AGENT_READERS are ready"),
    "resetiter": (_reset_iteration, "forgets who was ready"),
    "expired": (_expired, "exit status: the number of expired readers"),
    "cmprcved": (_compare_received, "N: exit status 0 if that many messages were received, else 1"),
    "stat": (lambda o, c, _: _said(report.stat(c)), "prints the counters"),
    "result": (lambda o, c, _: _said(report.result(o, c)), "prints thousand messages a second, or ms for LATENCY"),
    "layout": (lambda o, c, _: _said(report.layout()), "prints where each field is"),
}


def _help() -> str:
    lines = {name: what for name, (_, what) in _COMMANDS.items()} | {"unlink": "removes the three objects"}
    commands = "\n".join(f"  {name:<12} {what}" for name, what in lines.items())
    return f"""usage: toroni-agent COMMAND

The test agent of the C++ and Java Toroni, in Python.

{commands}

environment:
{describe()}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: the command's; 1 if it failed or is unknown; 130 after Ctrl-C.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    try:
        if name in ("-h", "--help"):
            return _said(_help())
        if name == "unlink":  # needs no options, and nothing that is whole
            objects.unlink()
            return 0
        if name not in _COMMANDS:
            _said("unknown cmd")
            return _FAILED
        options = from_environment()
        return _COMMANDS[name][0](options, objects.open_or_make(options), rest)
    except ToroniError as error:
        before = "unlink" if name == "init" else "init"
        hint = f"; run `{before}` first" if isinstance(error, BusNotReady) else ""
        print(f"toroni-agent {name}: {error}{hint}", file=sys.stderr)
        return _FAILED
    except OSError as error:  # of printing
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the flush at exit
        if not isinstance(error, BrokenPipeError):
            print(f"toroni-agent {name}: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
