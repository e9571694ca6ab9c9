"""Processes in surroundings of their own: a /dev/shm, process ids or a network that nobody else has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from functools import cache

import pytest

from processes import PATIENCE

_NOT_ALLOWED = 77  # what the shell ends with where `before` fails

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


@cache
def _why_not(*options: str) -> str | None:
    if shutil.which("unshare") is None:
        return "there is no unshare on this machine"
    tried = subprocess.run(["unshare", *options, "true"], check=False, capture_output=True, text=True)
    return None if tried.returncode == 0 else f"this machine does not allow it: {tried.stderr.strip()}"


def in_namespaces(script: str, *options: str, before: str = "true", user: bool = True, status: int = 0) -> str:
    """What a Python script prints in namespaces of its own; skips where those are not allowed.

    `before` is what a shell does there first, mostly mounting. With `user` no rights are needed: root is then who runs
    the tests, and there is no other user. `status` is how the script ends.
    """
    options = (*(["--map-root-user"] if user else []), *options)
    if why := _why_not(*options):
        pytest.skip(why)
    code = "import errno, os, signal, time, toroni\nfrom toroni import Bus, rmp\n" + textwrap.dedent(script)
    done = subprocess.run(
        ["unshare", *options, "sh", "-c", f'{before} || exit {_NOT_ALLOWED}; "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode == _NOT_ALLOWED:
        pytest.skip(f"this machine does not allow it: {done.stderr.splitlines()[0]}")
    assert done.returncode == status, done.stderr
    return done.stdout


def with_shared_memory(script: str, mount: str, *options: str, user: bool = True) -> str:
    """`in_namespaces` with a /dev/shm of its own, mounted with these options."""
    return in_namespaces(script, "--mount", *options, before=f"mount -t tmpfs -o {mount} tmpfs /dev/shm", user=user)
