"""What matching costs: with few and many subscriptions, and for messages that nobody wants, small and large.

Each figure is a ratio within one run: one process posts, then reads; the best of several rounds.

    python benchmarks/matching.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

import toroni
from toroni import Bus, Reader

MESSAGES = 20_000


def best(rounds: int, prepare: Callable[[], object], run: Callable[[], object]) -> float:
    """Nanoseconds a message, the best of some rounds."""
    times = []
    for _ in range(rounds):
        prepare()
        begin = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - begin)
    return min(times) / MESSAGES


def drain(reader: Reader) -> int:
    """Reads all there is."""
    count = 0
    while messages := reader.recv_many(4096, timeout=0):
        count += len(messages)
    return count


def by_subscriptions(bus: Bus, rounds: int) -> None:
    """Reading 1000 different topics, by a reader with that many subscriptions."""
    print("wanted messages of 1000 topics, 64 B, with so many subscriptions:")
    messages = [(f"/wanted/{number % 1000}", bytes(64)) for number in range(MESSAGES)]
    first = None
    for count in (1, 10, 100, 1000, 10_000):
        with bus.subscribe("/wanted", descendants=True) as reader:
            reader.subscribe(*(f"/other/{number}" for number in range(count - 1)))
            nanoseconds = best(rounds, partial(bus.post_many, messages), partial(drain, reader))
        first = first or nanoseconds
        print(f"  {count:6,}  {nanoseconds:7.1f} ns a message   {nanoseconds / first:5.2f} of that with one")


def by_size(bus: Bus, rounds: int) -> None:
    """Passing messages that nobody wants, and reading the same."""
    print("messages of so many bytes, wanted and unwanted:")
    for size in (8, 1024, 8192):
        messages = [("/topic", bytes(size))] * MESSAGES
        figures = []
        for topic in ("/topic", "/another"):
            with bus.subscribe(topic) as reader:
                figures.append(best(rounds, partial(bus.post_many, messages), partial(drain, reader)))
        wanted, unwanted = figures
        print(f"  {size:6,}  {wanted:7.1f} ns wanted   {unwanted:7.1f} ns unwanted   {unwanted / wanted:5.2f} of it")


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9, help="of which the best counts (default 9)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    name = f"benchmark-{os.getpid()}"
    try:
        with Bus(name, capacity="256 MiB") as bus:
            by_subscriptions(bus, rounds)
            by_size(bus, rounds)
    finally:
        toroni.unlink(name)


if __name__ == "__main__":
    main()
