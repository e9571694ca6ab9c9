"""Opening, closing, pickling and removing a bus: the same whatever its messages look like."""

from __future__ import annotations

import grp
import os
import re
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from toroni import _core
from toroni._backpressure import Backpressure, Wait
from toroni._closing import Closing
from toroni._errors import BusNotReady, InvalidArgument, MessagesLost
from toroni._notifiers import Multicast, NotifierOption, from_record, to_choice
from toroni._sizes import parse_size

if TYPE_CHECKING:
    _Native = _core.StreamBase
else:
    _Native = object  # mixed with a native class

Start = Literal["now", "oldest"] | int
OnLoss = Literal["raise", "skip"] | Callable[[MessagesLost], object]
Role = Literal["both", "reader", "writer", "observer"]

_Result = TypeVar("_Result")

_DIRECTORY = "/dev/shm"
# Making or removing a bus takes milliseconds; whoever takes longer is stopped.
_PATIENCE_SECONDS = 5.0


class Opened(Closing, _Native):
    """A bus, open in this process. Usable from any number of threads.

    Args:
        name: of the bus: 1 to 245 bytes of UTF-8, no slash, no NUL.
        capacity: of the ring, in bytes or as "4 MiB"; a power of two from 64 B to 4 GiB. None takes what the
            bus has, or 4 MiB for a new one.
        max_readers: number of reader slots, 1 to 2048. None takes what the bus has, or 64 for a new one.
        notifier: how readers are woken: "futex", "multicast" or `Multicast(...)` (as C++ and Java processes use),
            "poll" (they look every millisecond), or an object of your own. None takes what the bus has, or "futex"
            for a new one.
        role: "reader" maps the ring read-only, "writer" maps the reader slots read-only, "observer" both: it has
            `stats()` and `readers()`, and leaves no trace.
        create: False opens the bus only if it exists; an observer never makes one.
        mode: of a new bus, as for `os.chmod`: who may read and who may write the stream. Who may read it may also hold
            reader slots: with 0o640 your group can read and not write.
        group: of a new bus, by name or number: one that you are a member of. None: your process's group.
        backpressure: what to do when slow readers are in the way: Wait, Overwrite, Sleep, Drop, Fail, or a callable
            that takes `SlowReaders` and answers "retry", "overwrite" or "drop".

    Raises:
        InvalidArgument: a name, size, role, group or notifier that cannot be.
        BusMismatch: the bus exists with other sizes or another notifier, or in another PID namespace.
        BusNotFound: there is none, and create=False or role="observer".
        BusDamaged: its files are not those of a bus.
        BusNotReady: another process has been making or removing it for 5 seconds.
        PermissionDenied: its mode forbids this role.
        SharedMemoryFull: /dev/shm has no room for it.
    """

    __slots__ = ()
    _options: dict[str, object]
    _readers: weakref.WeakSet[Any]

    def __init__(
        self,
        name: str,
        *,
        capacity: int | str | None = None,
        max_readers: int | None = None,
        notifier: NotifierOption | None = None,
        role: Role = "both",
        create: bool = True,
        mode: int = 0o600,
        group: str | int | None = None,
        backpressure: Backpressure = Wait(),  # noqa: B008 - frozen
    ) -> None:
        for what, value, kind in (
            ("name", name, str),
            ("role", role, str),
            ("mode", mode, int),
            ("create", create, bool),
        ):
            if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
                raise TypeError(f"{what} must be {kind.__name__}; got {value!r}")
        _check_encoding(name)
        if max_readers is not None and (isinstance(max_readers, bool) or not isinstance(max_readers, int)):
            raise TypeError(f"max_readers must be int or None; got {max_readers!r}")
        if max_readers is not None and not 1 <= max_readers <= 2048:
            raise InvalidArgument(f"max_readers must be 1 to 2048; got {max_readers}")
        if not 0 <= mode <= 0o777:
            raise InvalidArgument(f"mode must be 0 to 0o777; got {mode:#o}")
        size = 0 if capacity is None else parse_size(capacity)
        group_id, choice = _group_id(group), to_choice(notifier)
        make: Any = super().__init__  # that of the native class, which is not StreamBase's
        patiently(
            lambda: make(name, size, max_readers or 0, role, create, mode, group_id, _DIRECTORY, choice, backpressure)
        )
        self._options = {
            "capacity": capacity,
            "max_readers": max_readers,
            "notifier": notifier,
            "role": role,
            "create": create,
            "mode": mode,
            "group": group,
            "backpressure": backpressure,
        }
        self._readers = weakref.WeakSet()

    @property
    def notifier(self) -> str | Multicast:
        """How readers are woken, as the bus has recorded it: "futex", "poll", "custom" or a Multicast."""
        return from_record(*self._notifier)

    def close(self) -> None:
        """Ends the use of the bus, and closes its readers. Idempotent."""
        for reader in list(self._readers):
            reader.close()
        self._close()

    def __reduce__(self) -> tuple[Callable[..., Opened], tuple[type[Opened], str, dict[str, object]]]:
        """Pickles as its name and options: the other process opens it by itself."""
        return _reopen, (type(self), self.name, self._options)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.name!r}{', closed' if self.closed else ''}>"


def buses() -> list[str]:
    """The names of all buses on this machine, in order; also of half ones, and those that others may not open."""
    found = set()
    for file in os.listdir(_DIRECTORY):
        if match := re.fullmatch(r"toroni-(.+)-r[bi]", file, re.DOTALL):
            found.add(match[1])
    return sorted(found)


def unlink(name: str) -> bool:
    """Removes a bus's names; who has it open goes on, who opens it later makes a new one.

    Returns:
        False if there was no such bus.

    Raises:
        InvalidArgument: a name that no bus can have.
        PermissionDenied: it is somebody else's.
        BusNotReady: another process is making or removing it.
    """
    _check_encoding(name)
    return patiently(lambda: _core._unlink(name, _DIRECTORY))


def patiently(attempt: Callable[[], _Result]) -> _Result:
    """Again and again while another process is making or removing the bus, which takes milliseconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except BusNotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def _check_encoding(name: str) -> None:
    """Files of any bytes may lie in /dev/shm, also some whose names look like a bus's."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"a bus has a name of text; {name!r} is not UTF-8") from None


def _group_id(group: str | int | None) -> int | None:
    if group is None or (isinstance(group, int) and not isinstance(group, bool) and 0 <= group < 2**32 - 1):
        return group
    if not isinstance(group, str):
        raise InvalidArgument(f"a group is a name or a number; got {group!r}")
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidArgument(f"there is no group {group!r}") from None


def _reopen(kind: type[Opened], name: str, options: dict[str, object]) -> Opened:
    return kind(name, **options)  # type: ignore[arg-type]
