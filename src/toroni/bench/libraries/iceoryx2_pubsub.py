"""iceoryx2: a publish-subscribe service of byte slices, as in its Python example "publish_subscribe_dynamic_data":
`loan_slice_uninit`, write, `assume_init`, `send`; `receive`, polled as that example does. Without safe overflow, and
with the default backpressure strategy, a full subscriber blocks the publisher. A payload is valid until the next
`receive`.
"""

from __future__ import annotations

import ctypes
import shutil
import time
from pathlib import Path
from typing import Any

from toroni.bench.libraries._common import PAUSE, OneByOnePublisher, OneByOneSubscriber, room
from toroni.bench.library import Payload, Setup

_MOST = 1024  # messages; each pair preallocates as many


def _root(setup: Setup) -> str:
    return f"/tmp/{setup.name}"


def _service(setup: Setup) -> tuple[Any, Any]:
    import iceoryx2  # type: ignore[import-not-found,import-untyped,unused-ignore]

    api: Any = iceoryx2
    api.set_log_level(api.LogLevel.Error)
    config = api.config.default()
    config.global_cfg.root_path = api.Path.new(_root(setup))
    config.global_cfg.prefix = api.FileName.new(f"{setup.name}_")
    node = api.NodeBuilder.new().config(config).create(api.ServiceType.Ipc)
    service = (
        node.service_builder(api.ServiceName.new("bench"))
        .publish_subscribe(api.Slice[ctypes.c_uint8])
        .max_publishers(setup.publishers)
        .max_subscribers(setup.subscribers)
        .subscriber_max_buffer_size(room(setup.size, _MOST))
        .enable_safe_overflow(False)
        .open_or_create()
    )
    return node, service


class _Publisher(OneByOnePublisher):
    def __init__(self, setup: Setup) -> None:
        self._node, service = _service(setup)
        self._publisher: Any = service.publisher_builder().initial_max_slice_len(setup.size).create()

    def publish(self, message: bytes) -> None:
        length = len(message)
        sample = self._publisher.loan_slice_uninit(length)
        ctypes.memmove(sample.payload_ptr, message, length)
        sample.assume_init().send()

    def close(self) -> None:
        self._publisher = self._node = None


class _Subscriber(OneByOneSubscriber):
    def __init__(self, setup: Setup) -> None:
        self._node, service = _service(setup)
        self._subscriber: Any = service.subscriber_builder().create()
        self._spins = setup.spins
        self._sample: Any = None  # keeps the payload that was last given out

    def receive(self, timeout: float) -> Payload | None:
        self._sample = self._subscriber.receive()
        if self._sample is None:
            deadline = time.monotonic() + timeout
            while (sample := self._subscriber.receive()) is None:
                if time.monotonic() > deadline:
                    return None
                if not self._spins:
                    time.sleep(PAUSE)
            self._sample = sample
        payload: memoryview = self._sample.payload().as_memory_view()
        return payload

    def close(self) -> None:
        self._sample = self._subscriber = self._node = None


class Iceoryx2PubSub:
    """`iceoryx2.Publisher` and `Subscriber`."""

    name = "iceoryx2"
    module: str | None = "iceoryx2"
    batches = False
    polls = True

    def open(self, setup: Setup) -> Setup:
        """Nothing: whoever comes first creates the service."""
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """A node with a publisher."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """A node with a subscriber."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Removes what processes that were killed have left."""
        shutil.rmtree(_root(channel), ignore_errors=True)
        for file in Path("/dev/shm").glob(f"*{channel.name}_*"):
            file.unlink(missing_ok=True)
