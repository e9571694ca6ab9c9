"""`python -m toroni.demo`: options, signals, exit status, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence

from toroni import ToroniError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Returns:
        The exit status: 0 all proved, 1 it failed, 2 it cannot run, 128 + n ended by signal n (130: Ctrl-C).
    """
    stop_signal = _note_signals()
    from toroni.demo import options

    chosen, files = options.parse(arguments)
    if importlib.util.find_spec("rich") is None:
        print("the demo needs rich, which is not installed: pip install 'toroni[cli]'", file=sys.stderr)
        return 2
    from toroni.demo import run

    bus = f"demo-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        return run.run(bus, chosen, files, stop_signal)
    except ToroniError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the flush at exit
        return 1


def _note_signals() -> Callable[[], int | None]:
    """From here on, signals that ask for an end are only noted: nothing is interrupted half-way."""
    noted: list[int] = []
    for number in _STOPPING:
        signal.signal(number, lambda number, frame: noted.append(number))
    return lambda: noted[0] if noted else None


if __name__ == "__main__":
    sys.exit(main())
