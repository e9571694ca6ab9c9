"""Many writers, many readers, one order: a million messages of mixed sizes between separate processes."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from multiprocessing.connection import Connection

from messages import is_whole, make_message, mixed_size, seed_of
from processes import peers
from toroni import MessagesLost, Overwrite, Wait, rmp

CAPACITY = 64 * 1024
WRITERS = 4
READERS = 4
MESSAGES = 1_000_000
_LINE = struct.Struct("<QII")
_TINY = 0.1  # share of messages too small to carry a seed: 1 to 7 bytes


def write_mixed(pipe: Connection, bus: str, writer: int, messages: int) -> None:
    """Write messages numbered from 0, in batches of many sizes."""
    chooser = random.Random(writer)
    with rmp.Stream(bus, backpressure=Wait(None)) as stream:
        pipe.recv()
        number = 0
        while number < messages:
            batch = []
            for _ in range(min(chooser.choice([1, 3, 100]), messages - number)):
                if chooser.random() < _TINY:
                    batch.append(bytes([writer]) * chooser.randrange(1, 8))
                else:
                    batch.append(make_message(writer << 32 | number, mixed_size(chooser, CAPACITY)))
                number += 1
            assert stream.write_many(batch) == len(batch)
        pipe.send(stream.position)


def read_everything(pipe: Connection, bus: str, messages: int) -> None:
    """Check each message and hash the sequence of all."""
    sequence = hashlib.blake2b()
    last_of: dict[int, int] = {}
    seen = 0
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("ready")
        while seen < messages:
            for position, message in reader.read_many(with_positions=True):
                sequence.update(_LINE.pack(position, len(message), zlib.crc32(message)))
                seen += 1
                if len(message) >= 8:
                    assert is_whole(message)
                    writer, number = seed_of(message) >> 32, seed_of(message) & 0xFFFFFFFF
                    assert last_of.get(writer, -1) < number
                    last_of[writer] = number
        assert reader.lost == 0
        pipe.send((sequence.hexdigest(), seen, reader.position))


def test_four_readers_of_four_writers_see_one_order(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, peers() as start:
        readers = [start(read_everything, bus_name, MESSAGES) for _ in range(READERS)]
        assert [reader.receive() for reader in readers] == ["ready"] * READERS
        writers = [start(write_mixed, bus_name, w, MESSAGES // WRITERS) for w in range(WRITERS)]
        for writer in writers:
            writer.send("go")
        ends = [writer.receive(300) for writer in writers]
        results = [reader.receive(300) for reader in readers]
        assert results == [results[0]] * READERS
        assert results[0][1:] == (MESSAGES, max(ends))
        assert stream.stats().messages == MESSAGES


def overtake(pipe: Connection, bus: str, writer: int, messages: int) -> None:
    """Write without ever waiting."""
    chooser = random.Random(writer)
    with rmp.Stream(bus, backpressure=Overwrite()) as stream:
        pipe.recv()
        for number in range(messages):
            stream.write(make_message(writer << 32 | number, mixed_size(chooser, CAPACITY)))
        pipe.send("done")


def read_with_gaps(pipe: Connection, bus: str) -> None:
    """Log what was read, and every announced gap, until told that all is written."""
    log: list[tuple[int, int]] = []
    gaps: list[tuple[int, int, int | None]] = []
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("ready")
        while True:
            try:
                batch = reader.read_many(50, timeout=0.05, with_positions=True)
            except MessagesLost as lost:
                assert lost.bytes == lost.to_position - lost.from_position > 0
                gaps.append((lost.from_position, lost.to_position, lost.messages))
                continue
            for position, message in batch:
                assert is_whole(message)
                log.append((position, seed_of(message)))
            if not batch and pipe.poll():
                break
        pipe.send((log, gaps, reader.position))


def test_who_loses_some_has_the_same_order_with_exactly_the_announced_gaps(bus_name: str) -> None:
    messages = 40_000
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, peers() as start:
        readers = [start(read_with_gaps, bus_name) for _ in range(2)]
        assert [reader.receive() for reader in readers] == ["ready"] * 2
        writers = [start(overtake, bus_name, w, messages // 2) for w in range(2)]
        for writer in writers:
            writer.send("go")
        for writer in writers:
            writer.receive(120)
        for reader in readers:
            reader.send("all is written")
        everything: dict[int, int] = {}
        for reader in readers:
            log, gaps, end = reader.receive()
            assert end == stream.position
            assert gaps, "nobody was overtaken: the test shows nothing"
            assert [position for position, _ in log] == sorted({position for position, _ in log})
            assert len(log) + sum(missed for _, _, missed in gaps) == messages
            for low, high, _ in gaps:
                assert not any(low <= position < high for position, _ in log)
            for position, seed in log:
                assert everything.setdefault(position, seed) == seed
