"""The command `toroni`, as a shell runs it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_COMMAND = (sys.executable, "-m", "toroni")
_ENVIRONMENT = {"COLUMNS": "100", "PYTHONUNBUFFERED": "1"}


def run(*arguments: str, input: bytes = b"", seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
    """Runs it to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments], input=input, capture_output=True, timeout=seconds, env={**os.environ, **_ENVIRONMENT}
    )


def succeed(*arguments: str, input: bytes = b"") -> str:
    """Its output; it must say nothing else and end with status 0."""
    result = run(*arguments, input=input)
    assert (result.returncode, result.stderr) == (0, b""), result
    return result.stdout.decode()


def fail(status: int, *arguments: str, input: bytes = b"") -> str:
    """What it says on standard error: one sentence."""
    result = run(*arguments, input=input)
    assert result.returncode == status, result
    assert b"Traceback" not in result.stderr
    text = result.stderr.decode()
    assert text.startswith("toroni: "), text
    return text


def shown_on(leader: int) -> str:
    """All that comes to a pseudo-terminal until its other end is closed."""
    screen = b""
    while select.select([leader], [], [], 30)[0]:
        try:
            screen += os.read(leader, 65536)
        except OSError:  # it is
            break
    return screen.decode()


@contextmanager
def started(*arguments: str, **options: int) -> Iterator[subprocess.Popen[bytes]]:
    """Running meanwhile, and ended at the end; its output is a pipe unless `options` say otherwise."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE, **options}
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        [*_COMMAND, *arguments], env={**os.environ, **_ENVIRONMENT}, **pipes
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
