"""A ProcessPoolExecutor whose jobs report their progress on a bus: a Bus pickles as its name and options."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor

from toroni import Bus

JOBS = 6
STEPS = 20


def job(bus: Bus, number: int) -> int:
    """Some work, with a message for each step."""
    total = 0
    for step in range(STEPS):
        total += sum(range(1000 * step))
        bus.post(f"/progress/{number}", b"%d" % step)
    return total


def main() -> None:
    """Starts the jobs and shows their steps as they come."""
    steps = 0
    with Bus("progress") as bus, bus.subscribe("/progress", descendants=True) as reader:
        with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures: list[Future[int]] = [pool.submit(job, bus, number) for number in range(JOBS)]
            while steps < JOBS * STEPS:
                steps += len(reader.recv_many())
                print(f"{steps} of {JOBS * STEPS} steps")
        print(f"{len({future.result() for future in futures})} result, the same from all")


if __name__ == "__main__":
    main()
