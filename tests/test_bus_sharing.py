"""One bus used from many threads and processes, forked, pickled, forgotten, unlinked and ended with the interpreter."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import toroni
from messages import is_whole, make_message, seed_of
from processes import PATIENCE, in_child
from toroni import Bus, Fail, Multicast, Wait

METHODS = ["fork", "spawn", "forkserver"]
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: the very subject


def test_many_threads_post_and_read(bus_name: str) -> None:
    count = 4000
    seen: list[list[int]] = [[], [], []]
    with Bus(bus_name, capacity=8192, backpressure=Wait(None)) as bus:
        readers = [bus.subscribe("/w", descendants=True) for _ in seen]

        def take(reader: toroni.Reader, numbers: list[int]) -> None:
            for message in reader:
                if message.topic == "/w/stop":
                    return
                assert is_whole(message.data)
                numbers.append(seed_of(message.data))

        def give(first: int) -> None:
            for number in range(first, count, 3):
                bus.post("/w", make_message(number, 8 + number * 7 % 3000), descendants=number % 2 == 0)

        takers = [threading.Thread(target=take, args=pair) for pair in zip(readers, seen, strict=True)]
        givers = [threading.Thread(target=give, args=(first,)) for first in range(3)]
        for thread in takers + givers:
            thread.start()
        for thread in givers:
            thread.join()
        bus.post("/w/stop")
        for thread in takers:
            thread.join()
        assert seen[0] == seen[1] == seen[2]  # one order
        assert sorted(seen[0]) == list(range(count))


def test_neither_gil_nor_writer_mutex_waits_for_the_other(bus_name: str) -> None:
    """Buffers whose release runs Python code, callables, handlers and finalizers, in threads that all write."""
    stop = threading.Event()
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a", on_loss=lambda _: bus.post("/b")) as reader:

        class Posting:
            def __del__(self) -> None:
                bus.post("/b", b"from a finalizer", backpressure=toroni.Overwrite())

        def ask(_: toroni.SlowReaders) -> Any:
            Posting()
            return "overwrite"

        def write() -> None:
            while not stop.is_set():
                bus.post_many([("/a", bytearray(500))] * 3, backpressure=ask)

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(80):
            reader.recv_many(10, timeout=0.01)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def child_of_multiprocessing(bus: Bus) -> None:
    with bus.subscribe("/to the child") as reader:
        bus.post("/ready")
        for message in reader:
            bus.post("/from the child", message.data)
            return


@pytest.mark.parametrize("method", METHODS)
def test_a_bus_passes_to_multiprocessing(bus_name: str, method: str) -> None:
    with (
        Bus(bus_name, capacity=4096, backpressure=Wait(3)) as bus,
        bus.subscribe("/from the child", "/ready") as reader,
    ):
        process = multiprocessing.get_context(method).Process(  # type: ignore[attr-defined]
            target=child_of_multiprocessing, args=(bus,)
        )
        process.start()
        assert reader.recv(timeout=PATIENCE) is not None
        bus.post("/to the child", b"hello")
        message = reader.recv(timeout=PATIENCE)
        assert message is not None
        assert message.data == b"hello"
        process.join(PATIENCE)
        assert process.exitcode == 0


def square(bus: Bus, number: int) -> int:
    bus.post("/squares", b"%d" % (number * number))
    return os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_a_process_pool_posts_to_it(bus_name: str, method: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/squares") as reader:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            pids = list(pool.map(square, [bus] * 20, range(20)))
        assert os.getpid() not in pids
        received = []
        while messages := reader.recv_many(timeout=0):
            received += messages
        assert sorted(int(message.data) for message in received) == [number * number for number in range(20)]


def test_a_forked_child_has_a_slot_and_descriptors_of_its_own(bus_name: str) -> None:
    for notifier in ("futex", "multicast", "poll"):
        with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a", label="family") as reader:
            descriptor = reader.fileno()
            bus.post_many([("/a", b"1"), ("/a", b"2")])
            assert next(reader).data == b"1"  # the second is fetched ahead: parent and child both have it
            children = []

            def child() -> None:
                assert sorted(info.pid for info in bus.readers()) == [os.getppid()]
                assert next(reader).data == b"2"
                assert sorted(info.pid for info in bus.readers()) == sorted([os.getpid(), os.getppid()])
                assert reader.fileno() >= 0
                assert reader.recv(timeout=0) is None
                threading.Timer(0.05, bus.post, ("/a", b"3")).start()
                message = reader.recv(timeout=PATIENCE)
                assert message is not None
                assert message.data == b"3"
                reader.subscribe("/only in the child")
                reader.close()

            children.append(in_child(child))
            assert children == [0]
            assert reader.fileno() == descriptor
            assert [message.data for message in reader.recv_many()] == [b"2"]
            assert [message.data for message in reader.recv_many()] == [b"3"]
            assert reader.recv(timeout=0) is None
            assert reader.topics == [("/a", False)]
        toroni.unlink(bus_name)


def test_a_child_that_only_ends_harms_nobody(bus_name: str) -> None:
    with Bus(bus_name, max_readers=1) as bus, bus.subscribe("/a") as reader:
        reader.fileno()
        assert reader.recv(timeout=0) is None

        def forget() -> None:
            nonlocal reader, bus
            del reader, bus
            gc.collect()

        assert in_child(forget) == 0
        assert in_child(lambda: reader.close()) == 0
        bus.post("/a", b"still there")
        assert next(reader).data == b"still there"


def test_pickled_as_name_and_options(bus_name: str) -> None:
    with Bus(bus_name, capacity="64 KiB", notifier=Multicast(port=5555), backpressure=Fail(), mode=0o660) as bus:
        copy = pickle.loads(pickle.dumps(bus))
        assert (copy.name, copy.capacity, copy.notifier) == (bus_name, 65536, Multicast(port=5555))
        assert repr(copy) == f"<toroni.Bus {bus_name!r}>"
        copy.close()
        assert repr(copy) == f"<toroni.Bus {bus_name!r}, closed>"
        with bus.subscribe("/a", label="slow"), pytest.raises(toroni.NoRoom) as no_room:
            bus.post_many([("/a", bytes(60_000))] * 2)
        again = pickle.loads(pickle.dumps(no_room.value))
        assert (str(again), again.written, again.readers[0].label) == (str(no_room.value), 1, "slow")


def test_unlinked_while_in_use(bus_name: str) -> None:
    assert toroni.unlink(bus_name) is False
    with Bus(bus_name) as old, old.subscribe("/a") as reader:
        assert not old.stats().is_unlinked
        assert toroni.unlink(bus_name) is True
        assert old.stats().is_unlinked
        old.post("/a", b"goes on")
        assert next(reader).data == b"goes on"
        with Bus(bus_name) as new, new.subscribe("/a") as other:
            assert old.stats().is_unlinked
            assert not new.stats().is_unlinked
            old.post("/a", b"old")
            new.post("/a", b"new")
            assert [next(reader).data, next(other).data] == [b"old", b"new"]


def test_closed(bus_name: str) -> None:
    bus = Bus(bus_name)
    reader = bus.subscribe("/a")
    bus.close()
    bus.close()
    reader.close()
    assert (bus.closed, reader.closed, list(reader)) == (True, True, [])
    uses: list[Any] = [
        lambda: bus.post("/a"),
        lambda: bus.post_many([("/a",)]),
        lambda: bus.subscribe("/a"),
        lambda: bus.stats(),
        lambda: bus.readers(),
        lambda: bus.position,
        lambda: bus.notifier,
        lambda: bus.async_writer(print),
        lambda: reader.recv(),
        lambda: reader.recv_many(),
        lambda: reader.borrow(),
        lambda: reader.wait(0),
        lambda: reader.subscribe("/b"),
        lambda: reader.fileno(),
        lambda: reader.lag,
        lambda: reader.position,
    ]
    for use in uses:
        with pytest.raises(toroni.Closed, match="closed"):
            use()


def test_forgotten_things_leave_nothing(bus_name: str) -> None:
    def forget() -> None:
        bus = Bus(bus_name)
        readers = [bus.subscribe("/a") for _ in range(3)]
        readers[0].on("/b", lambda _: readers[1].close())
        readers[1].fileno()
        readers[1].recv(timeout=0)
        bus.post("/a", b"x")
        readers[2].borrow(timeout=0)

    forget()
    gc.collect()
    threads, descriptors = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        forget()
        gc.collect()
    assert len(os.listdir("/proc/self/task")) == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert bus_name not in Path("/proc/self/maps").read_text()


ENDINGS = {
    "waiting": "reader = bus.subscribe('/a')\nrun(reader.recv)",
    "borrowed": "reader = bus.subscribe('/a'); bus.post('/a', b'x')\nview = reader.borrow().data",
    "own notifier waits": "bus = toroni.Bus(bus.name + '-own', notifier=Own())\nrun(bus.subscribe('/a').recv)",
    "callable": (
        "reader = bus.subscribe('/a')\nrun(lambda: [bus.post('/a', bytes(2000), backpressure=retry) for _ in 'xxx'])"
    ),
    "on_loss": (
        "reader = bus.subscribe('/a', on_loss=nap)\nrun(lambda: [reader.recv() for _ in iter(int, 1)])\n"
        "run(lambda: [bus.post('/a', bytes(500), backpressure=toroni.Overwrite()) for _ in iter(int, 1)])"
    ),
    "event loop": "reader = bus.subscribe('/a')\nrun(lambda: asyncio.run(reader.recv_async()))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_in_the_middle_of_it(bus_name: str, ending: str) -> None:
    script = f"""
import asyncio, os, threading, time, toroni
class Own:
    def __init__(self): self.pipe, _ = os.pipe()
    def notify(self): time.sleep(0.001)
    def wait(self, timeout): time.sleep(min(timeout, 0.002))
    def fileno(self): return self.pipe
def nap(_): time.sleep(0.001)
def retry(_): time.sleep(0.001); return "retry"
def run(function):
    threading.Thread(target=function, daemon=True).start()
threading.excepthook = lambda *_: None
bus = toroni.Bus({bus_name!r}, capacity=4096)
{ENDINGS[ending]}
time.sleep(0.05)
"""
    try:
        for _ in range(3):
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        toroni.unlink(bus_name + "-own")


def test_a_thread_that_closes_and_one_that_posts(bus_name: str) -> None:
    for _ in range(30):
        bus = Bus(bus_name)
        with ThreadPoolExecutor(1) as pool:

            def post(bus: Bus) -> None:
                while True:
                    bus.post("/a", bytes(100))

            posting = pool.submit(post, bus)
            bus.close()
            with pytest.raises(toroni.Closed):
                posting.result(PATIENCE)
