"""What the rounds of one library and one workload come to together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from toroni.bench.results import Outcome


@dataclass(frozen=True)
class Summary:
    """Medians over the rounds that gave a figure; what went wrong in any of them.

    Attributes:
        rate: messages a second; least and most of all rounds in rate_range.
        p50: microseconds; least and most in p50_range. p99 likewise, without a range.
        mean, cost: as in `Outcome`.
        loss: the greatest part that was lost, 0 to 1.
        damaged: messages of a wrong length, of all rounds; disordered: out of their publisher's order.
        one_order: whether it was one in all rounds; None where that is no question.
        errors: of rounds without a figure.
    """

    rate: float | None
    rate_range: tuple[float, float] | None
    p50: float | None
    p50_range: tuple[float, float] | None
    p99: float | None
    loss: float
    damaged: int
    disordered: int
    one_order: bool | None
    errors: list[str]
    mean: float | None = None
    cost: float | None = None

    @property
    def speed(self) -> float | None:
        """More is better: the rate, or one by the median latency."""
        return self.rate if self.p50 is None else 1 / max(self.p50, 1e-3)


def summarize(outcomes: Sequence[Outcome]) -> Summary:
    """Of the rounds of one library and one workload."""
    rates = [one.rate for one in outcomes if one.rate is not None]
    middles = [one.p50 for one in outcomes if one.p50 is not None]
    orders = [one.one_order for one in outcomes if one.one_order is not None]
    return Summary(
        rate=_median(rates),
        rate_range=(min(rates), max(rates)) if rates else None,
        p50=_median(middles),
        p50_range=(min(middles), max(middles)) if middles else None,
        p99=_median([one.p99 for one in outcomes]),
        loss=max(one.loss for one in outcomes),
        damaged=sum(one.damaged for one in outcomes),
        disordered=sum(one.disordered for one in outcomes),
        one_order=all(orders) if orders else None,
        errors=[one.error for one in outcomes if one.error is not None],
        mean=_median([one.mean for one in outcomes]),
        cost=_median([one.cost for one in outcomes]),
    )


def _median(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return median(present) if present else None
