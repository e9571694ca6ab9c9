"""The errors of Toroni: one tree, each saying what to do.

::

    ToroniError
    ├── InvalidArgument (ValueError)     the caller's mistake
    │   └── MessageTooLarge              the message does not fit the ring
    ├── Closed (ValueError)              used after close()
    ├── InUse (RuntimeError)             used while the same thread, or a borrowed message, uses it
    ├── ViewInUse (BufferError)          a view of a borrowed message outlives its release
    ├── BusNotFound (FileNotFoundError)  there is none, and none was to be made
    ├── BusNotReady                      being made or removed by somebody for too long
    ├── BusDamaged                       the bytes found are not those of a bus
    ├── BusMismatch                      other sizes, another version, another PID namespace
    ├── PermissionDenied (PermissionError)
    ├── SharedMemoryFull (OSError)       /dev/shm has no room for the bus
    ├── OperatingSystemError (OSError)   any other failed system call
    ├── NoFreeSlot                       max_readers readers are attached
    ├── NoRoom                           slow readers are in the way, and the policy says fail
    ├── WriterStalled                    the holder of the writer mutex does not go on
    ├── QueueFull                        an AsyncWriter has as many messages queued as it may
    ├── Unhandled (LookupError)          dispatch() met a message that no handler wants
    └── MessagesLost                     this reader was overtaken
        ├── StreamRestarted              the stream began anew
        ├── StreamDamaged                the bytes in the ring are not a stream
        └── MalformedMessage             a message without a topic, on a bus with topics
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from toroni import _core

if TYPE_CHECKING:
    from collections.abc import Sequence


class ToroniError(Exception):
    """What all errors of Toroni are."""


class InvalidArgument(ToroniError, ValueError):
    """An argument that cannot be meant; the message says what can."""


class MessageTooLarge(InvalidArgument):
    """A message that does not fit the ring even when it is empty."""


class Closed(ToroniError, ValueError):
    """A stream or reader was used after close(), or closed by another thread during a wait."""


class InUse(ToroniError, RuntimeError):
    """A reader was used by code that interrupted a read of it in the same thread, or while a message is borrowed."""


class ViewInUse(ToroniError, BufferError):
    """A slice of a borrowed message, or an array made of it, exists when the message is released.

    The message has been released all the same. The memory stays mapped as long as the view lives, but writers may
    change what it shows.
    """


class BusNotFound(ToroniError, FileNotFoundError):
    """There is no such bus, and it was opened with create=False or role="observer"; `errno` is ENOENT."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOENT


class BusNotReady(ToroniError):
    """Another process has been making or removing the bus for too long; it may be stopped."""


class BusDamaged(ToroniError):
    """The files of the bus, or its locks, are not what Toroni makes."""


class BusMismatch(ToroniError):
    """The bus exists with another configuration than the one asked for."""


class PermissionDenied(ToroniError, PermissionError):
    """The bus belongs to somebody else, its mode forbids this role, or /dev/shm is read-only.

    `errno` is EACCES, EPERM or EROFS.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.EACCES


class SharedMemoryFull(ToroniError, OSError):
    """/dev/shm has no room for the bus; the message has the numbers; `errno` is ENOSPC, or EDQUOT for a quota."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


class OperatingSystemError(ToroniError, OSError):
    """A system call failed that should not: at a limit of this process, mostly; `errno` says which."""


class NoFreeSlot(ToroniError):
    """All reader slots are taken; the message names the holders."""


class NoRoom(ToroniError):
    """Slow readers are in the way of a message, and the backpressure policy says fail.

    Attributes:
        readers: who is in the way.
        written: how many messages of the call were written.
    """

    def __init__(self, message: str, readers: Sequence[_core.ReaderInfo], written: int) -> None:
        super().__init__(message, readers, written)
        self.message = message
        self.readers = list(readers)
        self.written = written

    def __str__(self) -> str:
        return self.message


class WriterStalled(ToroniError):
    """The process that holds the writer mutex is alive but does not go on; the message has its pid."""


class QueueFull(ToroniError):
    """An AsyncWriter has `limit` messages queued; they come faster than they are written."""


class Unhandled(ToroniError, LookupError):
    """The next message is for a subscription without a handler; `recv` takes it, `dispatch` cannot."""


class MessagesLost(ToroniError):
    """A reader was overtaken by writers. It goes on at `to_position` with the next read.

    Attributes:
        bytes: how much of the stream was missed, headers and padding included.
        messages: how many messages that were, of all topics; None where they cannot be counted: writers of other
            implementations took part, or the reader was started at a position that was gone already.
        from_position: the first position that was not read.
        to_position: where the reader goes on.
        label: the reader's.
    """

    def __init__(self, lost_bytes: int, messages: int | None, from_position: int, to_position: int, label: str) -> None:
        super().__init__(lost_bytes, messages, from_position, to_position, label)
        self.bytes = lost_bytes
        self.messages = messages
        self.from_position = from_position
        self.to_position = to_position
        self.label = label

    def __str__(self) -> str:
        who = f"reader '{self.label}'" if self.label else "this reader"
        count = "an unknown number of" if self.messages is None else str(self.messages)
        return (
            f"{who} was too slow and missed {count} messages ({self.bytes} bytes of the stream, from position "
            f"{self.from_position}); it goes on at {self.to_position}; read faster, use a larger capacity, or "
            "let writers wait longer"
        )


class StreamRestarted(MessagesLost):
    """Another process initialised the stream anew; what was in it is gone."""

    def __str__(self) -> str:
        return (
            f"the stream began anew, by another process, while this reader stood at {self.from_position}; "
            f"it goes on at {self.to_position}"
        )


class StreamDamaged(MessagesLost):
    """The bytes in the ring are not a stream: another process scribbled over them."""

    def __str__(self) -> str:
        return (
            f"the bytes at position {self.from_position} are not a message: another process damaged the ring; "
            f"this reader goes on at {self.to_position}"
        )


class MalformedMessage(MessagesLost):
    """A message on a bus with topics has none: it was not posted, but written raw."""

    def __str__(self) -> str:
        return (
            f"the message at position {self.from_position} has no topic: a process writes raw messages (toroni.rmp, or "
            "another program) to this bus; this reader goes on behind it"
        )


_core._register_classes({name: value for name, value in globals().items() if isinstance(value, type)})
