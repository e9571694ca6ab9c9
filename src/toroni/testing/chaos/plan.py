"""What a round is to be, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from toroni import Answer, Backpressure, Drop, Fail, Overwrite, Sleep, SlowReaders, Wait

LANES = 4
_BLOCK = Random(1).randbytes(1 << 21)


@dataclass(frozen=True)
class Plan:
    """One round.

    Attributes:
        capacity: of the ring, in bytes.
        notifier: of the bus.
        writers, readers: how many there are at any time, forked ones not counted.
        may_lose: whether some writers overtake readers.
        seconds: how long it goes on.
        hurry: seconds between two deeds to the processes, on average.
    """

    capacity: int
    notifier: str
    writers: int
    readers: int
    may_lose: bool
    seconds: float
    hurry: float

    @property
    def max_readers(self) -> int:
        """Slots: for some forks more, and a few that find none."""
        return self.readers + 2


@dataclass(frozen=True)
class Setting:
    """What a process of a round must know.

    Attributes:
        bus: its name.
        directory: of the logs.
        lifeline: the two ends of a pipe whose second one only the driver has: it hangs up when that dies.
        seed: of the round.
        plan: of the round.
    """

    bus: str
    directory: Path
    lifeline: tuple[int, int]
    seed: int
    plan: Plan


def draw_plan(chooser: Random, seconds: float) -> Plan:
    """A round of at most `seconds`. Small rings, where all happens more often, are more frequent."""
    return Plan(
        capacity=chooser.choice([4 << 10, 4 << 10, 16 << 10, 64 << 10, 64 << 10, 1 << 20]),
        notifier=chooser.choice(["futex", "futex", "multicast", "poll"]),
        writers=chooser.randint(2, 4),
        readers=chooser.randint(2, 5),
        may_lose=chooser.random() < 0.7,
        seconds=min(seconds, chooser.uniform(2.0, 5.0)),
        hurry=chooser.choice([0.02, 0.05, 0.1]),
    )


def draw_policy(chooser: Random, may_lose: bool) -> Backpressure:
    """What a writer does about slow readers this time."""
    gentle: list[Backpressure] = [Wait(None), Drop(), Fail(), _give_up]
    rough: list[Backpressure] = [Overwrite(), Wait(0.3), Wait(0.02), Sleep(0.005), _push]
    return chooser.choice(gentle + rough if may_lose else gentle)


def _give_up(slow: SlowReaders) -> Answer:
    return "retry" if slow.attempt < 3 else "drop"


def _push(slow: SlowReaders) -> Answer:
    return "retry" if slow.attempt < 3 else "overwrite"


def draw_payload(chooser: Random, largest: int) -> memoryview:
    """Bytes that no other message has in the same place: mostly few, now and then as many as the ring takes."""
    kind = chooser.random()
    if kind < 0.1:
        size = chooser.randint(0, 8)
    elif kind < 0.88:
        size = chooser.randint(1, 200)
    elif kind < 0.98:
        size = chooser.randint(1, largest // 8)
    else:
        size = largest if kind > 0.998 else chooser.randint(1, largest * 6 // 10)
    offset = chooser.randrange(len(_BLOCK) - size)
    return memoryview(_BLOCK)[offset : offset + size]
