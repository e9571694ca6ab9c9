"""What is measured, as data. Each workload is one way to use a channel between real processes."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from toroni.bench.library import Library, Setup


class Kind(enum.Enum):
    """What comes out."""

    RATE = "messages a second at each subscriber"
    ONE_WAY = "from just before publishing until the subscriber has it, one message each 2 ms"
    PING_PONG = "half a round trip over two channels"
    BURST = "messages a second, from a subscriber's first of a burst to its last; ns a message for the publisher"
    BURST_LATENCY = "from the creation of each message of a short burst until the subscriber has it, the mean"


@dataclass(frozen=True)
class Workload:
    """One column of the result.

    Attributes:
        name: for the command line and the JSON file.
        title: for tables and plots.
        kind: what comes out.
        publishers: processes that publish, at the same time.
        subscribers: processes that each get all messages.
        size: of a message, in bytes.
        spins: whether subscribers may burn a processor while they wait.
        processors: of the publisher and of the subscriber, by number; None where the kernel decides.
        capacity, topics, subscribes_each: as in `Setup`.
        only: the libraries that it is for; none for all.
    """

    name: str
    title: str
    kind: Kind = Kind.RATE
    publishers: int = 1
    subscribers: int = 1
    size: int = 64
    spins: bool = False
    processors: tuple[int, int] | None = None
    capacity: int = 0
    topics: int = 0
    subscribes_each: bool = False
    only: tuple[str, ...] = ()

    def suits(self, library: Library) -> bool:
        """Whether it makes sense: a single message does not come sooner because others could come with it."""
        is_single = self.kind in (Kind.ONE_WAY, Kind.PING_PONG)
        return not (is_single and library.batches) and (not self.only or library.name in self.only)

    def setup(self, name: str) -> Setup:
        """For a channel of this name."""
        return Setup(
            name,
            self.publishers,
            self.subscribers,
            self.size,
            self.spins,
            self.capacity,
            self.topics,
            self.subscribes_each,
        )

    @property
    def is_burst(self) -> bool:
        """Whether it is of the core alone."""
        return self.kind in (Kind.BURST, Kind.BURST_LATENCY)

    @property
    def shows_one_order(self) -> bool:
        """Whether subscribers could see different orders."""
        return self.kind is Kind.RATE and self.publishers > 1 and self.subscribers > 1


WORKLOADS = (
    Workload("T1", "1 -> 1"),
    Workload("T2", "1 -> 4", subscribers=4),
    Workload("T3", "4 -> 1", publishers=4),
    Workload("T4", "4 -> 4", publishers=4, subscribers=4),
    Workload("T5-8B", "8 B", size=8),
    Workload("T5-1KiB", "1 KiB", size=1 << 10),
    Workload("T5-64KiB", "64 KiB", size=64 << 10),
    Workload("T5-1MiB", "1 MiB", size=1 << 20),
    Workload("L1", "one way", Kind.ONE_WAY),
    Workload("L1-apart", "one way, two processors", Kind.ONE_WAY, processors=(0, 1)),
    Workload("L1-together", "one way, one processor", Kind.ONE_WAY, processors=(0, 0)),
    Workload("L2", "ping-pong", Kind.PING_PONG),
    Workload("L2-spins", "ping-pong, spinning", Kind.PING_PONG, spins=True),
)


def chosen(names: list[str], among: Sequence[Workload] = WORKLOADS) -> list[Workload]:
    """Those with these names; "T5" stands for all that begin so; none for all.

    Raises:
        ValueError: there is no such workload.
    """
    found = []
    for name in names:
        wanted = name.upper()
        matches = [w for w in among if w.name.upper() == wanted or w.name.upper().startswith(f"{wanted}-")]
        if not matches:
            known = ", ".join(workload.name for workload in among)
            raise ValueError(f"no workload is named {name!r}; there are {known}")
        found += matches
    return [workload for workload in among if workload in found or not names]


@dataclass(frozen=True)
class Scale:
    """How much of it.

    Attributes:
        messages: the most of one measurement, of all publishers.
        seconds: after which publishers stop, if they have not sent all.
        paced: messages of Kind.ONE_WAY.
        round_trips: of Kind.PING_PONG.
        burst: messages of each publisher in one of Kind.BURST; short_burst likewise of Kind.BURST_LATENCY.
        bursts: one after the other, of both.
        timeout: seconds for one measurement; then it has failed.
    """

    messages: int = 1_000_000_000
    seconds: float = 0.8
    paced: int = 1000
    round_trips: int = 5000
    burst: int = 20_000
    short_burst: int = 10
    bursts: int = 20
    timeout: float = 40.0

    def count(self, workload: Workload) -> int:
        """Messages of each publisher, in each turn."""
        if workload.is_burst:
            return self.burst if workload.kind is Kind.BURST else self.short_burst
        return max(16, self.messages // workload.publishers)

    def turns(self, workload: Workload) -> int:
        """How often all are started at the same moment."""
        return self.bursts if workload.is_burst else 1


FULL = Scale()
QUICK = Scale(seconds=0.3, paced=200, round_trips=1000, bursts=5, timeout=15.0)

PACE = 0.002  # seconds between the messages of Kind.ONE_WAY
QUIET = 2.0  # seconds without a message after which a subscriber takes the rest for lost
BATCH_MESSAGES, BATCH_BYTES = 1000, 1 << 20  # a batch holds as many as both allow


def batch_of(workload: Workload) -> int:
    """Messages that are handed to publish_many at once."""
    return max(1, min(BATCH_MESSAGES, BATCH_BYTES // workload.size))


def cycle_of(workload: Workload) -> int:
    """Different messages of each publisher, which it sends over and over: batches of them, with all topics."""
    at_once = batch_of(workload)
    return at_once * max(4, -(-32 // at_once), -(-workload.topics // at_once))
