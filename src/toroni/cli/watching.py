"""A bus looked at again and again: what has changed between two looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toroni import Bus, BusNotFound, Multicast, ReaderInfo, Statistics, ToroniError

REMEMBERED = 120  # rates, for a sparkline


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


class Watched:
    """One bus. Opened as long as it is there; one that was removed and made anew is another one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problem: str | None = None
        self.is_missing = False
        self.notifier: str | Multicast = ""
        self.sample: Sample | None = None
        self.rates = Rates()
        self.history: deque[float] = deque(maxlen=REMEMBERED)
        self._bus: Bus | None = None

    def look(self, time: float) -> None:
        """Takes a sample; what cannot be seen leaves a problem in words."""
        if self.sample is not None and self.sample.statistics.is_unlinked:
            self.close()
        try:
            if self._bus is None:
                self._bus = Bus(self.name, role="observer")
                self.notifier = self._bus.notifier
                self.sample, self.rates = None, Rates()
                self.history.clear()
            now = Sample(time, self._bus.stats(), self._bus.readers())
        except ToroniError as error:
            self.is_missing = isinstance(error, BusNotFound)
            self.problem = str(error)
            return
        if self.sample is not None:
            self.rates = rates_between(self.sample, now)
            self.history.append(self.rates.messages)
        self.sample, self.problem, self.is_missing = now, None, False

    def close(self) -> None:
        """Until the next look."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    @property
    def lag_percent(self) -> float:
        """Of the living reader that is furthest behind."""
        readers = self.sample.readers if self.sample else ()
        return max((one.lag_percent for one in readers if one.alive and one.active), default=0.0)
