"""Processes killed while they hold something: the rest go on at once, without any timeout."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from messages import is_whole, make_message, seed_of
from processes import PATIENCE, Peer, peers
from toroni import Fail, NoFreeSlot, NoRoom, Overwrite, Wait, WriterStalled, rmp

AT_ONCE = 1.0  # seconds: far above any scheduling delay, far below the timeouts that must not matter
CAPACITY = 4096


def die_with_the_writer_mutex(pipe: Connection, bus: str) -> None:
    """Be killed in the middle of a copy, by its source: behind the end of a truncated file waits SIGBUS."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryFile() as file, rmp.Stream(bus) as stream:
        file.truncate(2 * mmap.PAGESIZE)
        source = mmap.mmap(file.fileno(), 2 * mmap.PAGESIZE)
        file.truncate(mmap.PAGESIZE)
        pipe.send("copying")
        stream.write(memoryview(source)[mmap.PAGESIZE - 100 : mmap.PAGESIZE + 100])


def write_for_ever(pipe: Connection, bus: str) -> None:
    with rmp.Stream(bus, backpressure=Wait(None)) as stream:
        pipe.send("writing")
        number = 0
        while True:
            stream.write(make_message(number, 8 + number * 37 % 2000))
            number += 1


def hold_a_slot(pipe: Connection, bus: str, label: str) -> None:
    with rmp.Stream(bus) as stream, stream.reader(label=label):
        pipe.send("open")
        pipe.recv()


def wait_for_a_message(pipe: Connection, bus: str) -> None:
    with rmp.Stream(bus) as stream, stream.reader(label="sleeper") as reader:
        pipe.send("open")
        while True:
            reader.read()


def write_one(pipe: Connection, bus: str, size: int) -> None:
    with rmp.Stream(bus) as stream:
        pipe.send("started")
        position = stream.write(make_message(7, size), backpressure=Wait(None))
        pipe.send((position, time.monotonic()))


def wait_until(condition: object, what: str) -> None:
    """Poll: for states of other processes that nothing announces."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.001)


def fill(stream: rmp.Stream, size: int = 200) -> int:
    """Write until a reader is in the way."""
    count = 0
    while True:
        try:
            stream.write(make_message(count, size), backpressure=Fail())
        except NoRoom:
            return count
        count += 1


def sleeping(peer: Peer, stream: rmp.Stream) -> bool:
    return any(reader.waiting and reader.pid == peer.pid for reader in stream.readers())


def test_a_holder_of_the_writer_mutex(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, stream.reader() as reader, peers() as start:
        for round_ in range(5):
            victim = start(die_with_the_writer_mutex, bus_name)
            victim.receive()
            victim.process.join(PATIENCE)
            assert victim.process.exitcode == -signal.SIGBUS
            before = time.monotonic()
            stream.write(make_message(round_, 500))
            message = reader.read(timeout=PATIENCE)
            assert time.monotonic() - before < AT_ONCE
            assert message is not None
            assert seed_of(message) == round_
            assert is_whole(message)


def test_writers_at_any_moment(bus_name: str) -> None:
    """Killed wherever they are: many kills land inside the lock, which they hold most of the time."""
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, stream.reader() as reader, peers() as start:
        for round_ in range(20):
            victim = start(write_for_ever, bus_name)
            victim.receive()
            for _ in range(50 + round_ * 7):
                message = reader.read(timeout=PATIENCE)
                assert message is not None
                assert is_whole(message)
            victim.kill()
            while message := reader.read(timeout=0):
                assert is_whole(message)
            before = time.monotonic()
            stream.write(make_message(round_, 100))
            assert time.monotonic() - before < AT_ONCE
            assert reader.read(timeout=PATIENCE) == make_message(round_, 100)
        assert reader.lost == 0


def test_a_reader_gives_its_slot_back(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=CAPACITY, max_readers=2) as stream, peers() as start:
        for round_ in range(5):
            victims = [start(hold_a_slot, bus_name, f"victim {i}") for i in range(2)]
            for victim in victims:
                victim.receive()
            with pytest.raises(NoFreeSlot, match=f"pid {victims[0].pid} .victim 0.") as full:
                stream.reader()
            assert f"pid {victims[1].pid} (victim 1)" in str(full.value)
            for victim in victims:
                victim.kill()
            dead = {(info.alive, info.pid) for info in stream.readers()}
            assert dead == {(False, victim.pid) for victim in victims}
            for number in range(100):  # several laps: the dead hold nobody back
                stream.write(make_message(number, 200), backpressure=Fail())
            with stream.reader() as first, stream.reader(start="oldest"):
                stream.write(make_message(round_, 300))
                assert first.read(timeout=PATIENCE) == make_message(round_, 300)


def test_a_reader_that_a_writer_waits_for(bus_name: str) -> None:
    """Its death frees the writer at once: nothing is guessed from a timeout, which would be for ever here."""
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, peers() as start:
        delays = []
        for _ in range(5):
            victim = start(hold_a_slot, bus_name, "slow")
            victim.receive()
            fill(stream)
            writer = start(write_one, bus_name, 1000)
            writer.receive()
            wait_until(lambda: stream.stats().backpressure > 0, "the writer waits")
            assert not writer.pipe.poll(0.05)
            before = time.monotonic()
            victim.kill()
            _, after = writer.receive()
            delays.append(after - before)
        assert max(delays) < AT_ONCE
        assert sorted(delays)[len(delays) // 2] < 0.05


def test_a_sleeping_reader(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, peers() as start:
        victim = start(wait_for_a_message, bus_name)
        victim.receive()
        wait_until(lambda: sleeping(victim, stream), "it sleeps")
        stream.write(b"wake up")
        wakeups = stream.stats().notifications
        assert wakeups == 1
        wait_until(lambda: sleeping(victim, stream), "it sleeps again")
        victim.kill()
        for number in range(50):
            stream.write(make_message(number, 8 + number))
        # The dead keeps its bit, but nobody calls it any more.
        assert stream.stats().notifications == wakeups


def test_a_writer_that_waits_for_room(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, stream.reader() as reader, peers() as start:
        fill(stream)
        victim = start(write_one, bus_name, 3000)
        victim.receive()
        wait_until(lambda: stream.stats().backpressure > 1, "the writer waits")
        other = start(write_one, bus_name, 100)
        other.receive()
        assert not other.pipe.poll(0.1)  # its turn is the other's first
        victim.kill()
        while reader.read(timeout=0.5) != make_message(7, 100):
            pass
        other.receive()
        before = time.monotonic()
        stream.write(make_message(1, 2000))
        assert time.monotonic() - before < AT_ONCE


def test_a_half_made_bus(bus_name: str) -> None:
    """Whatever a maker leaves when it is killed: nothing, or -ri alone. Both are usable at once."""
    with rmp.Stream(bus_name, capacity=CAPACITY):
        pass
    Path(f"/dev/shm/toroni-{bus_name}-rb").unlink()
    before = time.monotonic()
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, stream.reader() as reader:
        stream.write(b"usable")
        assert reader.read(timeout=PATIENCE) == b"usable"
    assert time.monotonic() - before < AT_ONCE


def test_a_bus_half_removed_is_not_shared_with_the_next(bus_name: str) -> None:
    """A remover killed between the two files: who has the old bus open must not count for the new one."""
    with rmp.Stream(bus_name, capacity=CAPACITY) as old, old.reader() as old_reader:
        Path(f"/dev/shm/toroni-{bus_name}-rb").unlink()
        with rmp.Stream(bus_name, capacity=CAPACITY) as new, new.reader() as new_reader:
            assert len(new.readers()) == len(old.readers()) == 1
            for number in range(100):
                new.write(make_message(number, 100), backpressure=Fail() if number < 30 else Overwrite())
            assert old_reader.read(timeout=0) is None
            old.write(b"still works")
            assert old_reader.read(timeout=0) == b"still works"
            assert new_reader.lag > 0


def make_and_remove(pipe: Connection, bus: str) -> None:
    pipe.send("making")
    while True:
        with rmp.Stream(bus, capacity="1 MiB", max_readers=4):
            pass
        rmp.unlink(bus)


def test_makers_killed_at_any_moment(bus_name: str) -> None:
    with peers() as start:
        for round_ in range(15):
            victims = [start(make_and_remove, bus_name) for _ in range(2)]
            for victim in victims:
                victim.receive()
            time.sleep(0.001 * round_)  # another moment each time
            for victim in victims:
                victim.kill()
            before = time.monotonic()
            with rmp.Stream(bus_name, capacity="1 MiB", max_readers=4) as stream, stream.reader() as reader:
                stream.write(b"usable")
                assert reader.read(timeout=PATIENCE) == b"usable"
            assert time.monotonic() - before < AT_ONCE


def copy_until_the_source_is_there(pipe: Connection, bus: str, path: str) -> None:
    """Be stuck in the middle of a copy, alive: behind the end of the file the kernel sends SIGBUS, whose handler
    returns to the same instruction, until somebody makes the file longer."""
    signal.signal(signal.SIGBUS, lambda *_: None)
    with open(path, "r+b") as file, rmp.Stream(bus) as stream:
        file.truncate(2 * mmap.PAGESIZE)
        source = mmap.mmap(file.fileno(), 2 * mmap.PAGESIZE)
        file.truncate(mmap.PAGESIZE)
        pipe.send("copying")
        stream.write(memoryview(source)[mmap.PAGESIZE - 100 : mmap.PAGESIZE + 100])
        pipe.send("done")


def test_a_holder_that_is_stuck_is_named_and_everybody_goes_on_after_it(bus_name: str, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.touch()
    with rmp.Stream(bus_name, capacity=CAPACITY) as stream, stream.reader() as reader, peers() as start:
        holder = start(copy_until_the_source_is_there, bus_name, str(path))
        holder.receive()
        wait_until(lambda: stream.stats().lock_holder == holder.pid, "it holds the mutex")
        os.kill(holder.pid, signal.SIGSTOP)
        with pytest.raises(WriterStalled, match=f"process {holder.pid} "):
            stream.write(b"in vain", backpressure=Wait(0.2))
        assert reader.read(timeout=0) is None  # reading needs no lock
        os.truncate(path, 2 * mmap.PAGESIZE)
        os.kill(holder.pid, signal.SIGCONT)
        stream.write(b"at last", backpressure=Wait(PATIENCE))
        assert reader.read_many() == [bytes(200), b"at last"]
        assert holder.receive() == "done"
