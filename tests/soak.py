"""Writers and readers killed, stopped and replaced at random, from a seed, for as long as one likes: `make soak`.

Readers of all kinds (waiting, borrowing, handlers behind a select, asyncio) check that each message is whole, that
each writer's numbers come in order, and that a number is missing only where a loss was announced, never more than
were announced. Whoever ends by itself says what it has left open: descriptors, threads, memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from messages import is_whole, make_message, mixed_size, seed_of
from processes import PATIENCE, Peer, peers
from toroni import Bus, MessagesLost, Overwrite, Reader, Sleep, Wait

CAPACITY = 64 * 1024
WRITERS = 4
READERS = 4
WAYS = ["recv", "recv_many", "borrow", "dispatch", "asyncio"]


@dataclass
class Use:
    """What this process holds."""

    descriptors: int
    threads: int
    kibibytes: int

    @staticmethod
    def now() -> Use:
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0])
        return Use(len(os.listdir("/proc/self/fd")), threading.active_count(), resident)


def write_on(pipe: Connection, name: str, writer: int) -> None:
    """Single messages, batches and queued ones; one writer in four overtakes."""
    chooser = random.Random(writer)
    policy = (Overwrite(), Wait(None), Wait(0.5), Sleep(0.01))[writer % 4]
    use: Use | None = None
    with Bus(name, backpressure=policy) as bus, ThreadPoolExecutor(1) as pool, bus.async_writer(pool) as queue:
        pipe.send("writing")
        number = 0
        while not pipe.poll():
            count = chooser.choice([1, 1, 1, 5, 40])
            numbers = range(number, number + count)
            messages = [
                (f"/w/{writer}", make_message(writer << 32 | n, mixed_size(chooser, CAPACITY))) for n in numbers
            ]
            if count == 5:
                for topic, data in messages:
                    queue.post(topic, data)
                queue.flush()
            elif count == 1:
                bus.post("/w", messages[0][1], descendants=True)
            else:
                bus.post_many(messages)
            number += count
            use = use or (Use.now() if number > 2000 else None)
    pipe.send((use, Use.now()))


class Checker:
    """What one reader has seen."""

    def __init__(self, chooser: random.Random) -> None:
        self.chooser = chooser
        self.next_of: dict[int, int] = {}
        self.seen = self.missing = self.announced = self.losses = 0

    def take(self, data: bytes) -> None:
        assert is_whole(data)
        writer, number = seed_of(data) >> 32, seed_of(data) & 0xFFFFFFFF
        expected = self.next_of.get(writer, number)
        assert number >= expected, f"writer {writer}: {number} after {expected - 1}"
        self.missing += number - expected
        self.next_of[writer] = number + 1
        self.seen += 1
        assert self.missing <= self.announced

    def lose(self, lost: MessagesLost) -> None:
        assert lost.messages is not None
        self.announced += lost.messages
        self.losses += 1


def read_once(reader: Reader, way: str, checker: Checker) -> None:
    """Something of all there is, at most a tenth of a second of waiting."""
    if way == "recv":
        message = reader.recv(timeout=0.1)
        if message is not None:
            checker.take(message.data)
    elif way == "recv_many":
        for message in reader.recv_many(checker.chooser.choice([1, 10, 500]), timeout=0.1):
            checker.take(message.data)
    elif way == "borrow":
        borrowed = reader.borrow(timeout=0.1)
        if borrowed is not None:
            data = bytes(borrowed.data)
            borrowed.release()
            checker.take(data)
    else:
        select.select([reader], [], [], 0.1)
        reader.dispatch()


async def read_in_asyncio(reader: Reader, checker: Checker, stop: Callable[[], bool]) -> None:
    while not stop():
        try:
            message = await asyncio.wait_for(reader.recv_async(), checker.chooser.choice([0.1, 0.001]))
            checker.take(message.data)
        except asyncio.TimeoutError:
            continue
        except MessagesLost as lost:
            checker.lose(lost)


def read_on(pipe: Connection, name: str, reader_number: int, way: str) -> None:
    """Until told to stop; then say what was seen."""
    checker = Checker(random.Random(-reader_number))
    use: Use | None = None
    with Bus(name) as bus:
        topics = () if way == "dispatch" else ("/w",)
        start = "now" if way == "dispatch" else checker.chooser.choice(["now", "oldest"])
        reader = bus.subscribe(*topics, descendants=True, start=start, label=way)  # type: ignore[arg-type]
        if way == "dispatch":
            reader.on("/w", lambda message: checker.take(message.data), descendants=True)
        pipe.send("reading")
        if way == "asyncio":
            asyncio.run(read_in_asyncio(reader, checker, pipe.poll))
        while not pipe.poll():
            try:
                read_once(reader, way, checker)
            except MessagesLost as lost:
                checker.lose(lost)
            use = use or (Use.now() if checker.seen > 5000 else None)
        reader.close()
    pipe.send((checker.seen, checker.losses, checker.announced, (use, Use.now())))


def check_use(both: tuple[Use | None, Use]) -> int:
    """Nothing has piled up; the growth of memory in KiB."""
    before, after = both
    if before is None:
        return 0
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads
    return after.kibibytes - before.kibibytes


def test_soak(bus_name: str, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    chooser = random.Random(seed)
    numbers = iter(range(1, 1 << 30))
    end = time.monotonic() + float(pytestconfig.getoption("--soak-seconds"))
    kills = joins = stops = seen = losses = announced = growth = 0
    with Bus(bus_name, capacity=CAPACITY, max_readers=READERS + 1) as bus, peers() as start:

        def writer() -> Peer:
            return start(write_on, bus_name, next(numbers))

        def reader() -> Peer:
            number = next(numbers)
            return start(read_on, bus_name, number, WAYS[number % len(WAYS)])

        crews: list[tuple[list[Peer], Callable[[], Peer]]] = [
            ([writer() for _ in range(WRITERS)], writer),
            ([reader() for _ in range(READERS)], reader),
        ]
        for peer in crews[0][0] + crews[1][0]:
            peer.receive()
        own = Use.now()
        while time.monotonic() < end:
            before = bus.position
            crew, make = crews[chooser.randrange(2)]
            index = chooser.randrange(len(crew))
            match chooser.randrange(3):
                case 0:
                    crew[index].kill()
                    crew[index].forget()
                    crew[index] = make()
                    crew[index].receive()
                    kills += 1
                case 1:
                    os.kill(crew[index].pid, signal.SIGSTOP)
                    time.sleep(chooser.random() * 0.2)
                    os.kill(crew[index].pid, signal.SIGCONT)
                    stops += 1
                case _:
                    crew[index].send("stop")
                    *result, use = crew[index].receive() if make is reader else (crew[index].receive(),)
                    growth = max(growth, check_use(use))
                    if result:
                        seen, losses, announced = seen + result[0], losses + result[1], announced + result[2]
                    crew[index].join()
                    crew[index].forget()
                    crew[index] = make()
                    crew[index].receive()
                    joins += 1
            patience = time.monotonic() + PATIENCE
            while bus.position == before:
                assert time.monotonic() < patience, f"seed {seed}: nothing moves"
                time.sleep(0.001)
        assert len(bus.readers()) <= READERS
        statistics = bus.stats()
        check_use((own, Use.now()))
    with capsys.disabled():
        print(
            f"\nseed {seed}: {statistics.messages:,} messages, {kills} kills, {joins} joins, {stops} stops; readers "
            f"that ended by themselves saw {seen:,} and lost {announced:,} in {losses:,} announced losses; overtaken "
            f"{statistics.overwritten:,} times; most growth of a process {growth:,} KiB"
        )
