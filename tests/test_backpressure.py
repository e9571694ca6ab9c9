"""What writers do about slow readers, and what they are told about them."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import pytest

import toroni
from processes import peers
from toroni import Bus, Drop, Fail, MessagesLost, NoRoom, Overwrite, Sleep, SlowReaders, Wait

FULL = [("/a", bytes(1000))] * 4


def test_policies_of_bus_and_call(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=Drop()) as bus, bus.subscribe("/a", label="slow") as reader:
        assert bus.post_many([("/a", bytes(1000))] * 10) == 4
        assert bus.post("/a", bytes(1000)) is None
        with pytest.raises(NoRoom, match=r"pid \d+ \(slow\) is 4068 bytes \(99 % of the ring\) behind") as no_room:
            bus.post("/a", bytes(1000), backpressure=Fail())
        (slow,) = no_room.value.readers
        assert (slow.pid, slow.label, slow.lag, slow.alive) == (os.getpid(), "slow", 4068, True)
        assert slow.lag_percent == pytest.approx(99.3, abs=0.1)
        before = time.monotonic()
        assert bus.post("/a", bytes(1000), backpressure=Wait(0.2)) == 4096
        assert 0.2 <= time.monotonic() - before < 1
        with pytest.raises(MessagesLost):
            reader.recv(timeout=0)


def test_sleep_waits_once_and_then_writes(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=Sleep(0.1)) as bus, bus.subscribe("/a") as reader:
        bus.post_many(FULL)
        before = time.monotonic()
        assert bus.post("/a", bytes(1000)) == 4096
        assert 0.1 <= time.monotonic() - before < 1
        with pytest.raises(MessagesLost) as lost:
            reader.recv(timeout=0)
        assert lost.value.messages == 5
        for wrong in (None, -1, "x", float("inf")):
            with pytest.raises((toroni.InvalidArgument, TypeError)):
                bus.post("/a", b"", backpressure=Sleep(wrong))  # type: ignore[arg-type]


def test_a_callable_is_told_who_is_slow_and_decides(bus_name: str) -> None:
    asked: list[SlowReaders] = []

    def decide(slow: SlowReaders) -> Any:
        asked.append(slow)
        return "retry" if slow.attempt < 4 else answer

    with Bus(bus_name, capacity=4096, backpressure=decide) as bus, bus.subscribe("/a", label="slow") as reader:
        bus.post_many(FULL)
        assert asked == []
        answer: Any = "drop"
        assert bus.post("/a", bytes(1000)) is None
        assert [slow.attempt for slow in asked] == [1, 2, 3, 4]
        assert [slow.readers[0].label for slow in asked] == ["slow"] * 4
        assert asked[0].size == 1000 + 12
        assert asked[0].waited == 0 < asked[1].waited < asked[3].waited < 5
        assert bus.post_many([("/a", bytes(1000))] * 3) == 0
        answer = "overwrite"
        assert bus.post("/a", bytes(1000)) == 4096
        with pytest.raises(MessagesLost):
            reader.recv(timeout=0)
        bus.post_many(FULL)
        for wrong in ("maybe", None, 5):
            answer = wrong
            with pytest.raises(toroni.InvalidArgument, match="'retry', 'overwrite' or 'drop'"):
                bus.post("/a", bytes(1000))

        def fail(_: SlowReaders) -> Any:
            raise RuntimeError("from the callable")

        with pytest.raises(RuntimeError, match="from the callable"):
            bus.post("/a", bytes(1000), backpressure=fail)
        assert bus.stats().lock_holder == 0
        assert len(reader.recv_many(timeout=0)) == 4


def test_a_callable_that_makes_room_itself(bus_name: str) -> None:
    received = []
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a", "/inner") as reader:

        def read_and_post(_: SlowReaders) -> Any:
            received.extend(reader.recv_many(timeout=0))
            bus.post("/inner", b"posted meanwhile")
            return "retry"

        assert bus.post_many([("/a", bytes(1000))] * 20, backpressure=read_and_post) == 20
        received.extend(reader.recv_many(timeout=0))
        assert [m.topic for m in received].count("/a") == 20
        assert reader.lost == 0


def test_retry_waits_without_spinning_and_goes_on_at_once(bus_name: str) -> None:
    times: list[float] = []

    def retry(_: SlowReaders) -> Any:
        times.append(time.monotonic())
        return "retry"

    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader, ThreadPoolExecutor(1) as pool:
        bus.post_many(FULL)
        cpu = time.process_time()
        writing = pool.submit(bus.post, "/a", bytes(1000), backpressure=retry)
        while len(times) < 11:
            time.sleep(0.01)
        assert time.process_time() - cpu < 0.1
        assert times[10] - times[0] >= 0.15  # 20 ms each
        reader.recv_many(1)
        assert writing.result(timeout=5) == 4096


@pytest.mark.parametrize("wrong", ["wait", 5, Wait, object()])
def test_policies_that_cannot_be(bus_name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Wait\(\), Overwrite\(\), Sleep\(\), Drop\(\), Fail\(\), or a callable"):
        Bus(bus_name, backpressure=wrong)
    with Bus(bus_name) as bus, pytest.raises(TypeError, match="callable"):
        bus.post("/a", backpressure=wrong)


def read_nothing(pipe: Connection, name: str) -> None:
    with Bus(name) as bus, bus.subscribe("/a", label="victim"):
        pipe.send("ready")
        signal.pause()


def test_a_reader_killed_while_a_writer_waits_frees_it_at_once(bus_name: str) -> None:
    delays = []
    with Bus(bus_name, capacity=4096, backpressure=Wait(None)) as bus, peers() as start, ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            victim = start(read_nothing, bus_name)
            victim.receive()
            before = bus.stats().backpressure
            writing = pool.submit(bus.post_many, [("/a", bytes(1000))] * 9)
            while bus.stats().backpressure == before:
                time.sleep(0.001)
            killed = time.monotonic()
            os.kill(victim.pid, signal.SIGKILL)
            assert writing.result(timeout=10) == 9
            delays.append(time.monotonic() - killed)
    assert sorted(delays)[2] < 0.05, delays


def test_a_stopped_reader_is_waited_for_and_overtaken_after_the_timeout(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a"):
        bus.post_many(FULL)
        told: list[int] = []
        interrupted = threading.Timer(0.05, lambda: told.append(bus.stats().backpressure))
        interrupted.start()
        assert bus.post("/a", bytes(1000), backpressure=Wait(0.1)) == 4096
        interrupted.join()
        assert told == [1]
        assert bus.stats().overwritten == 1
        assert bus.post("/a", bytes(1000), backpressure=Overwrite()) is not None
