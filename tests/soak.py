"""Writers and readers killed, stopped and replaced at random, from a seed, for as long as one likes: `make soak`.

Every reader checks that each message is whole, that each writer's numbers come in order, and that a number is
missing only where a loss was announced, never more than were announced.
"""

from __future__ import annotations

import os
import random
import signal
import time
from multiprocessing.connection import Connection

import pytest

from messages import is_whole, make_message, mixed_size, seed_of
from processes import PATIENCE, Peer, peers
from toroni import MessagesLost, Overwrite, Wait, rmp

CAPACITY = 64 * 1024
WRITERS = 3
READERS = 3


def write_on(pipe: Connection, bus: str, writer: int) -> None:
    """Batches and single messages; one writer in four overtakes."""
    chooser = random.Random(writer)
    policy = Overwrite() if writer % 4 == 0 else Wait(None)
    with rmp.Stream(bus, backpressure=policy) as stream:
        pipe.send("writing")
        number = 0
        while True:
            count = chooser.choice([1, 1, 5, 40])
            numbers = range(number, number + count)
            stream.write_many([make_message(writer << 32 | n, mixed_size(chooser, CAPACITY)) for n in numbers])
            number += count


def read_on(pipe: Connection, bus: str, reader_number: int) -> None:
    """Until told to stop; then say what was seen."""
    chooser = random.Random(-reader_number)
    next_of: dict[int, int] = {}
    seen = missing = announced = losses = 0
    with rmp.Stream(bus) as stream, stream.reader(start=chooser.choice(["now", "oldest"])) as reader:
        pipe.send("reading")
        while not pipe.poll():
            try:
                messages = reader.read_many(chooser.choice([1, 10, 500]), timeout=0.1)
            except MessagesLost as lost:
                assert lost.messages is not None
                announced += lost.messages
                losses += 1
                continue
            for message in messages:
                assert is_whole(message)
                writer, number = seed_of(message) >> 32, seed_of(message) & 0xFFFFFFFF
                expected = next_of.get(writer, number)
                assert number >= expected, f"writer {writer}: {number} after {expected - 1}"
                missing += number - expected
                next_of[writer] = number + 1
            seen += len(messages)
            assert missing <= announced
        pipe.send((seen, losses, announced))


def test_soak(bus_name: str, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    chooser = random.Random(seed)
    numbers = iter(range(1, 1 << 30))
    end = time.monotonic() + float(pytestconfig.getoption("--soak-seconds"))
    kills = stops = seen = losses = announced = 0
    with rmp.Stream(bus_name, capacity=CAPACITY, max_readers=READERS + 1) as stream, peers() as start:
        writers = [start(write_on, bus_name, next(numbers)) for _ in range(WRITERS)]
        readers = [start(read_on, bus_name, next(numbers)) for _ in range(READERS)]
        for peer in writers + readers:
            peer.receive()

        def replace(crew: list[Peer], function: object) -> None:
            index = chooser.randrange(len(crew))
            os.kill(crew[index].pid, signal.SIGCONT)
            crew[index].kill()
            crew[index] = start(function, bus_name, next(numbers))
            crew[index].receive()

        while time.monotonic() < end:
            before = stream.position
            match chooser.randrange(4):
                case 0:
                    replace(writers, write_on)
                    kills += 1
                case 1:
                    replace(readers, read_on)
                    kills += 1
                case 2:
                    victim = chooser.choice(writers + readers)
                    os.kill(victim.pid, signal.SIGSTOP)
                    time.sleep(chooser.random() * 0.2)
                    os.kill(victim.pid, signal.SIGCONT)
                    stops += 1
                case _:
                    reader = chooser.randrange(READERS)
                    readers[reader].send("stop")
                    result = readers[reader].receive()
                    seen, losses, announced = seen + result[0], losses + result[1], announced + result[2]
                    readers[reader].join()
                    readers[reader] = start(read_on, bus_name, next(numbers))
                    readers[reader].receive()
            patience = time.monotonic() + PATIENCE
            while stream.position == before:
                assert time.monotonic() < patience, f"seed {seed}: nothing moves"
                time.sleep(0.001)
        statistics = stream.stats()
    with capsys.disabled():
        print(
            f"\nseed {seed}: {statistics.messages:,} messages, {kills} kills, {stops} stops; readers saw "
            f"{seen:,} and lost {announced:,} in {losses} announced losses; overtaken {statistics.overwritten} times"
        )
