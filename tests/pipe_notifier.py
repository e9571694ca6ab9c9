"""A notifier of the application's own, as somebody might write it: named pipes in a directory."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path


class PipeNotifier:
    """Each process has a pipe in the directory; whoever notifies writes a byte into each."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.path = self.directory / f"{os.getpid()}-{id(self)}"
        os.mkfifo(self.path)
        self.pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def notify(self) -> None:
        for peer in self.directory.iterdir():
            with contextlib.suppress(OSError):  # gone, or full: then it is awake
                pipe = os.open(peer, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    os.write(pipe, b"!")
                finally:
                    os.close(pipe)

    def wait(self, timeout: float) -> None:
        select.select([self.pipe], [], [], timeout)
        with contextlib.suppress(BlockingIOError):
            os.read(self.pipe, 65536)

    def fileno(self) -> int:
        return self.pipe

    def close(self) -> None:
        os.close(self.pipe)
        self.path.unlink()

    def __reduce__(self) -> tuple[type[PipeNotifier], tuple[str]]:
        """In another process it is another pipe in the same directory."""
        return PipeNotifier, (str(self.directory),)
