"""A pool of workers fed by one producer: each worker has a topic of its own, results come back on another.

A bus is a broadcast, not a queue: so the producer deals the work out. It notices when a worker dies, at once and
without a timeout, and deals its work to another one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal

from toroni import Bus

WORKERS = 3
TASKS = 200


def work(bus: Bus, name: str) -> None:
    """Squares numbers until told to stop. The reader's label is how the producer sees who is alive."""
    with bus.subscribe(f"/work/{name}", "/stop", label=name) as reader:
        for message in reader:
            if message.topic == "/stop":
                return
            bus.post(f"/result/{name}", message.data, b" ", b"%d" % int(message.data) ** 2)


def alive(bus: Bus) -> list[str]:
    """The workers that hold a reader slot and live, from the kernel's record."""
    return sorted(info.label for info in bus.readers() if info.alive and info.label.startswith("worker"))


def main() -> None:
    """Deals out the tasks, kills a worker in the middle, and collects every result."""
    spawn = multiprocessing.get_context("spawn")
    with Bus("pool") as bus, bus.subscribe("/result", descendants=True) as results:
        names = [f"worker{number}" for number in range(WORKERS)]
        processes = {name: spawn.Process(target=work, args=(bus, name)) for name in names}
        for process in processes.values():
            process.start()
        while len(alive(bus)) < WORKERS:
            results.wait(0.01)

        owner: dict[int, str] = {}

        def deal(numbers: list[int]) -> None:
            workers = alive(bus)
            for index, number in enumerate(numbers):
                owner[number] = workers[index % len(workers)]
                bus.post(f"/work/{owner[number]}", b"%d" % number)

        deal(list(range(TASKS)))
        victim = processes["worker1"].pid
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        squares: dict[int, int] = {}
        while len(squares) < TASKS:
            message = results.recv(timeout=0.05)
            if message is not None:
                number, square = map(int, message.data.split())
                squares[number] = square
            else:  # who still owes a result and is dead, will not give it
                deal([number for number, name in owner.items() if number not in squares and name not in alive(bus)])
        bus.post("/stop")
        for process in processes.values():
            process.join()
    assert squares == {number: number**2 for number in range(TASKS)}
    print(f"{TASKS} results from {WORKERS} workers, of which one was killed")


if __name__ == "__main__":
    main()
