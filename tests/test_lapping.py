"""Readers that are overtaken over and over, also while a writer dies in the middle of a copy: never a torn,
repeated, reordered or unannounced missing message."""

from __future__ import annotations

import mmap
import os
import random
import resource
import signal
import tempfile
from multiprocessing.connection import Connection

from messages import is_whole, make_message, mixed_size, seed_of
from processes import peers
from toroni import MessagesLost, Overwrite, rmp

CAPACITY = 4096
_PAGE = mmap.PAGESIZE


def write_without_waiting(pipe: Connection, bus: str, messages: int) -> None:
    """Batches, so that millions get through: each overtakes the readers by a good part of the ring."""
    chooser = random.Random(2)
    number = 0
    with rmp.Stream(bus, backpressure=Overwrite()) as stream:
        bodies = [mixed_size(chooser, CAPACITY) for _ in range(997)]
        while number < messages:
            count = min(chooser.choice([1, 2, 10, 30]), messages - number)
            stream.write_many([make_message(n, bodies[n % 997]) for n in range(number, number + count)])
            number += count
        pipe.send(number)


def read_while_overtaken(pipe: Connection, bus: str, batch: int) -> None:
    """Check every message and every announced gap, to the message."""
    reads = losses = missed = 0
    last_seed = -1
    last_position = -1
    with rmp.Stream(bus) as stream, stream.reader(start=0) as reader:
        pipe.send("ready")
        while True:
            try:
                messages = reader.read_many(batch, timeout=0.02, with_positions=True)
            except MessagesLost as lost:
                assert last_position < lost.from_position < lost.to_position
                assert lost.messages is not None
                losses += 1
                missed += lost.messages
                continue
            for position, message in messages:
                assert is_whole(message), f"torn at {position}"
                assert seed_of(message) > last_seed
                assert position > last_position
                last_seed, last_position = seed_of(message), position
            reads += len(messages)
            if not messages and pipe.poll():
                break
        pipe.send((reads, losses, missed))


def test_millions_of_messages_past_slow_readers(bus_name: str) -> None:
    messages = 5_000_000
    with rmp.Stream(bus_name, capacity=CAPACITY), peers() as start:
        readers = [start(read_while_overtaken, bus_name, batch) for batch in (1, 7, 1000)]
        assert [reader.receive() for reader in readers] == ["ready"] * 3
        writer = start(write_without_waiting, bus_name, messages)
        assert writer.receive(300) == messages
        for reader in readers:
            reader.send("all is written")
        results = [reader.receive() for reader in readers]
        for reads, losses, missed in results:
            assert reads + missed == messages
            assert losses > 0
        # The writer fills this ring in less than a microsecond: how often one reader gets through is luck.
        assert sum(reads for reads, _, _ in results) > 1000
        assert sum(losses for _, losses, _ in results) > 1000


def die_copying(pipe: Connection, bus: str, rounds: int) -> None:
    """Between whole messages, children that are killed by their own source buffer after some of its bytes: it
    lies over the end of a truncated file, where the kernel sends SIGBUS in the middle of the copy."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chooser = random.Random(3)
    number = 0
    with tempfile.TemporaryFile() as file, rmp.Stream(bus, backpressure=Overwrite()) as stream:
        file.truncate(2 * _PAGE)
        source = mmap.mmap(file.fileno(), 2 * _PAGE)
        source[:_PAGE] = b"\xee" * _PAGE
        file.truncate(_PAGE)
        for _ in range(rounds):
            for _ in range(chooser.randrange(4)):
                stream.write(make_message(number, mixed_size(chooser, CAPACITY)))
                number += 1
            size = mixed_size(chooser, CAPACITY)
            copied = chooser.randrange(min(size, _PAGE))
            child = os.fork()
            if child == 0:
                stream.write(memoryview(source)[_PAGE - copied : _PAGE - copied + size])
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status)
            assert os.WTERMSIG(status) == signal.SIGBUS
        pipe.send((number, stream.stats().messages))


def test_writers_that_die_in_the_middle_of_a_copy(bus_name: str) -> None:
    rounds = 1500
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, peers() as start:
        readers = [start(read_while_overtaken, bus_name, batch) for batch in (1, 100)]
        assert [reader.receive() for reader in readers] == ["ready"] * 2
        written, counted = start(die_copying, bus_name, rounds).receive(120)
        assert written == counted
        for reader in readers:
            reader.send("all is written")
        for reader in readers:
            reads, _, missed = reader.receive()
            assert reads + missed == written
        assert stream.stats().lock_holder == 0
