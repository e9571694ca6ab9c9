"""Waiting and waking: timeouts, signals, room, and what waiting costs."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from messages import is_whole, make_message, seed_of
from processes import PATIENCE, peers
from toroni import Bus, Drop, Fail, InUse, MessagesLost, NoRoom, Overwrite, Wait, rmp


def echo(pipe: Connection, there: str, back: str) -> None:
    with rmp.Stream(there) as requests, rmp.Stream(back) as answers, requests.reader() as reader:
        pipe.send("ready")
        while (message := reader.read()) != b"stop":
            assert message
            answers.write(message)
        pipe.send("done")


def test_ten_thousand_wake_ups_and_none_is_lost(bus_name: str) -> None:
    """Each side sleeps until the other wakes it; a lost wake-up would cost the second until the next look."""
    back = bus_name + "-back"
    try:
        with rmp.Stream(bus_name) as requests, rmp.Stream(back) as answers, peers() as start:
            other = start(echo, bus_name, back)
            other.receive()
            with answers.reader() as reader:
                slow = 0
                for number in range(10_000):
                    message = make_message(number, 8 + number % 500)
                    before = time.monotonic()
                    requests.write(message)
                    assert reader.read(timeout=PATIENCE) == message
                    slow += time.monotonic() - before > 0.9
                assert slow == 0
            requests.write(b"stop")
            other.receive()
    finally:
        rmp.unlink(back)


def test_timeouts(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        for timeout in (0, 0.0, 0.05, 0.2):
            before = time.monotonic()
            assert reader.read(timeout=timeout) is None
            assert reader.read_many(timeout=timeout) == []
            assert reader.wait(timeout) is False
            passed = time.monotonic() - before
            assert 3 * timeout <= passed < 3 * timeout + 0.5
        stream.write(b"x")
        assert reader.wait(0) is True
        assert reader.read(timeout=0) == b"x"
        for bad in (-1, float("nan"), -0.001):
            with pytest.raises(ValueError, match="timeout"):
                reader.read(timeout=bad)
        with pytest.raises(TypeError):
            reader.read(timeout="1")  # type: ignore[call-overload]
        threading.Timer(0.05, stream.write, [b"y"]).start()
        assert reader.read(timeout=float("inf")) == b"y"


@contextmanager
def interrupted_after(seconds: float) -> Iterator[Callable[[], float]]:
    """Ctrl-C after some time; yields a function that says how long ago that was."""
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, interrupt)
    timer.start()
    yield lambda: time.monotonic() - sent[0]
    timer.join()


@pytest.mark.parametrize("wait", ["read", "read_many", "wait", "next", "write", "write in turn"])
def test_ctrl_c_ends_every_wait_within_100_ms(bus_name: str, wait: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:
        blocked: dict[str, Callable[[], object]] = {
            "read": reader.read,
            "read_many": reader.read_many,
            "wait": reader.wait,
            "next": lambda: next(reader),
            "write": lambda: stream.write_many([bytes(1000)] * 10, backpressure=Wait(None)),
            "write in turn": lambda: stream.write(bytes(1000), backpressure=Wait(None)),
        }
        delays = []
        with ThreadPoolExecutor(1) as pool:
            if wait == "write in turn":  # behind another writer that waits
                pool.submit(stream.write_many, [bytes(1000)] * 10, backpressure=Wait(None))
                while stream.stats().backpressure == 0:
                    pass
            for _ in range(5):
                with interrupted_after(0.05) as since, pytest.raises(KeyboardInterrupt):
                    blocked[wait]()
                delays.append(since())
            reader.close()
        assert sorted(delays)[len(delays) // 2] < 0.1


def test_a_signal_handler_runs_and_the_wait_goes_on(bus_name: str) -> None:
    calls = []
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:

        def handler(*_: object) -> None:
            calls.append(1)
            with pytest.raises(InUse):
                reader.read(timeout=0)
            if len(calls) == 3:
                stream.write(b"from the handler")

        before = signal.signal(signal.SIGUSR1, handler)
        try:

            def storm() -> None:
                for number in range(3):
                    while not any(info.waiting for info in stream.readers()):
                        pass
                    os.kill(os.getpid(), signal.SIGUSR1)
                    while len(calls) == number:
                        pass

            thread = threading.Thread(target=storm)
            thread.start()
            assert reader.read(timeout=PATIENCE) == b"from the handler"
            thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_the_gil_is_free_during_waits(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader, ThreadPoolExecutor(2) as pool:
        reading = pool.submit(reader.read, PATIENCE)
        while not stream.readers()[0].waiting:
            pass
        stream.write(b"x")
        assert reading.result() == b"x"
        writing = pool.submit(stream.write_many, [bytes(1000)] * 10, backpressure=Wait(None))
        while stream.stats().backpressure == 0:
            pass
        assert len([reader.read() for _ in range(10)]) == 10
        assert writing.result() == 10


def test_policies(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader(label="slow one") as reader:
        assert stream.write_many([bytes(1000)] * 10, backpressure=Drop()) == 4
        assert stream.write(bytes(1000), backpressure=Drop()) is None
        with pytest.raises(NoRoom, match=r"slow one.* 4020 bytes .98 % of the ring") as no_room:
            stream.write(bytes(1000), backpressure=Fail())
        assert [info.label for info in no_room.value.readers] == ["slow one"]
        assert no_room.value.written == 0
        before = time.monotonic()
        assert stream.write(bytes(50), backpressure=Wait(0.2)) == 4020
        assert stream.write(bytes(1000), backpressure=Wait(0.2)) == 4096
        assert 0.2 <= time.monotonic() - before < 1
        assert stream.stats().overwritten == 1
        stream.write(bytes(1000), backpressure=Overwrite())
        with pytest.raises(MessagesLost):
            reader.read(timeout=0)
    with rmp.Stream(bus_name, backpressure=Fail()) as stream, stream.reader():
        with pytest.raises(NoRoom) as no_room:
            stream.write_many([bytes(1000)] * 10)
        assert no_room.value.written == 4


def read_slowly(pipe: Connection, bus: str) -> None:
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("ready")
        while (message := reader.read()) != b"stop":
            assert message
            assert is_whole(message)
        pipe.send(reader.lost)


def write_small(pipe: Connection, bus: str) -> None:
    with rmp.Stream(bus, backpressure=Wait(None)) as stream:
        pipe.send("ready")
        number = 1
        while not pipe.poll():
            stream.write(make_message(number, 8 + number % 60))
            number += 1
            if number == 5:
                pipe.send("not starved")
        pipe.send("done")


def test_large_messages_are_not_starved_by_small_ones(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=65536) as stream, peers() as start:
        reader = start(read_slowly, bus_name)
        writers = [start(write_small, bus_name) for _ in range(2)]
        for peer in (reader, *writers):
            peer.receive()
        end = time.monotonic() + PATIENCE
        starved = set(writers)
        number = 0
        while number < 50 or starved:  # nor the other way round
            assert time.monotonic() < end
            stream.write(make_message(number, 60_000), backpressure=Wait(None))
            number += 1
            starved -= {writer for writer in starved if writer.pipe.poll() and writer.receive() == "not starved"}
        for writer in writers:
            writer.send("stop")
        assert all(writer.receive() == "done" for writer in writers)
        stream.write(b"stop", backpressure=Wait(None))
        assert reader.receive() == 0


def be_idle(pipe: Connection, bus: str) -> None:
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        reader.read(timeout=0.01)

        def used() -> tuple[float, int]:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return usage.ru_utime + usage.ru_stime, usage.ru_nvcsw + usage.ru_nivcsw

        before = used()
        pipe.send("idle")
        assert reader.read(timeout=4) is None
        after = used()
        pipe.send((after[0] - before[0], after[1] - before[1]))


def test_an_idle_reader_costs_nothing(bus_name: str) -> None:
    with rmp.Stream(bus_name), peers() as start:
        idle = start(be_idle, bus_name)
        idle.receive()
        cpu, switches = idle.receive()
        assert cpu < 0.02
        assert switches <= 8  # one look a second, and the beginning and the end


def test_a_process_that_only_opened_a_bus_has_no_thread(bus_name: str) -> None:
    tasks = len(os.listdir("/proc/self/task"))
    with rmp.Stream(bus_name) as stream:
        stream.write(b"x")
        assert len(os.listdir("/proc/self/task")) == tasks
        with stream.reader(), stream.reader():
            assert len(os.listdir("/proc/self/task")) == tasks + 1
            names = [Path(f"/proc/self/task/{t}/comm").read_text().strip() for t in os.listdir("/proc/self/task")]
            assert "toroni-keeper" in names
        assert len(os.listdir("/proc/self/task")) == tasks


def test_writers_call_nobody_who_is_awake(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        for number in range(100):
            stream.write(make_message(number, 8 + number))
        assert stream.stats().notifications == 0
        assert [seed_of(message) for message in reader.read_many()] == list(range(100))


def post_noise(pipe: Connection, bus: str) -> None:
    with Bus(bus, backpressure=Overwrite()) as opened:
        pipe.send("noise")
        while not pipe.poll():
            opened.post("/noise", bytes(50))


def test_ctrl_c_comes_through_a_stream_of_unwanted_messages(bus_name: str) -> None:
    delays = []
    with Bus(bus_name) as bus, bus.subscribe("/wanted", on_loss="skip") as reader, peers() as start:
        noise = start(post_noise, bus_name)
        noise.receive()
        for _ in range(10):
            with interrupted_after(0.02) as since, pytest.raises(KeyboardInterrupt):
                reader.recv(timeout=PATIENCE)
            delays.append(since())
        noise.send("stop")
    assert max(delays) < 1
