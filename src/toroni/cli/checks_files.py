"""What `toroni doctor BUS` looks at before it opens the bus: its two files, and our rights to them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

from toroni import buses
from toroni.cli.attached import files_of
from toroni.cli.findings import Finding, ok, problem, warning
from toroni.cli.formats import printable

_MOST_NAMED = 10
_READ, _WRITE = 4, 2  # of a mode, for one class of users


def existence(name: str) -> Finding:
    """Whether both files are there."""
    missing = [file for file in files_of(name) if not file.exists()]
    if not missing:
        return ok("both files are there")
    if len(missing) == 1:
        text = f"half a bus: {printable(str(missing[0]))} is missing, as its maker or remover was killed"
        return problem(text, "the next process that opens it makes it anew; or `toroni rm` removes the rest")
    there = [printable(one) for one in buses()]
    more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    listed = f"there are {', '.join(there[:_MOST_NAMED])}{more}" if there else "there are no others"
    return problem("there is no such bus", f"the first process that opens it makes it; {listed}")


def rights(name: str) -> Finding:
    """What this user may do, and what others may."""
    ring, info = files_of(name)
    try:
        status, mode_of_info = ring.stat(), info.stat().st_mode
    except OSError as error:
        return problem(f"it cannot be looked at: {error.strerror}", "start again: it may have been removed just now")
    owner = _name(lambda number: pwd.getpwuid(number).pw_name, status.st_uid)
    group = _name(lambda number: grp.getgrgid(number).gr_name, status.st_gid)
    ours = _may(_accessible(ring), _accessible(info))
    classes = {
        who: _may(status.st_mode >> shift & 7, mode_of_info >> shift & 7)
        for who, shift in ((f"user {owner}", 6), (f"group {group}", 3), ("others", 0))
    }
    text = f"we may {ours}; of mode {stat.S_IMODE(status.st_mode):#05o}: " + ", ".join(
        f"{who} may {what}" for who, what in classes.items()
    )
    if ours == "nothing":
        remedy = f"run as {owner}; or have it made with mode=0o660 and group= one of ours"
        return problem(text.replace("we may nothing", "we may not use it"), remedy)
    if ours == "look on":
        return warning(text, f"run as {owner} to read or post; or have it made with mode=0o660 and group= one of ours")
    return ok(text)


def _accessible(file: Path) -> int:
    return sum(bit for bit, kind in ((_READ, os.R_OK), (_WRITE, os.W_OK)) if os.access(file, kind, effective_ids=True))


def _may(ring: int, info: int) -> str:
    """In words, what these bits of the two files' modes allow together."""
    if not ring & _READ or not info & _READ:
        return "nothing"
    if ring & _WRITE and info & _WRITE:
        return "read and post"
    return "post" if ring & _WRITE else "read" if info & _WRITE else "look on"


def _name(look_up: Callable[[int], str], number: int) -> str:
    try:
        return look_up(number)
    except KeyError:
        return str(number)


CHECKS: dict[str, Callable[[str], Finding]] = {"existence": existence, "rights": rights}
