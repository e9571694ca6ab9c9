"""What writer and reader processes have in common: reports to the coordinator, and an end without it."""

from __future__ import annotations

import json
import os
import sys

from toroni import rmp


class OrphanError(Exception):
    """The coordinator died."""


def say(**report: object) -> None:
    """Sends a report: one line of JSON on standard output.

    Raises:
        OrphanError: nobody listens any more.
    """
    # Not print(): an unbuffered standard output drops the rest of a line of which the pipe took a part.
    line = memoryview(json.dumps(report).encode() + b"\n")
    try:
        while line:
            line = line[os.write(1, line) :]
    except BrokenPipeError:
        raise OrphanError from None


def check_parent(coordinator: int) -> None:
    """Raises OrphanError if the coordinator is no longer this process's parent."""
    if os.getppid() != coordinator:
        raise OrphanError


def clean_up_and_leave(bus: str) -> None:
    """What an orphan does: the coordinator can no longer remove the bus. Does not return."""
    rmp.unlink(bus)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the flush at exit
    sys.exit(1)
