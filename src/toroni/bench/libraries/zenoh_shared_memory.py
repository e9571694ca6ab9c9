"""eclipse-zenoh: `put` with congestion control BLOCK to subscribers that are peers, over Unix sockets, no discovery.
Messages from 3072 bytes, the threshold of zenoh's own configuration, go through shared memory as in its Python example
"z_pub_shm"; below, zenoh batches. A callback feeds a queue, as its handlers cannot wait with a timeout.
"""

from __future__ import annotations

import fcntl
import json
import queue
import time
from pathlib import Path
from typing import Any

from toroni.bench.libraries._common import PATIENCE, PAUSE, OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

_SHARED = 3072  # bytes


def _path(setup: Setup, index: int) -> Path:
    return Path(f"/tmp/{setup.name}-{index}.sock")


def _session(listen: list[Path], connect: list[Path]) -> Any:
    import zenoh  # type: ignore[import-not-found,unused-ignore]

    config: Any = zenoh.Config()
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("scouting/gossip/enabled", "false")
    config.insert_json5("listen/endpoints", json.dumps([f"unixsock-stream/{path}" for path in listen]))
    config.insert_json5("connect/endpoints", json.dumps([f"unixsock-stream/{path}" for path in connect]))
    return zenoh.open(config)


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup) -> None:
        import zenoh  # type: ignore[import-not-found,unused-ignore]

        self._session = _session([], [_path(setup, index) for index in range(setup.subscribers)])
        self._selector = f"{setup.name}/here/*"
        self._all = zenoh.QueryTarget.ALL
        deadline = time.monotonic() + PATIENCE
        while self._ask() < setup.subscribers:
            if time.monotonic() > deadline:
                raise TimeoutError("not all subscribers are there")
            time.sleep(0.05)
        blocks = zenoh.CongestionControl.BLOCK
        self._put: Any = self._session.declare_publisher(f"{setup.name}/data", congestion_control=blocks).put
        self._provider: Any = None
        if setup.size >= _SHARED:
            self._provider = zenoh.shm.ShmProvider.default_backend((room(setup.size) + 1) * (setup.size + 64))
            self._policy: Any = zenoh.shm.BlockOn(zenoh.shm.GarbageCollect())

    def publish(self, message: bytes) -> None:
        if self._provider is None:
            self._put(message)
        else:
            shared = self._provider.alloc(len(message), policy=self._policy)
            shared[0 : len(message)] = message
            self._put(shared)

    def _ask(self) -> int:
        return len(list(self._session.get(self._selector, target=self._all)))

    def close(self) -> None:
        self._ask()  # answered after what was published; closing alone drops what is still to be sent
        self._session.close()


class _Subscriber(OneByOneSubscriber):
    def __init__(self, setup: Setup, index: int) -> None:
        self._most = room(setup.size)
        self._samples: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._session = _session([_path(setup, index)], [])
        self._subscriber: Any = self._session.declare_subscriber(f"{setup.name}/data", self._keep)
        self._here = f"{setup.name}/here/{index}"
        self._queryable: Any = self._session.declare_queryable(self._here, self._answer)

    def _keep(self, sample: Any) -> None:
        self._samples.put(sample)
        while self._samples.qsize() > self._most:  # blocks zenoh's channel, and so the publishers
            time.sleep(PAUSE)

    def _answer(self, query: Any) -> None:
        with query:
            query.reply(self._here, b"")

    def receive(self, timeout: float) -> Payload | None:
        try:
            sample = self._samples.get(timeout=timeout)
        except queue.Empty:
            return None
        message: bytes = sample.payload.to_bytes()
        return message

    def close(self) -> None:
        self._most = 1 << 62
        self._session.close()


class ZenohSharedMemory:
    """`zenoh.Publisher` and `Subscriber`."""

    name = "eclipse-zenoh"
    module: str | None = "zenoh"
    batches = False
    polls = False

    def open(self, setup: Setup) -> Setup:
        """Nothing: subscribers listen."""
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Connects to all subscribers."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Listens; a message is missed by none, as publishers wait."""
        return _Subscriber(channel, index)

    def close(self, channel: Setup) -> None:
        """Removes the sockets, and the segments that zenoh names itself and leaves, unless locked by who uses them."""
        for index in range(channel.subscribers):
            for path in Path("/tmp").glob(f"{_path(channel, index).name}*"):
                path.unlink(missing_ok=True)
        for segment in Path("/dev/shm").glob("*.zenoh"):
            with segment.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
            segment.unlink(missing_ok=True)
