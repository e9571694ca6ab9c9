"""One stream and its readers used from many threads, left behind, and ended with the interpreter."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import toroni
from messages import is_whole, make_message
from processes import PATIENCE
from toroni import Wait, rmp


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
