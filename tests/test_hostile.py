"""A hostile participant with the rights of its role: the others may lose messages, with an error, and do nothing worse.

Truncating a file ends whoever maps it (SIGBUS), and glibc's own words in a mutex lead who holds it through memory: that
participants of one role trust each other so far is documented. `make hostile` goes on for longer.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

import hostile
from hostile import CAPACITY, READERS, Worker
from processes import PATIENCE, peers
from toroni import Bus

FIXED_SEED = 7

READER: Worker = hostile.work_as_reader
WRITER: Worker = hostile.work_as_writer

# Which file is scribbled over, what of it is spared, and who works meanwhile; those that are expected to be
# hurt by such a one only keep the stream going.
CASES = {
    "a writer among readers": ("rb", [], [READER, READER], [WRITER]),
    "a writer among writers": ("rb", hostile.MUTEXES, [WRITER, READER, WRITER], []),
    "a reader among writers and readers": ("ri", [], [WRITER, READER, WRITER], []),
}


def path_of(name: str, suffix: str) -> Path:
    return Path(f"/dev/shm/toroni-{name}-{suffix}")


@pytest.mark.parametrize("seed", [FIXED_SEED, 0], ids=["fixed", "random"])
@pytest.mark.parametrize("case", CASES)
def test_whoever_scribbles_does_no_harm(case: str, seed: int, bus_name: str, request: pytest.FixtureRequest) -> None:
    seed = seed or request.config.getoption("--hostile-seed") or random.randrange(1, 1 << 32)
    print(f"seed {seed}")  # shown where the test fails
    seconds = request.config.getoption("--hostile-seconds") / (2 * len(CASES))
    suffix, spared, workers, sacrificed = CASES[case]
    numbers = hostile.RING_NUMBERS if suffix == "rb" else hostile.INFO_NUMBERS
    with Bus(bus_name, capacity=CAPACITY, max_readers=READERS), peers() as start:
        working = [start(worker, bus_name, seconds, seed + i) for i, worker in enumerate(workers)]
        for worker in sacrificed:
            start(worker, bus_name, seconds, seed + 100)
        scribbler = start(hostile.scribble, path_of(bus_name, suffix), seed, spared, numbers)
        met: Counter[str] = Counter()
        for peer in working:
            met += peer.receive(seconds + PATIENCE)
            peer.join()
        scribbler.send("end")
        scribbles = scribbler.receive()
        scribbler.join()
    print(f"{case}: {scribbles:,} scribbles; " + ", ".join(f"{what} {count:,}" for what, count in met.most_common()))
    assert scribbles > 0
    assert met


def test_a_lock_that_is_kept_while_it_seems_to_be_used_stalls_a_writer_in_time(bus_name: str) -> None:
    with Bus(bus_name, capacity=CAPACITY), peers() as start:
        writer = start(hostile.post_beside_a_kept_lock, bus_name)
        assert writer.receive() == "ready"
        keeper = start(hostile.keep_the_lock, path_of(bus_name, "rb"))
        assert keeper.receive() == "locked"
        writer.send("go")
        assert str(keeper.pid) in writer.receive()
        writer.join()
        keeper.send("end")
        assert keeper.receive() == "unlocked"
        keeper.join()


def test_a_stream_of_what_nobody_wants_keeps_no_reader_beyond_its_timeout(bus_name: str) -> None:
    with Bus(bus_name, capacity=CAPACITY) as bus, bus.subscribe("/wanted", on_loss="skip") as reader, peers() as start:
        writer = start(hostile.post_at_full_speed, bus_name)
        assert writer.receive() == "posting"
        for _ in range(200):  # each ends
            reader.wait(0.001)
            assert reader.recv(0.001) is None
        writer.send("end")
        writer.join()
