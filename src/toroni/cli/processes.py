"""What /proc tells of another process. Its id may come from shared memory, so nothing is taken on trust."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from toroni import ReaderInfo
from toroni.cli.formats import printable

_LONGEST_PROGRAM = 40  # characters
_STOPPED = "Tt"


def state_of(pid: int) -> str:
    """One letter, as of ps(1); "" if there is no such process, or it cannot be seen."""
    fields = _fields(pid)
    return fields[0] if fields else ""


def is_stopped(pid: int) -> bool:
    """By a signal or a debugger."""
    return state_of(pid) != "" and state_of(pid) in _STOPPED


def is_same(reader: ReaderInfo) -> bool:
    """Whether the process that has the reader's process id is the reader's."""
    fields = _fields(reader.pid)
    return len(fields) > 19 and fields[19] == str(reader.start_time)


def program_of(pid: int) -> str:
    """What it runs, with the script where that says more, such as "python3 camera.py"; "" if that cannot be seen."""
    try:
        called = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        name = Path(f"/proc/{pid}/comm").read_bytes().strip()
    except OSError:
        return ""
    arguments = [printable(os.fsdecode(one)) for one in called if one] or [printable(os.fsdecode(name))]
    program = os.path.basename(arguments[0])
    if program.startswith("python") and len(arguments) > 1:
        if arguments[1] == "-m":
            program += " ".join(["", *arguments[1:3]])
        elif not arguments[1].startswith("-"):
            program += f" {os.path.basename(arguments[1])}"
    return program if len(program) <= _LONGEST_PROGRAM else program[: _LONGEST_PROGRAM - 3] + "..."


def described(reader: ReaderInfo) -> str:
    """Such as "pid 12 (camera, python camera.py)"."""
    if not reader.pid:
        return "a C++ or Java process"
    program = program_of(reader.pid) if reader.foreign or is_same(reader) else ""
    about = ", ".join(one for one in (printable(reader.label), program) if one)
    return f"pid {reader.pid} ({about})" if about else f"pid {reader.pid}"


def network_namespace_of(pid: int | str) -> str:
    """Such as "net:[4026531840]"; "" if it cannot be seen."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def users_of_removed(paths: Iterable[str]) -> list[int]:
    """Processes that can write one of these files, of those that we may look at, and have it from before its removal.

    Who can write neither file of a bus only looks on. Its maker is not seen, whose mapping never had the path.
    """
    # As the kernel has it.
    removed = [b" " + os.fsencode(path).replace(b"\n", b"\\012") + b" (deleted)" for path in paths]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            maps = (entry / "maps").read_bytes()
        except OSError:
            continue
        if any(line.endswith(end) and b"w" in line.split()[1] for line in maps.splitlines() for end in removed):
            found.append(int(entry.name))
    return sorted(found)


def _fields(pid: int) -> list[str]:
    """Of its stat, from the state on; the program's name before may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
