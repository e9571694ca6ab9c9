"""Run under callgrind by test_instructions.py: each operation MESSAGES times, with a dump of the counts after each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sized

from toroni import Bus, Overwrite, Reader, rmp

MESSAGES = 2000
TOPIC = "/hot/path"
PAYLOAD = bytes(64)


def dump(label: str) -> None:
    """Ends what is counted under this label."""
    subprocess.run(["callgrind_control", f"--dump={label}", str(os.getpid())], check=True, capture_output=True)


def post(bus: Bus) -> None:
    call = bus.post
    for _ in range(MESSAGES):
        call(TOPIC, PAYLOAD)


def iterate(reader: Reader) -> None:
    for count, _ in enumerate(reader, 1):
        if count == MESSAGES:
            return


def batches(read: Callable[[int], Sized]) -> None:
    count = 0
    while count < MESSAGES:
        count += len(read(MESSAGES // 2))


def main(name: str) -> None:
    """Each operation, then a dump."""
    with Bus(name, capacity="1 MiB", backpressure=Overwrite()) as bus, rmp.Stream(name) as stream:
        batch, raw = [(TOPIC, PAYLOAD)] * MESSAGES, [PAYLOAD] * MESSAGES
        with bus.subscribe(TOPIC) as reader, stream.reader() as raw_reader:
            works: dict[str, Callable[[], object]] = {
                "post": lambda: post(bus),
                "iteration": lambda: iterate(reader),
                "post_many": lambda: bus.post_many(batch),
                "recv_many": lambda: batches(reader.recv_many),
                "read_many": lambda: batches(raw_reader.read_many),
                "recv_columns": lambda: batches(reader.recv_columns),
                "read_columns": lambda: batches(raw_reader.read_columns),
                "write_many": lambda: stream.write_many(raw),
            }
            bus.post_many(batch + batch)  # enough for all that is read
            dump("the beginning")
            for label, work in works.items():
                work()
                dump(label)


if __name__ == "__main__":
    main(sys.argv[1])
