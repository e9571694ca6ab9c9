"""The limits of a process: each is an error that names it and says what to do, and what is open goes on."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import re
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from namespaces import needs_root
from processes import peers
from toroni import Bus, OperatingSystemError

MCL_FUTURE = 2


@contextmanager
def limited(kind: int, value: int) -> Iterator[None]:
    """Whatever happens in between is under this limit."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@contextmanager
def refused(number: int, words: str) -> Iterator[None]:
    """Whatever is tried in between fails with this error of the system, in these words."""
    with pytest.raises(OperatingSystemError, match=words) as caught:
        yield
    assert caught.value.errno == number, caught.value


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def become_somebody() -> None:
    """Root has no such limits; and nobody else may count."""
    os.setuid(50_000 + os.getpid() % 10_000)


def files(bus: str) -> list[Path]:
    return list(Path("/dev/shm").glob(f"toroni-{bus}*"))


def run_out_of_descriptors(pipe: Connection, name: str, notifier: str) -> None:
    with (
        Bus(name, notifier=notifier) as bus,  # type: ignore[arg-type]
        bus.subscribe("/a") as reader,
        bus.subscribe("/a") as other,
        closing(asyncio.new_event_loop()) as loop,
    ):
        lowest = os.dup(0)
        os.close(lowest)
        words = f"this process may have {lowest} descriptors open and has: close some, .*ulimit -n"
        with limited(resource.RLIMIT_NOFILE, lowest):
            for which in (name, f"{name}-new"):
                with refused(errno.EMFILE, words):
                    Bus(which)
            with refused(errno.EMFILE, words):
                other.fileno()
            with refused(errno.EMFILE, words):
                loop.run_until_complete(other.recv_async())
            bus.post("/a", b"posted")
            assert other.recv(timeout=0) == next(reader)
        assert files(f"{name}-new") == []
        bus.post("/a", b"again")
        assert loop.run_until_complete(other.recv_async()).data == b"again"
        assert other.fileno() >= 0
    pipe.send("done")


@pytest.mark.parametrize("notifier", ["futex", "multicast", "poll"])
def test_descriptors(bus_name: str, notifier: str) -> None:
    with peers() as start:
        peer = start(run_out_of_descriptors, bus_name, notifier)
        assert peer.receive() == "done"
        peer.join()


def test_a_slot_and_its_thread_need_no_descriptor(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        bus.post("/a", b"x")
        lowest = os.dup(0)
        os.close(lowest)
        with limited(resource.RLIMIT_NOFILE, lowest), bus.subscribe("/a", start="oldest") as reader:
            assert next(reader).data == b"x"
            assert [info.pid for info in bus.readers()] == [os.getpid()]


def make_files_too_large(pipe: Connection, name: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; programs that embed it need not
    words = r"make files of 1048576 bytes: ask for a smaller capacity, or raise the limit \(ulimit -f\)"
    with limited(resource.RLIMIT_FSIZE, 1 << 20):
        with refused(errno.EFBIG, words):
            Bus(name, capacity="1 MiB")  # with what is around it it is larger
        assert files(name) == []
        Bus(name, capacity="512 KiB").close()
    with limited(resource.RLIMIT_FSIZE, 0), Bus(name) as bus, bus.subscribe("/a") as reader:
        for number in range(100):  # memory is no file
            bus.post("/a", bytes([number]) * 30_000)
            assert next(reader).data == bytes([number]) * 30_000
    pipe.send("alive")


def test_the_size_of_files(bus_name: str) -> None:
    with peers() as start:
        peer = start(make_files_too_large, bus_name)
        assert peer.receive() == "alive"
        peer.join()


def run_out_of_address_space(pipe: Connection, name: str) -> None:
    before = address_space()
    words = r"Cannot allocate memory; ask for a smaller capacity, or raise .*\(ulimit -v"
    for which in (name, f"{name}-new"):
        with limited(resource.RLIMIT_AS, before + (24 << 20)), refused(errno.ENOMEM, words):
            Bus(which, capacity="32 MiB")
    assert files(f"{name}-new") == []
    with Bus(name) as bus, bus.subscribe("/a", start="oldest") as reader:
        with limited(resource.RLIMIT_AS, address_space() + (4 << 20)):
            for _ in range(3):
                with pytest.raises(MemoryError):  # it does not fit, and waits
                    reader.recv()
            assert reader.lost == 0
            bus.post("/a", b"small")
        assert [len(message.data) for message in reader.recv_many()] == [8 << 20]
        assert next(reader).data == b"small"
    assert address_space() < before + (16 << 20)  # nothing is left mapped
    pipe.send("done")


def test_address_space(bus_name: str) -> None:
    with Bus(bus_name, capacity="32 MiB") as bus, peers() as start:
        bus.post("/a", bytes(8 << 20))
        peer = start(run_out_of_address_space, bus_name)
        assert peer.receive() == "done"
        peer.join()


def run_out_of_threads(pipe: Connection, name: str) -> None:
    words = "cannot start the thread that {}: Resource temporarily unavailable; .*ulimit -u, --pids-limit"
    become_somebody()
    with Bus(name) as bus:
        with limited(resource.RLIMIT_NPROC, 1):
            with refused(errno.EAGAIN, words.format("holds the reader slots")):
                bus.subscribe("/a")
            assert bus.readers() == []
            bus.post("/a", b"needs no thread")
        with (
            bus.subscribe("/a", start="oldest") as reader,
            bus.subscribe("/a") as other,
            closing(asyncio.new_event_loop()) as loop,
        ):
            assert loop.run_until_complete(reader.recv_async()).data == b"needs no thread"
            with limited(resource.RLIMIT_NPROC, 2):
                with refused(errno.EAGAIN, words.format("watches for messages")):
                    loop.run_until_complete(asyncio.wait_for(other.recv_async(), 0.1))
                bus.post("/a", b"still")
                assert [next(reader).data, next(other).data] == [b"still"] * 2
            bus.post("/a", b"again")
            assert loop.run_until_complete(other.recv_async()).data == b"again"
            assert threading.active_count() == 1
    pipe.send("done")


@needs_root
def test_threads(bus_name: str) -> None:
    with peers() as start:
        peer = start(run_out_of_threads, bus_name)
        assert peer.receive() == "done"
        peer.join()


def lock_too_much_memory(pipe: Connection, name: str) -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (4 << 20, 4 << 20))
    become_somebody()
    assert ctypes.CDLL(None).mlockall(MCL_FUTURE) == 0
    with refused(errno.EAGAIN, re.escape("where a process locks its memory (mlockall), raise that limit (ulimit -l)")):
        Bus(name, capacity="8 MiB")
    assert files(name) == []
    with Bus(name, capacity="64 KiB") as bus, bus.subscribe("/a") as reader:
        bus.post("/a", b"locked")
        assert next(reader).data == b"locked"
    pipe.send("done")


@needs_root
def test_locked_memory(bus_name: str) -> None:
    with peers() as start:
        peer = start(lock_too_much_memory, bus_name)
        assert peer.receive() == "done"
        peer.join()
