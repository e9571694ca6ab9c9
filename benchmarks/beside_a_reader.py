"""What a message costs its publisher while another process reads, and how many system calls that takes.

    python benchmarks/beside_a_reader.py

Two processes: one posts without a pause, the other reads by iteration, or takes batches in a loop. Beside it stands the
same publisher alone, measured in the same run. The median of many rounds.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from multiprocessing.synchronize import Event

from toroni import Bus, unlink

NAME = "benchmark-beside-a-reader"
TOPIC = "/hot/path"
PAYLOADS = [bytes([i % 256]) * 64 for i in range(5000)]
ROUNDS = 400


def iterate(ready: Event) -> None:
    """Reads one message after the other, until it is terminated."""
    with Bus(NAME) as bus, bus.subscribe(TOPIC) as reader:
        ready.set()
        for _ in reader:
            pass


def take_batches(ready: Event) -> None:
    """Reads what there is, again and again, until it is terminated."""
    with Bus(NAME) as bus, bus.subscribe(TOPIC) as reader:
        ready.set()
        while True:
            reader.recv_many()


def post_all(bus: Bus) -> None:
    """One call a message."""
    post = bus.post
    for payload in PAYLOADS:
        post(TOPIC, payload)


def measure(what: str, bus: Bus) -> None:
    """Prints a line."""
    figures = []
    before = bus.stats().notifications
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        post_all(bus)
        figures.append((time.perf_counter_ns() - began) / len(PAYLOADS))
    calls = 1000 * (bus.stats().notifications - before) / (ROUNDS * len(PAYLOADS))
    print(f"{what:32} {statistics.median(figures):7.1f} ns  {calls:9.3f} system calls a thousand messages")


def main() -> None:
    """Prints the table."""
    unlink(NAME)
    with Bus(NAME, capacity="4 MiB") as bus:
        measure("alone", bus)
        for what, work in {"beside one that iterates": iterate, "beside one that takes batches": take_batches}.items():
            ready = multiprocessing.Event()
            reader = multiprocessing.Process(target=work, args=[ready], daemon=True)  # also after Ctrl-C
            reader.start()
            ready.wait()
            measure(what, bus)
            reader.terminate()
            reader.join()
    unlink(NAME)


if __name__ == "__main__":
    main()
