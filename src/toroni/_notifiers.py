"""How the readers of a bus are woken. The bus records it, so that all its processes agree."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from toroni._errors import InvalidArgument


@dataclass(frozen=True)
class Multicast:
    """An empty UDP datagram to a multicast group, as C++ and Java processes use.

    Attributes:
        group: IPv4 address of the group.
        port: UDP port.
        interface: IPv4 address of the interface; the default never leaves this machine.
    """

    group: str = "224.1.1.1"
    port: int = 3334
    interface: str = "127.0.0.1"


@runtime_checkable
class Notifier(Protocol):
    """A notifier of the application's own. One object serves all readers and writers of a process, in any thread.

    Wake-ups are hints: a wait may end early, and a message that nobody announced is found within a second. If several
    threads wait, one notification should end all their waits.
    """

    def notify(self) -> object:
        """Wakes whoever waits, in all processes. Called after a publication, if somebody waits."""

    def wait(self, timeout: float) -> object:
        """Returns when notified, or after `timeout` seconds; with 0 it only forgets earlier notifications."""

    def fileno(self) -> int:
        """A descriptor that is readable from a notification until the next wait()."""


NotifierOption = Literal["futex", "multicast", "poll"] | Multicast | Notifier

_KINDS = {"futex": 1, "multicast": 2, "poll": 3, "custom": 4}
_NAMES = {number: name for name, number in _KINDS.items()}


def to_choice(notifier: NotifierOption | None) -> tuple[int, int, int, int, object] | None:
    """What the core takes: kind, group, interface and port in network byte order, and the application's object.

    Raises:
        InvalidArgument: neither a known name nor an object with notify(), wait() and fileno(); an address that
            cannot be.
    """
    if notifier is None:
        return None
    if isinstance(notifier, str):
        if notifier == "multicast":
            return to_choice(Multicast())
        if notifier not in ("futex", "poll"):
            raise InvalidArgument(f"notifier must be 'futex', 'multicast', 'poll' or an object; got {notifier!r}")
        return _KINDS[notifier], 0, 0, 0, None
    if isinstance(notifier, Multicast):
        group, interface = _address(notifier.group), _address(notifier.interface)
        if not group.is_multicast:
            raise InvalidArgument(f"{notifier.group} is not a multicast group (224.0.0.0 to 239.255.255.255)")
        if isinstance(notifier.port, bool) or not isinstance(notifier.port, int) or not 1 <= notifier.port <= 65535:
            raise InvalidArgument(f"a port is 1 to 65535; got {notifier.port!r}")
        port = int.from_bytes(notifier.port.to_bytes(2, "big"), "little")
        return _KINDS["multicast"], _in_memory(group), _in_memory(interface), port, None
    if isinstance(notifier, type) or not isinstance(notifier, Notifier):
        raise InvalidArgument(f"a notifier has notify(), wait(timeout) and fileno(); got {notifier!r}")
    return _KINDS["custom"], 0, 0, 0, notifier


def from_record(kind: int, group: int, interface: int, port: int) -> str | Multicast:
    """What a bus has recorded: a name, or a Multicast."""
    if _NAMES[kind] != "multicast":
        return _NAMES[kind]
    return Multicast(
        str(ipaddress.IPv4Address(group.to_bytes(4, "little"))),
        int.from_bytes(port.to_bytes(2, "little"), "big"),
        str(ipaddress.IPv4Address(interface.to_bytes(4, "little"))),
    )


def looks_by_itself(kind: int) -> bool:
    """Whether somebody looks once a second for messages that nobody announced, on behalf of an event loop."""
    return _NAMES[kind] in ("futex", "poll")


def _address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise InvalidArgument(f"not an IPv4 address: {error}") from None


def _in_memory(address: ipaddress.IPv4Address) -> int:
    return int.from_bytes(address.packed, "little")
