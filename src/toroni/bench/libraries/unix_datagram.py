"""A Unix datagram socket for each subscriber, used as unix(7) and socket(7) say: reliable, ordered, boundaries kept; a
full receiver blocks the sender. Abstract addresses, so that no file can be left.
"""

from __future__ import annotations

import socket
import struct

from toroni.bench.libraries._common import OneByOnePublisher, OneByOneSubscriber
from toroni.bench.library import Payload, Setup

_SO_SNDBUFFORCE = 32  # socket(7): beyond net.core.wmem_max, for CAP_NET_ADMIN; not in the socket module
_BUFFER = 8 << 20  # bytes; a datagram has to fit into it
_DEFAULT_BUFFER = 100 << 10  # bytes that every system allows

Channel = tuple[Setup, list[socket.socket]]


def _sender(address: str, size: int) -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(address)
    if size > _DEFAULT_BUFFER:
        try:
            sender.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER)
        except PermissionError:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return sender


def _address(setup: Setup, index: int) -> str:
    return f"\0{setup.name}-{index}"


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup) -> None:
        self._sockets = [_sender(_address(setup, index), setup.size) for index in range(setup.subscribers)]

    def publish(self, message: bytes) -> None:
        for sender in self._sockets:
            sender.send(message)

    def close(self) -> None:
        for sender in self._sockets:
            sender.close()


class _Subscriber(OneByOneSubscriber):
    def __init__(self, own: socket.socket, size: int) -> None:
        self._socket = own
        self._size = size
        self._timeout = -1.0

    def receive(self, timeout: float) -> Payload | None:
        if timeout != self._timeout:
            # SO_RCVTIMEO rather than settimeout, which calls poll before each recv
            microseconds = max(1, int(timeout * 1e6))
            self._socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", *divmod(microseconds, 1_000_000))
            )
            self._timeout = timeout
        try:
            return self._socket.recv(self._size)
        except BlockingIOError:
            return None

    def close(self) -> None:
        self._socket.close()


class UnixDatagram:
    """`socket.AF_UNIX`, `socket.SOCK_DGRAM`."""

    name = "Unix datagram socket"
    module: str | None = None
    batches = False
    polls = False

    def open(self, setup: Setup) -> Channel:
        """Binds a socket for each subscriber."""
        receivers = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(setup.subscribers)]
        for index, receiver in enumerate(receivers):
            receiver.bind(_address(setup, index))
        return setup, receivers

    def publisher(self, channel: Channel, index: int) -> _Publisher:
        """Sends to all of them."""
        return _Publisher(channel[0])

    def subscriber(self, channel: Channel, index: int) -> _Subscriber:
        """Receives from its own."""
        return _Subscriber(channel[1][index], channel[0].size)

    def close(self, channel: Channel) -> None:
        """Closes this process's copies."""
        for receiver in channel[1]:
            receiver.close()
