"""Brokerless, crash-safe, totally ordered messaging between the processes of one machine."""

import sys as _sys

__version__ = "0.1.0"

if _sys.platform != "linux" or _sys.maxsize < 2**32:
    raise ImportError("toroni needs 64-bit Linux with glibc")

from toroni import rmp, tp
from toroni._async_writer import AsyncWriter
from toroni._backpressure import Answer, Backpressure, Drop, Fail, Overwrite, Sleep, SlowReaders, Wait
from toroni._bus import Bus
from toroni._columns import Columns
from toroni._core import BorrowedMessage, Message, ReaderInfo, Statistics
from toroni._errors import (
    BusDamaged,
    BusMismatch,
    BusNotFound,
    BusNotReady,
    Closed,
    InUse,
    InvalidArgument,
    MalformedMessage,
    MessagesLost,
    MessageTooLarge,
    NoFreeSlot,
    NoRoom,
    OperatingSystemError,
    PermissionDenied,
    QueueFull,
    SharedMemoryFull,
    StreamDamaged,
    StreamRestarted,
    ToroniError,
    Unhandled,
    ViewInUse,
    WriterStalled,
)
from toroni._notifiers import Multicast, Notifier
from toroni._opening import buses, unlink
from toroni._reader import Reader

__all__ = [
    "Answer",
    "AsyncWriter",
    "Backpressure",
    "BorrowedMessage",
    "Bus",
    "BusDamaged",
    "BusMismatch",
    "BusNotFound",
    "BusNotReady",
    "Closed",
    "Columns",
    "Drop",
    "Fail",
    "InUse",
    "InvalidArgument",
    "MalformedMessage",
    "Message",
    "MessageTooLarge",
    "MessagesLost",
    "Multicast",
    "NoFreeSlot",
    "NoRoom",
    "Notifier",
    "OperatingSystemError",
    "Overwrite",
    "PermissionDenied",
    "QueueFull",
    "Reader",
    "ReaderInfo",
    "SharedMemoryFull",
    "Sleep",
    "SlowReaders",
    "Statistics",
    "StreamDamaged",
    "StreamRestarted",
    "ToroniError",
    "Unhandled",
    "ViewInUse",
    "Wait",
    "WriterStalled",
    "__version__",
    "buses",
    "rmp",
    "tp",
    "unlink",
]
