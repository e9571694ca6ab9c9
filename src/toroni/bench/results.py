"""What one measurement came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """What one subscriber saw.

    Attributes:
        rate: messages a second, from its first to its last; None if nothing came.
        counts: messages of each publisher.
        damaged: messages of a wrong length.
        disordered: messages that came after a later one of the same publisher, or twice.
        order: a hash of the order of all; the same for the same order.
    """

    rate: float | None
    counts: list[int]
    damaged: int
    disordered: int
    order: int


@dataclass(frozen=True)
class Written:
    """Bursts of one publisher: messages, and ns that writing them took."""

    messages: int
    took: int


@dataclass(frozen=True)
class Arrived:
    """Bursts at one subscriber.

    Attributes:
        messages: of all publishers.
        took: ns from the first message of a burst to its last, added up.
        latency: ns from the creation of a message until it had come, added up; 0 where that was not asked.
    """

    messages: int
    took: int
    latency: int


@dataclass(frozen=True)
class Outcome:
    """One measurement: one library, one workload, one round.

    Attributes:
        error: why there is no figure; None if there is.
        rate: messages a second, the mean of the subscribers.
        rates: of each subscriber.
        sent: messages of each publisher.
        lost: messages of each publisher that did not come, summed over the subscribers.
        loss: the part of all that should have come and did not, 0 to 1.
        damaged: messages of a wrong length, of all subscribers.
        disordered: messages that came after a later one of the same publisher, of all subscribers.
        one_order: whether all subscribers saw the same order; None where that is no question.
        p50: microseconds, of latency workloads; p99 likewise.
        mean: microseconds, of the latency of bursts.
        cost: nanoseconds that a publisher of a burst takes for a message.
    """

    error: str | None = None
    rate: float | None = None
    rates: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    loss: float = 0.0
    damaged: int = 0
    disordered: int = 0
    one_order: bool | None = None
    p50: float | None = None
    p99: float | None = None
    mean: float | None = None
    cost: float | None = None


def rate_outcome(sent: Sequence[int], received: Sequence[Received], asks_order: bool) -> Outcome:
    """Sums up what the processes of a rate workload report."""
    rates = [one.rate for one in received if one.rate is not None]
    lost = [sum(max(0, count - one.counts[index]) for one in received) for index, count in enumerate(sent)]
    due = sum(sent) * len(received)
    return Outcome(
        error=None if rates else "nothing came",
        rate=sum(rates) / len(received) if rates else None,
        rates=rates,
        sent=list(sent),
        lost=lost,
        loss=sum(lost) / due if due else 0.0,
        damaged=sum(one.damaged for one in received),
        disordered=sum(one.disordered for one in received),
        one_order=len({one.order for one in received}) == 1 if asks_order else None,
    )


def latency_outcome(nanoseconds: Sequence[int], sent: int) -> Outcome:
    """Percentiles, without the first tenth, in which caches and processors warm up."""
    if not nanoseconds:
        return Outcome(error="nothing came")
    counted = nanoseconds[len(nanoseconds) // 10 :]
    lost = sent - len(nanoseconds)
    return Outcome(
        sent=[sent],
        lost=[lost],
        loss=lost / sent,
        p50=percentile(counted, 0.5) / 1000,
        p99=percentile(counted, 0.99) / 1000,
    )


def burst_outcome(written: Sequence[Written], arrived: Sequence[Arrived]) -> Outcome:
    """As the test agents count: sums by sums, so that a long burst weighs more than a short one."""
    messages, took = sum(one.messages for one in arrived), sum(one.took for one in arrived)
    latency = sum(one.latency for one in arrived)
    sent = [one.messages for one in written]
    return Outcome(
        rate=messages / took * 1e9 if took and not latency else None,
        sent=sent,
        lost=[0] * len(sent),  # a subscriber that missed one has failed
        mean=latency / messages / 1000 if latency else None,
        cost=sum(one.took for one in written) / sum(sent),
    )


def percentile(values: Sequence[int], part: float) -> int:
    """The least value that at least this part of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
