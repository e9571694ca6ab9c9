"""A bus looked at again and again: what has changed between two looks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one only from Python 3.11 on
from dataclasses import dataclass, field

from toroni import Bus, BusNotFound, BusNotReady, Multicast, ReaderInfo, Statistics, ToroniError

_REMEMBERED = 60  # rates, for a sparkline, each of a second; of a longer time where we look more seldom
_SECOND = 0.95  # nearly: looks are never exactly a second apart
_OPENING_SECONDS = 0.05  # far longer than it takes, but where somebody is making the bus
_NOT_READY_SECONDS = 10.0  # somebody died while making it, most likely


@dataclass(frozen=True)
class Sample:
    """A bus at one moment; `time` is that of the monotonic clock, in seconds."""

    time: float
    statistics: Statistics
    readers: Sequence[ReaderInfo]


@dataclass(frozen=True)
class Rates:
    """What came a second, between two samples."""

    messages: float = 0.0
    bytes: float = 0.0
    notifications: float = 0.0
    backpressure: float = 0.0
    readers: Mapping[tuple[int, int], float] = field(default_factory=dict)  # messages, by slot and start of the process


def rates_between(before: Sample, now: Sample) -> Rates:
    """Of two samples of the same bus; nothing is less than 0, whoever scribbles over the counters."""
    seconds = max(now.time - before.time, 1e-9)

    def rate(name: str) -> float:
        more: int = getattr(now.statistics, name) - getattr(before.statistics, name)
        return max(0, more) / seconds

    read_before = {(one.slot, one.start_time): one.messages for one in before.readers}
    readers = {
        key: max(0, one.messages - read_before[key]) / seconds
        for one in now.readers
        if (key := (one.slot, one.start_time)) in read_before
    }
    return Rates(rate("messages"), rate("bytes"), rate("notifications"), rate("backpressure"), readers)


def _opening(name: str) -> Future[Bus]:
    """A bus that somebody is making is waited for, for seconds: by a thread, which nothing waits for at our end."""
    future: Future[Bus] = Future()

    def open_it() -> None:
        try:
            future.set_result(Bus(name, role="observer"))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=open_it, daemon=True).start()
    return future


class Watched:
    """One bus. Opened as long as it is there; one that was removed and made anew is another one.

    Attributes:
        name: of the bus.
        problem: why it cannot be seen.
        is_missing: there is none.
        notifier: how its readers are woken.
        sample: the last one; None where it could not be opened.
        rates: between the last two.
        history: messages a second of about the last minute, the oldest first.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.problem: str | None = None
        self.is_missing = False
        self.notifier: str | Multicast = ""
        self.sample: Sample | None = None
        self.rates = Rates()
        self.history: deque[float] = deque(maxlen=_REMEMBERED)
        self._remembered: Sample | None = None  # the history goes on from there
        self._bus: Bus | None = None
        self._opening: Future[Bus] | None = None
        self._not_before = float("-inf")

    def look(self, time: float) -> None:
        """Takes a sample; what cannot be seen leaves a problem in words."""
        if self.sample is not None and self.sample.statistics.is_unlinked:
            self.close()
        try:
            if self._bus is None and not self._open(time):
                return
            assert self._bus is not None
            now = Sample(time, self._bus.stats(), self._bus.readers())
        except ToroniError as error:
            self.is_missing = isinstance(error, BusNotFound)
            self.problem = str(error)
            self.rates = Rates()
            if isinstance(error, BusNotReady):
                self._not_before = time + _NOT_READY_SECONDS
            return
        if self.sample is not None:
            self.rates = rates_between(self.sample, now)
        if self._remembered is None:
            self._remembered = now
        elif now.time - self._remembered.time >= _SECOND:
            self.history.append(rates_between(self._remembered, now).messages)
            self._remembered = now
        self.sample, self.problem, self.is_missing = now, None, False

    def _open(self, time: float) -> bool:
        """Whether it is open; where it is not yet, a later look asks again."""
        if time < self._not_before:
            return False
        seconds = 0.0
        if self._opening is None:
            self._opening, seconds = _opening(self.name), _OPENING_SECONDS
        try:
            self._bus = self._opening.result(seconds)
        except FutureTimeoutError:
            self.problem, self.is_missing = "another process is making it, or died doing so", False
            return False
        except ToroniError:
            self._opening = None
            raise
        self._opening = None
        self.notifier = self._bus.notifier
        return True

    def close(self) -> None:
        """Until the next look; what was seen is of the past."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        self.sample = self._remembered = None
        self.rates = Rates()
        self.history.clear()

    @property
    def lag_percent(self) -> float:
        """Of the living reader that is furthest behind."""
        readers = self.sample.readers if self.sample else ()
        return max((one.lag_percent for one in readers if one.alive and one.active), default=0.0)
