"""pyaeron: `offer` to a publication on `aeron:ipc`, again while it is back-pressured, and `poll` with a handler, as in
its README and its examples; subscribers poll. The media driver is a process of its own, as its README allows ("Point
`dir=` at an existing driver"). A view is valid only in
the handler, hence the copy of what is not checked there. Needs Python 3.12.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from toroni.bench.libraries._common import PATIENCE, PAUSE
from toroni.bench.library import Payload, Setup

_CHANNEL = "aeron:ipc?term-length=16m"  # the default, 64m, makes 192 MiB a publication
_STREAM = 10
_FRAGMENTS = 1000  # a poll
_DRIVER = "import pyaeron, sys; driver = pyaeron.MediaDriver(dir=sys.argv[1]); sys.stdin.read(); driver.close()"

_drivers: dict[str, subprocess.Popen[bytes]] = {}  # the coordinator's own: a process cannot be passed to others


def _directory(setup: Setup) -> str:
    return f"/dev/shm/{setup.name}"


def _client(setup: Setup) -> Any:
    import pyaeron  # type: ignore[import-not-found,unused-ignore]

    return pyaeron.Aeron(dir=_directory(setup))


class _Publisher:
    def __init__(self, setup: Setup) -> None:
        self._client = _client(setup)
        self._publication: Any = self._client.add_publication(_CHANNEL, _STREAM)
        self._offer = self._publication.offer

    def publish(self, message: bytes) -> None:
        while not self._offer(message):
            time.sleep(PAUSE)

    def publish_each(self, messages: Sequence[bytes]) -> None:
        offer = self._offer
        for message in messages:
            while not offer(message):
                time.sleep(PAUSE)

    def publish_many(self, messages: Sequence[bytes]) -> None:
        self.publish_each(messages)

    def close(self) -> None:
        self._publication.close()
        self._client.close()


class _Subscriber:
    def __init__(self, setup: Setup) -> None:
        self._client = _client(setup)
        self._subscription: Any = self._client.add_subscription(_CHANNEL, _STREAM)
        self._spins = setup.spins
        self._messages: deque[bytes] = deque()
        # The same object each time: a poll with another one drops half-assembled messages.
        self._handler, self._pass_on = self._keep, self._hand_over
        self._accept: Callable[[Payload], bool] = bool
        self._goes_on = True

    def deliver(self, accept: Callable[[Payload], bool], timeout: float) -> None:
        self._accept, self._goes_on = accept, True
        deadline = time.monotonic() + timeout
        while self._goes_on:
            if self._subscription.poll(self._pass_on, _FRAGMENTS):
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                return
            elif not self._spins:
                time.sleep(PAUSE)

    def _hand_over(self, view: Any, header: Any) -> None:
        self._goes_on = self._accept(view)

    def receive(self, timeout: float) -> Payload | None:
        if not self._messages:
            self._wait(timeout)
        return self._messages.popleft() if self._messages else None

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        self._wait(timeout)
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._subscription.poll(self._handler, _FRAGMENTS) or not self._messages:
            if time.monotonic() > deadline:
                return
            if not self._spins:
                time.sleep(PAUSE)

    def _keep(self, view: Any, header: Any) -> None:
        self._messages.append(view.tobytes())

    def close(self) -> None:
        self._subscription.close()
        self._client.close()


class AeronPublication:
    """`pyaeron.Publication` and `Subscription`."""

    module: str | None = "pyaeron"
    polls = True

    def __init__(self, batches: bool) -> None:
        self.name = "pyaeron, batches" if batches else "pyaeron"
        self.batches = batches

    def open(self, setup: Setup) -> Setup:
        """Starts a media driver."""
        import pyaeron  # type: ignore[import-not-found,unused-ignore]

        directory = _directory(setup)
        driver = subprocess.Popen([sys.executable, "-c", _DRIVER, directory], stdin=subprocess.PIPE)
        _drivers[directory] = driver
        deadline = time.monotonic() + PATIENCE
        while not pyaeron.is_driver_active(directory):
            if driver.poll() is not None or time.monotonic() > deadline:
                self.close(setup)
                raise RuntimeError("the media driver does not start")
            time.sleep(0.01)
        return setup

    def publisher(self, channel: Setup, index: int) -> _Publisher:
        """Adds a publication."""
        return _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> _Subscriber:
        """Adds a subscription."""
        return _Subscriber(channel)

    def close(self, channel: Setup) -> None:
        """Stops the driver and removes its directory."""
        driver = _drivers.pop(_directory(channel), None)
        if driver is not None:
            driver.communicate()  # end of its standard input
        shutil.rmtree(_directory(channel), ignore_errors=True)
