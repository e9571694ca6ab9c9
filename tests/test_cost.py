"""What it costs to wait, to read, and not to use it: in system calls, threads and copies, never in seconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from processes import peers
from toroni import Bus

PR_SET_SECCOMP, SECCOMP_MODE_STRICT = 22, 1


def used() -> tuple[float, int]:
    """CPU seconds of this process, and how often its threads have gone to sleep: each takes a system call."""
    switches = 0
    for task in Path("/proc/self/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        switches += sum(int(line.split()[1]) for line in lines if "voluntary_ctxt_switches" in line)
    return time.process_time(), switches


def be_idle(pipe: Connection, name: str, notifier: str, way: str, seconds: float) -> None:
    """Waits for a message that never comes, and says what that took."""

    async def wait_async(bus: Bus) -> None:
        reader = bus.subscribe("/a")
        waiting = asyncio.ensure_future(reader.recv_async())
        await asyncio.sleep(0.1)  # all is set up
        before = used()
        await asyncio.sleep(seconds)
        report(before)
        waiting.cancel()

    def report(before: tuple[float, int]) -> None:
        after = used()
        pipe.send((after[0] - before[0], after[1] - before[1]))

    with Bus(name, notifier=notifier) as bus:  # type: ignore[arg-type]
        if way == "asyncio":
            asyncio.run(wait_async(bus))
        else:
            with bus.subscribe("/a") as reader:
                reader.recv(timeout=0.1)
                before = used()
                assert reader.recv(timeout=seconds) is None
                report(before)


@pytest.mark.parametrize("way", ["recv", "asyncio"])
@pytest.mark.parametrize("notifier", ["futex", "multicast"])
def test_an_idle_reader(bus_name: str, notifier: str, way: str, pytestconfig: pytest.Config) -> None:
    seconds = float(pytestconfig.getoption("--idle-seconds"))
    with Bus(bus_name, notifier=notifier), peers() as start:  # type: ignore[arg-type]
        for _ in range(3):  # others share the multicast group, and a virtual machine's processor time is not all ours
            cpu, switches = start(be_idle, bus_name, notifier, way, seconds).receive()
            print(f"{way} on {notifier}, {seconds} s: {cpu * 1000:.1f} ms of CPU, {switches} context switches")
            # A look a second, and the beginning and the end.
            if cpu < 0.002 * seconds and switches <= seconds + 4:
                return
    pytest.fail("it was never idle")


def test_a_process_that_only_opened_a_bus(bus_name: str) -> None:
    def threads() -> list[str]:
        tasks = Path("/proc/self/task").iterdir()
        return sorted((task / "comm").read_text().strip() for task in tasks)

    def has_only(*own: str) -> bool:
        """A new thread names itself, a moment after it was made."""
        end = time.monotonic() + 10
        while threads() != sorted([*before, *own]) and time.monotonic() < end:
            time.sleep(0.001)
        return threads() == sorted([*before, *own])

    before = threads()
    with Bus(bus_name) as bus:
        bus.post("/a", b"x")
        assert has_only()
        with bus.subscribe("/a") as one, bus.subscribe("/a") as another:
            assert has_only("toroni-keeper")
            one.fileno()
            assert has_only("toroni-keeper")  # the watcher comes with the first wait
            assert one.recv(timeout=0) is None
            assert another.fileno() >= 0
            assert another.recv(timeout=0) is None
            assert has_only("toroni-keeper", "toroni-watcher")
            one.close()
            another.close()
            assert has_only()
        assert has_only()


def read_without_system_calls(pipe: Connection, name: str) -> None:
    """Under strict seccomp, where every system call but read and write is this thread's death."""
    descriptor = pipe.fileno()
    prctl = ctypes.CDLL(None).prctl
    with Bus(name) as bus, bus.subscribe("/wanted", start="oldest") as reader:
        for _ in range(10_000):  # now memory is there that the rest needs
            next(reader)
        pipe.send("reading")
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
        for _ in range(10_000):
            next(reader)
        os.write(descriptor, b"\0\0\0\x05\x80\x04K*.")  # 42, pickled: the connection would ask the system more
        os.getppid()  # which kills: the keeper's thread, which nothing forbids, keeps the process


def test_reading_makes_no_system_call(bus_name: str) -> None:
    with Bus(bus_name, capacity="8 MiB") as bus, peers() as start:
        bus.post_many([(topic, bytes(number % 100)) for number in range(20_000) for topic in ("/wanted", "/unwanted")])
        reading = start(read_without_system_calls, bus_name)
        assert reading.receive() == "reading"
        assert reading.receive() == 42
        while (state := Path(f"/proc/{reading.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]) != "Z":
            assert state in "RSD"
        reading.kill()  # it was strict: the main thread is a zombie


def read_with_little_memory(pipe: Connection, name: str) -> None:
    with Bus(name) as bus, bus.subscribe("/wanted") as reader:
        threading.stack_size(256 * 1024)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (32 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        pipe.send("ready")
        for message in reader:
            pipe.send(len(message.data))
            if not message.data:
                return


def test_what_nobody_wants_is_not_copied(bus_name: str) -> None:
    """Half as large messages would not fit the memory that the reader is given."""
    with Bus(bus_name, capacity="256 MiB") as bus, peers() as start:
        reading = start(read_with_little_memory, bus_name)
        assert reading.receive() == "ready"
        large = bytes(64 << 20)
        for size in (1000, 8, 0):
            bus.post("/unwanted", large)
            bus.post("/wanted", bytes(size))
            assert reading.receive() == size
