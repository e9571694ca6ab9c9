"""RMP: a raw, totally ordered stream of byte messages between the processes of one machine.

    from toroni import rmp

    with rmp.Stream("plant") as stream:
        stream.write(b"hello")

    with rmp.Stream("plant") as stream, stream.reader() as reader:
        for message in reader:
            print(message)

Any process opens a stream by name, or makes it if nobody has. Every reader sees all messages of all writers
in one order, each once and whole, or is told what it missed.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from toroni import _core
from toroni._backpressure import Backpressure, Wait
from toroni._core import ReaderInfo, Statistics
from toroni._errors import BusNotReady, InvalidArgument, MessagesLost
from toroni._sizes import parse_size

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

Start = Literal["now", "oldest"] | int
OnLoss = Literal["raise", "skip"] | Callable[[MessagesLost], object]
Role = Literal["both", "reader", "writer"]

__all__ = ["Reader", "ReaderInfo", "Statistics", "Stream", "unlink"]

_Result = TypeVar("_Result")

_DIRECTORY = "/dev/shm"
# Making or removing a bus takes milliseconds; whoever takes longer is stopped.
_PATIENCE_SECONDS = 5.0


class Stream(_core.Stream):
    """A raw stream, open in this process. Usable from any number of threads.

    Args:
        name: of the bus: 1 to 245 bytes, no slash, no NUL.
        capacity: of the ring, in bytes or as "4 MiB"; a power of two from 64 B to 4 GiB. None takes what the
            bus has, or 4 MiB for a new one.
        max_readers: number of reader slots, 1 to 2048. None takes what the bus has, or 64 for a new one.
        role: "reader" maps the ring read-only, "writer" maps the reader slots read-only.
        mode: file permissions of a new bus, as for `os.chmod`.
        backpressure: what to do when slow readers are in the way: Wait, Overwrite, Drop or Fail.

    Raises:
        InvalidArgument: a name, size or role that cannot be.
        BusMismatch: the bus exists with other sizes, or in another PID namespace.
        BusDamaged: its files are not those of a bus.
        BusNotReady: another process has been making or removing it for 5 seconds.
        PermissionDenied: its mode forbids this role.
        SharedMemoryFull: /dev/shm has no room for it.
    """

    def __init__(
        self,
        name: str,
        *,
        capacity: int | str | None = None,
        max_readers: int | None = None,
        role: Role = "both",
        mode: int = 0o600,
        backpressure: Backpressure = Wait(),  # noqa: B008 - frozen
    ) -> None:
        if max_readers is not None and not 1 <= max_readers <= 2048:
            raise InvalidArgument(f"max_readers must be 1 to 2048; got {max_readers}")
        if not 0 <= mode <= 0o777:
            raise InvalidArgument(f"mode must be 0 to 0o777; got {mode:#o}")
        size = 0 if capacity is None else parse_size(capacity)
        make = super().__init__
        _patiently(lambda: make(name, size, max_readers or 0, role, mode, _DIRECTORY, backpressure))
        self._options: dict[str, object] = {
            "capacity": capacity,
            "max_readers": max_readers,
            "role": role,
            "mode": mode,
        }
        self._options["backpressure"] = backpressure
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()

    def reader(self, *, start: Start = "now", label: str = "", on_loss: OnLoss = "raise") -> Reader:
        """A new reader, which takes a slot while it is open.

        Args:
            start: "now" begins behind the last message, "oldest" with the oldest one that the ring still
                holds, a number at that position, where a message must start.
            label: up to 63 bytes, for those who see this reader in statistics and errors.
            on_loss: "raise" raises MessagesLost, "skip" goes on, a callable is called with the MessagesLost.

        Raises:
            NoFreeSlot: all slots are taken; names the holders.
            InvalidArgument: no message starts at `start`, a label too long, role="writer".
        """
        reader = Reader(self, start, label, on_loss)
        self._readers.add(reader)
        return reader

    def close(self) -> None:
        """Ends the use of the stream, and closes its readers. Idempotent."""
        for reader in list(self._readers):
            reader.close()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Stream], tuple[type[Stream], str, dict[str, object]]]:
        """Pickles as its name and options: the other process opens it by itself."""
        return _reopen, (type(self), self.name, self._options)

    def __repr__(self) -> str:
        return f"<toroni.rmp.Stream {self.name!r}{', closed' if self.closed else ''}>"


class Reader(_core.Reader):
    """A position in a stream; made by `Stream.reader`. Usable from any thread, by one at a time.

    Iterating waits for each next message, and ends when the reader is closed.
    """

    @overload
    def read_many(
        self, max: int = ..., timeout: float | None = ..., *, with_positions: Literal[False] = ...
    ) -> list[bytes]: ...
    @overload
    def read_many(
        self, max: int = ..., timeout: float | None = ..., *, with_positions: Literal[True]
    ) -> list[tuple[int, bytes]]: ...
    def read_many(
        self, max: int = 1024, timeout: float | None = None, *, with_positions: bool = False
    ) -> list[bytes] | list[tuple[int, bytes]]:
        """What is there now, up to `max` messages; waits for the first one as `read` does.

        Returns:
            The messages, or (position, message) tuples; an empty list after `timeout` seconds without any.
        """
        return self._read_many(max, timeout, with_positions)

    def close(self) -> None:
        """Gives the slot back; a wait in another thread ends. Idempotent."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "closed" if self.closed else f"at {self.position}"
        return f"<toroni.rmp.Reader{' ' + self.label if self.label else ''} {where}>"


def unlink(name: str) -> bool:
    """Removes a bus's names; who has it open goes on, who opens it later makes a new one.

    Returns:
        False if there was no such bus.

    Raises:
        PermissionDenied: it is somebody else's. BusNotReady: another process is making or removing it.
    """
    return _patiently(lambda: _core._unlink(name, _DIRECTORY))


def _patiently(attempt: Callable[[], _Result]) -> _Result:
    """Again and again while another process is making or removing the bus, which takes milliseconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except BusNotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def _reopen(kind: type[Stream], name: str, options: dict[str, object]) -> Stream:
    return kind(name, **options)  # type: ignore[arg-type]
