"""A hostile participant, which scribbles over all that its role may write, and well-behaved ones that work meanwhile.

Each function is the whole of a process. A worker ends by itself, and sends what it met: results by their kind, and
errors by their class. Anything else that it raises, a signal that ends it, or silence fails the test.
"""

from __future__ import annotations

import mmap
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import foreign_peer
from format_model import RING_DATA_OFFSET, RING_FREE_POS_OFFSET, RING_WRITER_MUTEX_OFFSET
from toroni import Bus, Drop, Fail, MessagesLost, Overwrite, Reader, ToroniError, Wait, WriterStalled

CAPACITY = 1 << 14
READERS = 8
MUTEX_SIZE = 40
EXTENSION = (RING_DATA_OFFSET + CAPACITY + 63) // 64 * 64
CLAIM_POS, ROOM_MUTEX, COUNTS, LANDMARKS = EXTENSION + 64, EXTENSION + 192, EXTENSION + 256, EXTENSION + 384
TOPICS = ["/a", "/a/b", "/c"]
POLICIES: list[Wait | Overwrite | Drop | Fail] = [Wait(0.005), Wait(0), Overwrite(), Drop(), Fail()]

_U64 = struct.Struct("@Q")

# What glibc keeps in a locked mutex leads its owner through memory: there writers trust each other.
MUTEXES = [(at, at + MUTEX_SIZE) for at in (RING_WRITER_MUTEX_OFFSET, ROOM_MUTEX)]


# ---- the hostile ones -------------------------------------------------------------------------------------


class Scribbler:
    """Random bytes and numbers at random places of a file, none at those that are spared."""

    def __init__(self, path: Path, seed: int, spared: list[tuple[int, int]]) -> None:
        self.random = random.Random(seed)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.image = self.memory[:]
        self.spared = spared
        self.scribbles = 0

    def store(self, at: int, data: bytes) -> None:
        """If nothing of it is spared."""
        data = data[: len(self.memory) - at]
        if not any(at < end and begin < at + len(data) for begin, end in self.spared):
            self.memory[at : at + len(data)] = data
            self.scribbles += 1

    def number(self) -> int:
        """Somewhere near the stream's end, or half of all positions away, or anywhere."""
        end: int = _U64.unpack_from(self.memory, RING_FREE_POS_OFFSET)[0]
        steps = [0, 5, CAPACITY, -CAPACITY, 1 << 63, self.random.randrange(2 * CAPACITY), self.random.getrandbits(64)]
        return (end + self.random.choice(steps) + self.random.randrange(-2, 3)) % (1 << 64)

    def scribble(self, numbers: list[int]) -> None:
        """Once; `numbers` are where positions are kept."""
        kind = self.random.randrange(8)
        if kind == 0:
            at = self.random.randrange(len(self.memory))
            self.store(at, self.random.randbytes(self.random.randrange(1, 200)))
        elif kind == 1:
            at = self.random.randrange(len(self.memory) // 8) * 8
            self.store(at, bytes([self.random.choice([0, 1, 255])]) * self.random.randrange(1, 2000))
        elif kind == 2:  # so that the bus can be opened again
            for at in range(0, len(self.memory), 8):
                if at < RING_DATA_OFFSET or at >= EXTENSION:
                    self.store(at, self.image[at : at + 8])
        elif kind == 3:  # a frame
            at = self.random.randrange(len(self.memory))
            length = self.random.choice([0, 1, 100, CAPACITY, 0xFFFFFFFF])
            self.store(at, struct.pack("<BI", self.random.randrange(3), length))
        else:
            self.store(self.random.choice(numbers), _U64.pack(self.number()))


def scribble(pipe: Connection, path: Path, seed: int, spared: list[tuple[int, int]], numbers: list[int]) -> None:
    """Until told to end; sends how often."""
    scribbler = Scribbler(path, seed, spared)
    while not pipe.poll(scribbler.random.choice([0, 0, 0.0005])):
        for _ in range(scribbler.random.randrange(1, 20)):
            scribbler.scribble(numbers)
    pipe.send(scribbler.scribbles)


RING_NUMBERS = [RING_FREE_POS_OFFSET, RING_FREE_POS_OFFSET, CLAIM_POS, CLAIM_POS, COUNTS, COUNTS + 24]
RING_NUMBERS += [COUNTS + 32, COUNTS + 56, *(LANDMARKS + 8 * i for i in range(64))]
INFO_NUMBERS = [32 + 56 * i + at for i in range(READERS) for at in (0, 40, 48)]


def keep_the_lock(pipe: Connection, path: Path) -> None:
    """The writer mutex, until told to end, and seems to go on all the time."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    mutex = foreign_peer.Mutex(memory, RING_WRITER_MUTEX_OFFSET)
    mutex.lock()
    pipe.send("locked")
    claimed = 0
    while not pipe.poll(0.002):
        claimed += 1
        _U64.pack_into(memory, CLAIM_POS, claimed)
    mutex.unlock()
    pipe.send("unlocked")


# ---- the others -------------------------------------------------------------------------------------------


def read_once(reader: Reader, choose: random.Random) -> str:
    """In one of the ways to read; what came of it."""
    timeout = choose.choice([0, 0.001, 0.02])
    way = choose.randrange(5)
    if way == 0:
        return "message" if reader.recv(timeout) is not None else "nothing"
    if way == 1:
        return "message" if reader.recv_many(choose.randrange(1, 50), timeout) else "nothing"
    if way == 2:
        with suppress(MessagesLost):
            if (borrowed := reader.borrow(timeout)) is not None:
                with borrowed:
                    sum(bytes(borrowed.data))
        return "borrowed"
    if way == 3:
        reader.wait(timeout)
        return "waited"
    return f"lag {reader.lag >= 0}"


def work_as_reader(pipe: Connection, name: str, seconds: float, seed: int) -> None:
    """Opens the bus and reads, over and over."""
    choose = random.Random(seed)
    met: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            starts: list[Literal["now", "oldest"] | int] = ["now", "oldest", choose.randrange(4 * CAPACITY)]
            ways: list[Literal["raise", "skip"]] = ["raise", "skip"]
            start, on_loss = choose.choice(starts), choose.choice(ways)
            with (
                Bus(name, role=choose.choice(["reader", "both"]), create=False) as bus,
                bus.subscribe("/a", descendants=True, start=start, on_loss=on_loss) as reader,
            ):
                for _ in range(choose.randrange(200)):
                    if time.monotonic() >= end:
                        break
                    try:
                        met[read_once(reader, choose)] += 1
                    except MessagesLost as loss:
                        met[type(loss).__name__] += 1
                bus.readers()
        except ToroniError as error:
            met[type(error).__name__] += 1
    pipe.send(met)


def work_as_writer(pipe: Connection, name: str, seconds: float, seed: int) -> None:
    """Opens the bus and posts, over and over."""
    choose = random.Random(seed)
    met: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with Bus(name, role=choose.choice(["writer", "both"]), create=False) as bus:
                for _ in range(choose.randrange(200)):
                    if time.monotonic() >= end:
                        break
                    policy = choose.choice(POLICIES)
                    body = bytes(choose.randrange(choose.choice([10, 300, CAPACITY // 2])))
                    try:
                        if choose.randrange(4) == 0:
                            bus.post_many([(topic, body[:500]) for topic in TOPICS], backpressure=policy)
                        else:
                            bus.post(choose.choice(TOPICS), body, backpressure=policy)
                        met["posted"] += 1
                    except ToroniError as error:
                        met[type(error).__name__] += 1
                bus.readers()
        except ToroniError as error:
            met[type(error).__name__] += 1
    pipe.send(met)


def post_beside_a_kept_lock(pipe: Connection, name: str) -> None:
    """One message; sends the error."""
    with Bus(name, role="writer", create=False) as bus:
        pipe.send("ready")
        pipe.recv()
        try:
            bus.post("/a", b"x", backpressure=Wait(0.1))
            pipe.send("posted")
        except WriterStalled as error:
            pipe.send(str(error))


def post_at_full_speed(pipe: Connection, name: str) -> None:
    """What nobody wants, until told to end."""
    stop = threading.Event()

    def wait_for_the_end() -> None:
        pipe.recv()
        stop.set()

    waiting = threading.Thread(target=wait_for_the_end)
    waiting.start()
    with Bus(name, role="writer", create=False) as bus:
        messages = [("/unwanted", b"x" * 20)] * 50
        bus.post_many(messages, backpressure=Overwrite())
        pipe.send("posting")
        while not stop.is_set():
            bus.post_many(messages, backpressure=Overwrite())
    waiting.join()


Worker = Callable[[Connection, str, float, int], None]
