"""What a message costs where nobody waits: one process, an uncontended bus, the best of many rounds.

    python benchmarks/hot_paths.py

Beside ours stands what the interpreter alone needs, measured in the same rounds: a call of a native function, and the
making of a `bytes` object of the same size.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from toroni import Bus, Overwrite, rmp, unlink

MESSAGES = 10_000
ROUNDS = 25
PAYLOAD = bytes(64)
TOPIC = "/hot/path"


def best(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> float:
    """Nanoseconds a message, of the best round."""
    figures = []
    for _ in range(ROUNDS):
        prepare()
        began = time.perf_counter_ns()
        work()
        figures.append((time.perf_counter_ns() - began) / MESSAGES)
    return min(figures)


def post_all(bus: Bus) -> None:
    """One call a message."""
    post = bus.post
    for _ in range(MESSAGES):
        post(TOPIC, PAYLOAD)


def floor_of_calls() -> None:
    """A call that does next to nothing."""
    call = PAYLOAD.startswith
    for _ in range(MESSAGES):
        call(b"x")


def main() -> None:
    """Prints the table."""
    name = "benchmark-hot-paths"
    unlink(name)
    with Bus(name, capacity="4 MiB", backpressure=Overwrite()) as bus, rmp.Stream(name) as stream:
        batch = [(TOPIC, PAYLOAD)] * MESSAGES
        raw = [PAYLOAD] * MESSAGES
        source = bytearray(64)
        rows = {
            "a method call": best(floor_of_calls),
            "a list of bytes objects of 64": best(lambda: [bytes(source) for _ in range(MESSAGES)]),
            "post": best(lambda: post_all(bus)),
            "post_many": best(lambda: bus.post_many(batch)),
            "write_many": best(lambda: stream.write_many(raw)),
        }
        with bus.subscribe(TOPIC) as reader:

            def iterate() -> None:
                for count, _ in enumerate(reader, 1):
                    if count == MESSAGES:
                        break

            def in_batches() -> None:
                count = 0
                while count < MESSAGES:
                    count += len(reader.recv_many())

            def in_columns() -> None:
                count = 0
                while count < MESSAGES:
                    count += len(reader.recv_columns())

            def one_by_one() -> None:
                recv = reader.recv
                for _ in range(MESSAGES):
                    recv()

            fill = lambda: bus.post_many(batch)  # noqa: E731
            rows["iteration"] = best(iterate, fill)
            rows["recv"] = best(one_by_one, fill)
            rows["recv_many"] = best(in_batches, fill)
            rows["recv_columns"] = best(in_columns, fill)
        with stream.reader() as raw_reader:

            def raw_in_batches() -> None:
                count = 0
                while count < MESSAGES:
                    count += len(raw_reader.read_many())

            def raw_in_columns() -> None:
                count = 0
                while count < MESSAGES:
                    count += len(raw_reader.read_columns())

            rows["read_many"] = best(raw_in_batches, lambda: stream.write_many(raw))
            rows["read_columns"] = best(raw_in_columns, lambda: stream.write_many(raw))
    unlink(name)
    for what, nanoseconds in rows.items():
        print(f"{what:32} {nanoseconds:7.1f} ns")


if __name__ == "__main__":
    main()
