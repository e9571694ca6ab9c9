"""One stream and its readers used from many threads, across fork, by pickle, and left behind."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest

import toroni
from messages import is_whole, make_message
from processes import PATIENCE
from toroni import Overwrite, Wait, rmp


def in_child(function: object) -> int:
    """Run in a forked child; its exit status."""
    assert callable(function)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_reader_outlives_the_thread_that_made_it(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        reader = one.submit(stream.reader, label="made elsewhere").result()
        one.shutdown()  # its thread has ended: the kernel would have taken a lock of its own
        assert [(info.alive, info.label) for info in stream.readers()] == [(True, "made elsewhere")]
        stream.write(b"1")
        assert two.submit(reader.read).result() == b"1"
        two.submit(reader.close).result()
        assert stream.readers() == []


def test_threads_share_a_stream_and_a_reader(bus_name: str) -> None:
    count = 20_000
    with rmp.Stream(bus_name, capacity=8192, backpressure=Wait(None)) as stream, stream.reader() as reader:
        received: list[bytes] = []

        def take() -> None:
            while (message := reader.read(timeout=PATIENCE)) and message != b"stop":
                received.append(message)

        def give(first: int) -> None:
            for number in range(first, count, 3):
                stream.write(make_message(number, 8 + number * 7 % 3000))

        takers = [threading.Thread(target=take) for _ in range(3)]
        givers = [threading.Thread(target=give, args=(first,)) for first in range(3)]
        for thread in takers + givers:
            thread.start()
        for thread in givers:
            thread.join()
        stream.write_many([b"stop"] * 3)
        for thread in takers:
            thread.join()
        assert len(received) == count
        assert len(set(received)) == count
        assert all(is_whole(message) for message in received)


def test_close_ends_a_wait_in_another_thread(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            reader = stream.reader()
            reading, iterating = pool.submit(reader.read), pool.submit(list, reader)
            reader.close()
            with pytest.raises(toroni.Closed):
                reading.result(timeout=PATIENCE)
            assert iterating.result(timeout=PATIENCE) == []
        assert stream.readers() == []


def test_closing_the_stream_closes_its_readers_but_not_under_a_writer(bus_name: str) -> None:
    stream = rmp.Stream(bus_name, capacity=4096, backpressure=Wait(None))
    reader = stream.reader()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(stream.write_many, [make_message(n, 1000) for n in range(50)])
        while stream.statistics().backpressure == 0:
            pass
        stream.close()  # the reader was in the way: the writer goes on, with the ring still mapped
        assert writing.result(timeout=PATIENCE) == 50
    assert reader.closed
    stream.close()
    for use in (lambda: stream.write(b"x"), stream.reader, stream.statistics, lambda: stream.capacity, reader.read):
        with pytest.raises(toroni.Closed):
            use()
    assert list(reader) == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: the very subject
def test_a_forked_child_takes_a_slot_of_its_own(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader(label="family") as reader:
        stream.write(b"before")

        def child() -> None:
            assert reader.read(timeout=PATIENCE) == b"before"  # from where the parent stood
            readers = stream.readers()
            assert sorted(info.pid for info in readers) == sorted([os.getpid(), os.getppid()])
            stream.write(b"from the child")
            assert reader.read(timeout=PATIENCE) == b"from the child"
            reader.close()
            stream.close()

        assert in_child(child) == 0
        assert [info.pid for info in stream.readers()] == [os.getpid()]
        assert reader.read() == b"before"
        assert reader.read() == b"from the child"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_that_does_nothing_harms_nothing(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, max_readers=1) as stream, stream.reader() as reader:

        def child() -> None:
            nonlocal reader, stream
            with pytest.raises(toroni.NoFreeSlot):
                reader.read(timeout=0)
            del reader, stream
            gc.collect()

        assert in_child(child) == 0
        assert in_child(sys.exit) == 1
        assert [info.alive for info in stream.readers()] == [True]
        stream.write(b"still there")
        assert reader.read() == b"still there"


def _child_of_multiprocessing(stream: rmp.Stream) -> None:
    stream.write(b"hello")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_stream_passes_to_multiprocessing(bus_name: str, method: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, backpressure=Wait(3)) as stream, stream.reader() as reader:
        copy = pickle.loads(pickle.dumps(stream))
        assert (copy.name, copy.capacity) == (stream.name, 4096)
        copy.close()
        process = multiprocessing.get_context(method).Process(  # type: ignore[attr-defined]
            target=_child_of_multiprocessing, args=(stream,)
        )
        process.start()
        assert reader.read(timeout=PATIENCE) == b"hello"
        process.join(PATIENCE)
        assert process.exitcode == 0


def test_forgotten_readers_and_streams_are_cleaned_up(bus_name: str) -> None:
    def forget() -> None:
        stream = rmp.Stream(bus_name)
        readers = [stream.reader(label="forgotten") for _ in range(3)]
        assert len(stream.readers()) == len(readers)
        cyclic = stream.reader(on_loss=lambda _: cyclic.close())

    threads = len(os.listdir("/proc/self/task"))
    forget()
    gc.collect()
    with rmp.Stream(bus_name) as stream:
        assert stream.readers() == []
    assert len(os.listdir("/proc/self/task")) == threads


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "import os; os._exit(3)", "stream.close()"])
def test_an_interpreter_ends_with_readers_open_and_waiting(bus_name: str, ending: str) -> None:
    script = f"""
import threading
from toroni import rmp
stream = rmp.Stream({bus_name!r})
reader, waiting = stream.reader(), stream.reader()
thread = threading.Thread(target=waiting.read, daemon=True)
thread.start()
while not any(info.waiting for info in stream.readers()): pass
threading.excepthook = lambda *_: None
{ending}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stderr == ""
    assert done.returncode == (3 if "3" in ending else 0)
    with rmp.Stream(bus_name) as stream, stream.reader():
        assert [info.pid for info in stream.readers() if info.alive] == [os.getpid()]


def test_close_from_many_threads_at_once(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, ThreadPoolExecutor(8) as pool:
        for _ in range(100):
            reader = stream.reader()
            reading = pool.submit(reader.read)
            for closing in [pool.submit(reader.close) for _ in range(6)]:
                closing.result(timeout=PATIENCE)
            with pytest.raises(toroni.Closed):
                reading.result(timeout=PATIENCE)
        assert stream.readers() == []


def test_close_in_a_signal_handler_ends_the_wait_and_gives_the_slot_back(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream:
        reader = stream.reader()
        before = signal.signal(signal.SIGUSR1, lambda *_: reader.close())
        try:
            started = time.monotonic()
            threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()
            assert list(reader) == []
            assert time.monotonic() - started < 0.6
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert stream.readers() == []
        with pytest.raises(toroni.Closed):
            _ = reader.position


def test_close_in_on_loss(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=64, backpressure=Overwrite()) as stream:
        reader = stream.reader(on_loss=lambda _: reader.close())
        stream.write_many([bytes(20)] * 10)
        with pytest.raises(toroni.Closed):
            reader.read()
        assert stream.readers() == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_in_on_loss_leaves_the_parents_slot_alone(bus_name: str) -> None:
    children = []

    def fork(_: toroni.MessagesLost) -> None:
        children.append(os.fork())

    with rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream:
        reader = stream.reader(on_loss=fork)
        stream.write_many([bytes(1000)] * 10)
        message = reader.read(timeout=0.2)
        if children == [0]:
            ok = message is None and sorted(info.slot for info in stream.readers()) == [0, 1]
            os._exit(0 if ok else 1)
        assert message is None
        assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
        assert [(info.slot, info.position) for info in stream.readers() if info.alive] == [(0, stream.position)]


def test_busy_daemon_threads_do_not_abort_the_interpreter(bus_name: str) -> None:
    script = f"""
import threading, time
from toroni import rmp, Overwrite
stream = rmp.Stream({bus_name!r}, capacity=4096, backpressure=Overwrite())
readers = [stream.reader(on_loss="skip") for _ in range(3)]
def read(reader):
    while True: reader.read()
def write():
    while True: stream.write(b"x" * 500)
for reader in readers: threading.Thread(target=read, args=[reader], daemon=True).start()
threading.Thread(target=write, daemon=True).start()
time.sleep(0.05)
"""
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_what_users_get_can_be_pickled(bus_name: str) -> None:
    class Mine(rmp.Stream):
        """Defined where pickle cannot find it: only its name is looked at."""

    with rmp.Stream(bus_name, capacity=4096, backpressure=toroni.Fail()) as stream, stream.reader(label="slow ü"):
        with pytest.raises(toroni.NoRoom) as no_room:
            stream.write_many([bytes(1000)] * 5)
        copy = pickle.loads(pickle.dumps(no_room.value))
        assert (str(copy), copy.written) == (str(no_room.value), 4)
        assert [repr(info) for info in copy.readers] == [repr(info) for info in stream.readers()]
        lost = toroni.MessagesLost(10, None, 0, 10, "label")
        assert str(pickle.loads(pickle.dumps(lost))) == str(lost)
    assert Mine(bus_name).__reduce__()[1][0] is Mine


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_while_another_thread_makes_readers_and_buses(bus_name: str) -> None:
    """The child never waits for a lock that a thread held which does not exist there, nor keeps one."""
    stop = threading.Event()
    with rmp.Stream(bus_name) as stream:

        def make() -> None:
            while not stop.is_set():
                stream.reader().close()
                rmp.Stream(bus_name + "-other", capacity="64 KiB").close()
                rmp.unlink(bus_name + "-other")

        thread = threading.Thread(target=make)
        thread.start()
        try:
            for _ in range(40):
                assert in_child(lambda: stream.reader().close()) == 0
        finally:
            stop.set()
            thread.join()
    assert rmp.unlink(bus_name + "-other") is False


def test_a_handler_that_raises_does_not_swallow_a_loss(bus_name: str) -> None:
    class Alarm(Exception):
        """Raised by the handler."""

    def handler(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name == "drain":
                raise Alarm
            frame = frame.f_back

    told: list[toroni.MessagesLost] = []
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with rmp.Stream(bus_name, capacity=256, backpressure=Overwrite()) as stream:
            reader = stream.reader(on_loss=told.append)

            def drain() -> None:
                signal.setitimer(signal.ITIMER_REAL, 2e-5)
                while reader.read(timeout=0) is not None:
                    pass

            for _ in range(3000):
                stream.write_many([bytes(50)] * 6)
                with contextlib.suppress(Alarm):
                    drain()
            signal.setitimer(signal.ITIMER_REAL, 0)
            reader.read(timeout=0)
            assert sum(loss.bytes for loss in told) == reader.lost == stream.position
            assert sum(loss.messages or 0 for loss in told) == 6 * 3000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
