"""What a killed measurement leaves on the machine, found and removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_DELETED = " (deleted)"


class Leftovers:
    """Files that bear a measurement's name, and files of shared memory that its processes made and still use.

    Others may make files in the same folders at the same time, so being new is not enough.
    """

    def __init__(self, name: str) -> None:
        """To be called before the measurement begins."""
        self.name = name
        self._before = _listing(_SHARED_MEMORY)
        self._used: set[Path] = set()

    def note(self, group: int) -> None:
        """Looks at what the processes of this group use. To be called before they are killed."""
        for process in _listing(Path("/proc")):
            with suppress(OSError, ValueError):
                if os.getpgid(int(process.name)) == group:
                    self._used |= _mapped(process) - self._before

    def remove(self) -> None:
        """Removes them. To be called when the processes have ended."""
        folders = {_SHARED_MEMORY, Path(tempfile.gettempdir())}
        named = {path for folder in folders for path in _listing(folder) if self.name in path.name}
        for path in named | self._used:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def _listing(folder: Path) -> set[Path]:
    try:
        return set(folder.iterdir())
    except OSError:
        return set()


def _mapped(process: Path) -> set[Path]:
    """The files directly in /dev/shm that a process has mapped."""
    fields = (line.split(maxsplit=5) for line in (process / "maps").read_text().splitlines())
    paths = {Path(line[5]) for line in fields if len(line) == 6 and not line[5].endswith(_DELETED)}
    return {path for path in paths if path.parent == _SHARED_MEMORY}
