"""Signals, stops, clocks and the end of the interpreter, each in the middle of something.

A stopped holder of the writer mutex is in test_deaths.py, close() in a handler in test_closing.py, Ctrl-C in
test_waiting.py, the end of the interpreter also in test_sharing.py and test_bus_sharing.py.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

import pytest

import toroni
from messages import is_whole, make_message, mixed_size, seed_of
from processes import PATIENCE, peers
from test_deaths import AT_ONCE, fill, hold_a_slot, wait_until, write_one
from toroni import Bus, Wait, rmp

# ---- signals


class Storm:
    """A signal every millisecond, with a handler in Python."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Storm:
        self.before = signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def post_in_a_storm(pipe: Connection, name: str, writer: int, signals: int) -> None:
    chooser = random.Random(writer)
    number = 0
    with Bus(name, backpressure=Wait(None)) as bus, Storm() as storm:
        pipe.send("ready")
        pipe.recv()
        while storm.count < signals:
            batch = []
            for _ in range(chooser.choice([1, 1, 1, 40])):
                batch.append(make_message(writer << 32 | number, mixed_size(chooser, bus.capacity)))
                number += 1
            if len(batch) == 1:
                bus.post("/a", batch[0])
            else:
                assert bus.post_many(batch, topic="/a") == len(batch)
    pipe.send(number)


@pytest.mark.parametrize("notifier", ["futex", "multicast"])
def test_a_storm_of_signals_loses_and_repeats_nothing(bus_name: str, notifier: str) -> None:
    writers, signals = 2, 300
    with (
        Bus(bus_name, notifier=notifier, capacity="8 KiB") as bus,  # type: ignore[arg-type]
        bus.subscribe("/a") as reader,
        peers() as start,
    ):
        posting = [start(post_in_a_storm, bus_name, writer, signals) for writer in range(writers)]
        for peer in posting:
            peer.receive()
        for peer in posting:
            peer.send("go")
        seen: list[list[int]] = [[] for _ in range(writers)]
        with Storm() as storm:
            first = None
            while first or storm.count < signals / 2 or not all(peer.pipe.poll() for peer in posting):
                first = reader.recv(timeout=0.05)
                rest = reader.recv_many(50, timeout=0.001) if first and len(first.data) % 2 else []
                for message in (first, *rest) if first else ():
                    assert is_whole(message.data)
                    seen[seed_of(message.data) >> 32].append(seed_of(message.data) & 0xFFFFFFFF)
        assert seen == [list(range(peer.receive())) for peer in posting]
        assert reader.lost == 0
        assert bus.stats().backpressure > 0


def test_a_large_bus_can_be_made_in_a_storm_of_signals(bus_name: str) -> None:
    """On kernels where a signal makes tmpfs give up what it allocates, this much would never be in one call."""
    with Storm() as storm:
        Bus(bus_name, capacity="512 MiB").close()
    assert storm.count > 0
    assert Path(f"/dev/shm/toroni-{bus_name}-rb").stat().st_blocks * 512 >= 512 << 20


# ---- who is stopped


def test_a_stopped_reader_is_named_and_waited_for_no_longer_than_the_policy(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, peers() as start:
        reader = start(hold_a_slot, bus_name, "sleepy")
        reader.receive()
        os.kill(reader.pid, signal.SIGSTOP)
        fill(stream)
        with pytest.raises(toroni.NoRoom, match=rf"pid {reader.pid} \(sleepy\)") as no_room:
            stream.write(bytes(1000), backpressure=toroni.Fail())
        assert [info.alive for info in no_room.value.readers] == [True]  # stopped is not dead
        before = time.monotonic()
        stream.write(bytes(1000), backpressure=Wait(0.1))
        assert time.monotonic() - before >= 0.1
        assert stream.stats().overwritten > 0
        os.kill(reader.pid, signal.SIGCONT)
        reader.send("end")
        reader.join()


def test_a_stopped_writer_whose_turn_it_is_keeps_others_for_a_second(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader, peers() as start:
        fill(stream)
        first = start(write_one, bus_name, 3000)
        first.receive()
        wait_until(lambda: stream.stats().backpressure > 1, "it waits for room")
        os.kill(first.pid, signal.SIGSTOP)
        while reader.read(timeout=0) is not None:
            pass
        stream.write(make_message(1, 100), backpressure=Wait(None))
        for number in range(50):  # and each message is not kept again
            before = time.monotonic()
            stream.write(make_message(number, 50), backpressure=Wait(None))
            assert time.monotonic() - before < AT_ONCE
        os.kill(first.pid, signal.SIGCONT)
        while (message := reader.read(timeout=PATIENCE)) != make_message(7, 3000):
            assert message is not None
            assert is_whole(message)
        first.receive()
        first.join()


def lock_a_bus(pipe: Connection, name: str) -> None:
    with open(f"/dev/shm/toroni-{name}-ri", "rb") as info:
        fcntl.flock(info, fcntl.LOCK_EX)
        pipe.send("locked")
        pipe.recv()
    pipe.send("unlocked")


def test_a_stopped_maker_or_remover(bus_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, but not for ever; and afterwards all is well."""
    Bus(bus_name).close()
    with peers() as start:
        maker = start(lock_a_bus, bus_name)
        maker.receive()
        os.kill(maker.pid, signal.SIGSTOP)
        Bus(bus_name).close()  # the bus is whole: nobody needs the lock
        monkeypatch.setattr("toroni._opening._PATIENCE_SECONDS", 0.2)
        with pytest.raises(toroni.BusNotReady, match=f"another process is making or removing the bus '{bus_name}'"):
            toroni.unlink(bus_name)
        os.kill(maker.pid, signal.SIGCONT)
        maker.send("go on")
        maker.receive()
        assert toroni.unlink(bus_name)


# ---- clocks

WILD_CLOCK = r"""
// A wall clock that is set an hour forth or back, and each time further, at each look; and a process that ends if
// somebody waits by it.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static _Atomic long looks;
static long wild(void) {
    long look = ++looks;
    return (look & 1 ? 3600 : -3600) * (1 + look % 100000);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += wild();
    return (int)result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) { abort(); }
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) { abort(); }
"""

USE = """
import asyncio, threading, time, toroni
from toroni import Bus
assert abs(time.time() - time.time()) > 3000  # it is wild
def elapsed(wait):
    before = time.monotonic()
    wait()
    return time.monotonic() - before
with Bus({name!r}, capacity=4096, notifier={notifier!r}) as bus:
    reader, slow = bus.subscribe("/a"), bus.subscribe("/a")
    times = [elapsed(lambda: reader.recv(timeout=0.1)), elapsed(lambda: slow.wait(0.1))]
    for number in range(30):
        threading.Timer(0.001, bus.post, ["/a", b"x"]).start()
        assert reader.recv(timeout=60).data == slow.recv(timeout=60).data == b"x"
    times.append(elapsed(lambda: bus.post_many([bytes(900)] * 5, topic="/a", backpressure=toroni.Wait(0.1))))
    reader.close()
    slow.close()
    with bus.subscribe("/a"):
        bus.post_many([bytes(900)] * 3, topic="/a")
        times.append(elapsed(lambda: bus.post("/a", bytes(1500), backpressure=toroni.Sleep(0.1))))
    async def wait():
        before = time.monotonic()
        try: await asyncio.wait_for(bus.subscribe("/b").recv_async(), 0.1)
        except asyncio.TimeoutError: times.append(time.monotonic() - before)
    asyncio.run(wait())
    print(times)
"""


@pytest.mark.parametrize("notifier", ["futex", "multicast", "poll"])
def test_a_wall_clock_that_is_set_at_every_moment(bus_name: str, tmp_path: Path, notifier: str) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make such a clock with")
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(WILD_CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", USE.format(name=bus_name, notifier=notifier)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "LD_PRELOAD": str(library)},
    )
    assert done.returncode == 0, done.stderr
    times = [float(text) for text in done.stdout.strip("[]\n").split(",")]
    assert len(times) == 5
    assert min(times) > 0.09, times
    assert max(times) < 30, times


# ---- the end of the interpreter

ENDINGS = {
    "async reader": ("loop.create_task(forever(bus.subscribe('/a')))\nloop.run_until_complete(asyncio.sleep(0.02))"),
    "async generator": (
        "task = loop.create_task(until(bus.subscribe('/a').__aiter__().__anext__()))\n"
        "loop.run_until_complete(asyncio.wait([task], timeout=0.02))"
    ),
    "descriptor": "reader = bus.subscribe('/a')\nreader.fileno()\nreader.recv(timeout=0)",
    "queue, never written": "writer = bus.async_writer(Never())\nfor n in range(100): writer.post('/a', bytes(50))",
    "queue in a pool": (
        "reader = bus.subscribe('/a')\nwriter = bus.async_writer(pool, backpressure=toroni.Wait(0.2))\n"
        "for n in range(100): writer.post('/a', bytes(200))"
    ),
    "queue in a loop": (
        "async def main():\n"
        "    writer = bus.async_writer()\n"
        "    for n in range(100): writer.post('/a', bytes(20))\n"
        "asyncio.run(main())"
    ),
    "waits for room": (
        "reader = bus.subscribe('/a')\n"
        "run(lambda: [bus.post('/a', bytes(900), backpressure=toroni.Wait(None)) for _ in range(9)])"
    ),
    "batches": (
        "for _ in range(3):\n"
        "    run(lambda reader: [reader.recv_many(5, timeout=0.01) for _ in iter(int, 1)], bus.subscribe('/a'))"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends(bus_name: str, ending: str) -> None:
    """It ends at once, without a crash or a word, and leaves no slot that looks alive."""
    script = f"""
import asyncio, threading, time, toroni
from concurrent.futures import Executor, ThreadPoolExecutor
class Never(Executor):
    def submit(self, *_): pass
def run(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()
async def until(awaitable): await awaitable
async def forever(reader):
    async for _ in reader: pass
loop, pool = asyncio.new_event_loop(), ThreadPoolExecutor(1)
bus = toroni.Bus({bus_name!r}, capacity=4096)
{ENDINGS[ending]}
time.sleep(0.02)
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Fatal" not in done.stderr
        assert "ToroniError" not in done.stderr
        with Bus(bus_name) as bus:
            assert [info for info in bus.readers() if info.alive] == []
            bus.post("/a", bytes(900), backpressure=toroni.Fail())  # nobody is in the way
