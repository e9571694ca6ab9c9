"""close() from everywhere, and signals that come in the middle."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest

import toroni
from messages import make_message
from processes import PATIENCE
from toroni import Overwrite, Wait, rmp


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
        while stream.stats().backpressure == 0:
            pass
        stream.close()  # the reader was in the way: the writer goes on, with the ring still mapped
        assert writing.result(timeout=PATIENCE) == 50
    assert reader.closed
    stream.close()
    for use in (lambda: stream.write(b"x"), stream.reader, stream.stats, lambda: stream.capacity, reader.read):
        with pytest.raises(toroni.Closed):
            use()
    assert list(reader) == []


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


def test_a_handler_that_raises_does_not_swallow_a_loss(bus_name: str) -> None:
    class Alarm(Exception):
        """Raised by the handler."""

    def handler(_: int, frame: FrameType | None) -> None:
        # In the loop, or where the exception object is made; not in what the garbage collector calls.
        if frame is not None and frame.f_code.co_name == "__init__":
            frame = frame.f_back
        if frame is not None and frame.f_code.co_name == "drain":
            raise Alarm

    told: list[toroni.MessagesLost] = []
    interrupted = 0
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
                try:
                    drain()
                except Alarm:
                    interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            reader.read(timeout=0)
            assert sum(loss.bytes for loss in told) == reader.lost == stream.position
            assert sum(loss.messages or 0 for loss in told) == 6 * 3000
            assert interrupted > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
