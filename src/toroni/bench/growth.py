"""What is measured of ours as it grows, as data: one axis a question, each of its values a workload."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toroni.bench.workloads import Workload

_WITH_TOPICS = ("toroni", "toroni, batches", "toroni, columns")
_PLAIN = Workload("", "")
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


@dataclass(frozen=True)
class Axis:
    """What grows while all else stays.

    Attributes:
        name: that of its workloads, before the value.
        title: for tables and plots.
        grows: the field of `Workload`.
        values: that it takes.
        base: a workload that all else is taken from.
        is_bytes: whether the values are.
    """

    name: str
    title: str
    grows: str
    values: tuple[int, ...]
    base: Workload = _PLAIN
    is_bytes: bool = False

    def workload(self, value: int) -> Workload:
        """That of one value."""
        text = _in_bytes(value) if self.is_bytes else f"{value:,}"
        fields: dict[str, int] = {self.grows: value}
        name = f"{self.name}-{text.replace(' ', '').replace(',', '')}"
        return replace(self.base, name=name, title=text, **fields)  # type: ignore[arg-type]  # which are all int

    def value(self, workload: Workload) -> int:
        """The other way round."""
        value: int = getattr(workload, self.grows)
        return value


def _in_bytes(value: int) -> str:
    unit, name = next((unit, name) for unit, name in _UNITS if value >= unit)
    return f"{value // unit} {name}"


AXES = (
    Axis("readers", "readers", "subscribers", (1, 2, 4, 8, 16)),
    Axis("writers", "writers", "publishers", (1, 2, 4, 7)),
    Axis(
        "size",
        "bytes in a message",
        "size",
        (8, 64, 512, 4 << 10, 32 << 10, 256 << 10, 2 << 20, 8 << 20),
        is_bytes=True,
    ),
    Axis(
        "topics",
        "topics below the one subscription",
        "topics",
        (1, 10, 100, 1000, 10_000, 100_000),
        replace(_PLAIN, only=_WITH_TOPICS),
    ),
    Axis(
        "subscriptions",
        "subscriptions of a reader, and topics",
        "topics",
        (1, 10, 100, 1000, 10_000),
        replace(_PLAIN, subscribes_each=True, only=_WITH_TOPICS),
    ),
    Axis("ring", "bytes in the ring", "capacity", tuple((64 << 10) << 2 * step for step in range(8)), is_bytes=True),
)

WORKLOADS = tuple(axis.workload(value) for axis in AXES for value in axis.values)
QUICK_WORKLOADS = tuple(axis.workload(axis.values[place]) for axis in AXES for place in (0, len(axis.values) // 2, -1))


def measured(axis: Axis, workloads: list[Workload]) -> list[Workload]:
    """Those of this axis."""
    return [workload for workload in workloads if workload.name.startswith(f"{axis.name}-")]
