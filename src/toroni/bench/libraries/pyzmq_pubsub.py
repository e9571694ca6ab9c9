"""pyzmq, PUB/SUB over ipc://. Each publisher binds, each subscriber connects to all, as the ZeroMQ guide does it. XPUB
is the PUB that shows its subscriptions: the publisher waits for one from each subscriber (the guide's "node
coordination" against slow joiners), and with XPUB_NODROP (zmq_setsockopt(3)) blocks at the high-water mark instead of
dropping. Large messages are not copied; pyzmq does so from its COPY_THRESHOLD on if `copy=False`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toroni.bench.libraries._common import PATIENCE, OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

_COPIED = 1 << 16  # bytes; pyzmq's own threshold: smaller messages are copied anyway


def _path(setup: Setup, index: int) -> Path:
    return Path(f"/tmp/{setup.name}-{index}.ipc")


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup, index: int) -> None:
        import zmq  # type: ignore[import-not-found,unused-ignore]

        self._copied = setup.size < _COPIED
        self._context: Any = zmq.Context()
        self._socket: Any = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, room(setup.size))
        self._socket.set(zmq.XPUB_VERBOSE, 1)
        self._socket.set(zmq.XPUB_NODROP, 1)
        self._socket.bind(f"ipc://{_path(setup, index)}")
        self._socket.set(zmq.RCVTIMEO, int(PATIENCE * 1000))
        for _ in range(setup.subscribers):
            self._socket.recv()
        self._send: Any = self._socket.send

    def publish(self, message: bytes) -> None:
        self._send(message, copy=self._copied)

    def close(self) -> None:
        self._socket.close()
        self._context.term()  # returns when all is sent


class _Subscriber(OneByOneSubscriber):
    def __init__(self, setup: Setup) -> None:
        import zmq  # type: ignore[import-not-found,unused-ignore]

        self._copied = setup.size < _COPIED
        self._timeout = -1.0
        self._timeout_option, self._timed_out = zmq.RCVTIMEO, zmq.Again
        self._context: Any = zmq.Context()
        self._socket: Any = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, room(setup.size))
        self._socket.set(zmq.SUBSCRIBE, b"")
        for index in range(setup.publishers):
            self._socket.connect(f"ipc://{_path(setup, index)}")
        self._recv: Any = self._socket.recv

    def receive(self, timeout: float) -> Payload | None:
        if timeout != self._timeout:
            self._socket.set(self._timeout_option, int(timeout * 1000))
            self._timeout = timeout
        try:
            message: Payload = self._recv() if self._copied else self._recv(copy=False).buffer
        except self._timed_out:
            return None
        return message

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()


class PyzmqPubSub:
    """`zmq.XPUB` and `zmq.SUB`."""

    name = "pyzmq"
    module: str | None = "zmq"
    batches = False
    polls = False

    def open(self, setup: Setup) -> Setup:
        """Nothing: publishers bind."""
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Binds and waits for all subscribers."""
        return _Publisher(channel, index)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Connects to all publishers; a message is missed by none, as they wait."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Removes the sockets' files."""
        for index in range(channel.publishers):
            _path(channel, index).unlink(missing_ok=True)
