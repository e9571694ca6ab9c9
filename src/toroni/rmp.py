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

from collections.abc import Iterator
from typing import Literal, overload

from toroni import _core
from toroni._closing import Closing
from toroni._columns import ColumnsBase
from toroni._core import ReaderInfo, Statistics
from toroni._opening import OnLoss, Opened, Start, unlink

__all__ = ["Columns", "Reader", "ReaderInfo", "Statistics", "Stream", "unlink"]


class Stream(Opened, _core.Stream):  # noqa: D101
    __doc__ = Opened.__doc__

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


class Columns(ColumnsBase[bytes]):
    """Messages in columns, from `Reader.read_columns`; a sequence of bytes as well."""

    __slots__ = ()

    def _item(self, number: int) -> bytes:
        return self._payload(number)

    def __iter__(self) -> Iterator[bytes]:
        return self._payloads()


class Reader(Closing, _core.Reader):
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

    def read_columns(self, max: int = 65536, timeout: float | None = None) -> Columns:
        """What is there now, up to `max` messages, in columns; waits for the first one as `read` does.

        The fastest way to read, for arrays and tables: the messages are copied behind each other, and no object is made
        for any of them.

        Args:
            max: messages to take at most.
            timeout: seconds to wait at most; None for ever, 0 not at all.

        Returns:
            The messages in order; none at all after `timeout` seconds. Perhaps fewer than there are.

        Raises what `read` raises, and InvalidArgument if `max` is less than 1.
        """
        return Columns(*self._read_columns(max, timeout))

    def close(self) -> None:
        """Gives the slot back; a wait in another thread ends. Idempotent."""
        self._close()

    def __repr__(self) -> str:
        where = "closed" if self.closed else f"at {self.position}"
        return f"<toroni.rmp.Reader{' ' + self.label if self.label else ''} {where}>"
