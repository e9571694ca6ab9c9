"""Brokerless, crash-safe, totally ordered messaging between the processes of one machine."""

import sys as _sys

if _sys.platform != "linux" or _sys.maxsize < 2**32:
    raise ImportError("toroni needs 64-bit Linux with glibc")

from toroni import rmp
from toroni._backpressure import Backpressure, Drop, Fail, Overwrite, Wait
from toroni._errors import (
    BusDamaged,
    BusMismatch,
    BusNotReady,
    Closed,
    InUse,
    InvalidArgument,
    MessagesLost,
    MessageTooLarge,
    NoFreeSlot,
    NoRoom,
    OperatingSystemError,
    PermissionDenied,
    SharedMemoryFull,
    StreamDamaged,
    StreamRestarted,
    ToroniError,
    WriterStalled,
)

__all__ = [
    "Backpressure",
    "BusDamaged",
    "BusMismatch",
    "BusNotReady",
    "Closed",
    "Drop",
    "Fail",
    "InUse",
    "InvalidArgument",
    "MessageTooLarge",
    "MessagesLost",
    "NoFreeSlot",
    "NoRoom",
    "OperatingSystemError",
    "Overwrite",
    "PermissionDenied",
    "SharedMemoryFull",
    "StreamDamaged",
    "StreamRestarted",
    "ToroniError",
    "Wait",
    "WriterStalled",
    "rmp",
]
