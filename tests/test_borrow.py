"""Messages shown in place: pinned, validated, and never freed memory."""

from __future__ import annotations

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest

import toroni
from processes import PATIENCE
from toroni import Bus, Fail, MessagesLost, Overwrite, Wait


def test_what_is_borrowed_is_the_message(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/image") as reader:
        position = bus.post("/image", b"pixels")
        bus.post("/image")
        with reader.borrow() as message:
            assert (message.topic, message.position, bytes(message.data)) == ("/image", position, b"pixels")
            assert message.data.readonly
            assert isinstance(message.data, memoryview)
            with pytest.raises(toroni.InUse, match="borrowed"):
                reader.recv(timeout=0)
            with pytest.raises(toroni.InUse):
                reader.borrow(timeout=0)
            reader.subscribe("/more")
            view = message.data
        with pytest.raises(ValueError, match="released"):
            view[0]
        message.release()  # idempotent
        empty = reader.borrow()
        assert empty is not None
        assert bytes(empty.data) == b""
        empty.release()
        assert reader.borrow(timeout=0) is None
        assert reader.last_position == empty.position


def test_writers_that_wait_wait_for_it(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=Wait(None)) as bus, bus.subscribe("/a") as reader:
        bus.post_many([("/a", bytes([number]) * 500) for number in range(7)])
        for _ in range(3):
            with reader.borrow() as message:
                pass
        message = reader.borrow()
        assert message is not None
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(bus.post_many, [("/a", bytes([9]) * 500) for _ in range(7)])
            while bus.stats().backpressure == 0:
                pass
            assert bytes(message.data) == bytes([3]) * 500
            message.release()
            while not writing.done():
                reader.recv_many(timeout=0.01)
        assert reader.lost == 0


def test_overwritten_meanwhile_is_said_whatever_on_loss(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=Overwrite()) as bus:
        for on_loss in ("raise", "skip", print):
            with bus.subscribe("/a", on_loss=on_loss) as reader:
                bus.post("/a", b"1")
                message = reader.borrow()
                assert message is not None
                bus.post_many([("/a", bytes(500))] * 20)
                with pytest.raises(MessagesLost) as lost:
                    message.release()
                assert lost.value.messages == 21
                bus.post("/a", b"next")
                assert next(reader).data == b"next"


def test_a_view_that_is_kept_is_an_error_and_never_freed_memory(bus_name: str) -> None:
    Bus(bus_name, capacity=4096).close()  # who opens it has it mapped under its name
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        kept: list[Any] = []
        keepers: list[Any] = [
            lambda data: numpy.frombuffer(data, numpy.uint8),
            lambda data: data[1:3],
            lambda data: memoryview(data),
            lambda data: numpy.frombuffer(data[2:], numpy.uint8)[1:],
        ]
        for keep in keepers:
            bus.post("/a", b"12345678")
            message = reader.borrow()
            assert message is not None
            kept.append(keep(message.data))
            with pytest.raises(toroni.ViewInUse, match="copy what you keep"):
                message.release()
        bus.post("/a", b"goes on")
        assert next(reader).data == b"goes on"
    del reader, bus, message
    gc.collect()
    assert f"toroni-{bus_name}-rb" in Path("/proc/self/maps").read_text()
    assert [bytes(view[:2]) for view in kept] == [b"12", b"23", b"12", b"45"]  # still mapped
    del kept
    gc.collect()
    assert f"toroni-{bus_name}-rb" not in Path("/proc/self/maps").read_text()


def test_an_array_that_is_deleted_in_time_is_no_error(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        bus.post("/a", numpy.arange(100, dtype=numpy.float64))
        with reader.borrow() as message:
            array = numpy.frombuffer(message.data)
            assert array.sum() == 4950
            del array


def test_closed_or_forgotten_while_borrowed(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus:
        reader = bus.subscribe("/a")
        bus.post("/a", b"whole")
        message = reader.borrow()
        assert message is not None
        reader.close()
        assert bus.readers() == []
        assert bytes(message.data) == b"whole"
        message.release()

        reader = bus.subscribe("/a")
        bus.post_many([("/a", b"forgotten"), ("/a", b"next")])
        message = reader.borrow()
        del message
        assert next(reader).data == b"next"

        bus.post("/a", b"x")
        message = reader.borrow()
        assert message is not None
        reader.close()
        bus.post_many([("/a", bytes(500))] * 20)
        with pytest.raises((toroni.Closed, MessagesLost)):
            message.release()


def test_what_was_fetched_ahead_is_borrowed_too(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        bus.post_many([("/a", b"%d" % number) for number in range(4)])
        assert next(reader).data == b"0"
        for number in range(1, 4):
            with reader.borrow() as message:
                assert message.data == b"%d" % number


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_while_borrowed(bus_name: str) -> None:
    with Bus(bus_name, backpressure=Fail()) as bus, bus.subscribe("/a") as reader:
        bus.post_many([("/a", b"1"), ("/a", b"2")])
        message = reader.borrow()
        assert message is not None
        child = os.fork()
        if child == 0:
            try:
                message.release()
                os._exit(0 if next(reader).data == b"2" and len(bus.readers()) == 2 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        message.release()
        assert next(reader).data == b"2"


def test_millions_of_bytes_looked_at_while_they_are_overwritten(bus_name: str) -> None:
    """What the release calls whole, was whole all the time that it was looked at."""
    stop = threading.Event()
    with (
        Bus(bus_name, capacity="64 KiB", backpressure=Overwrite()) as bus,
        bus.subscribe("/a", on_loss="skip") as reader,
    ):

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                bus.post_many([("/a", bytes([(number + i) % 251]) * (50 + number * 37 % 9000)) for i in range(9)])

        writer = threading.Thread(target=write)
        writer.start()
        whole = lost = 0
        try:
            while whole < 3000 or lost < 30:
                message = reader.borrow(timeout=PATIENCE)
                assert message is not None
                seen = set(bytes(message.data))
                if lost < 30:
                    stop.wait(0.0005)
                    seen |= set(bytes(message.data))
                try:
                    message.release()
                except MessagesLost:
                    lost += 1
                else:
                    assert len(seen) == 1
                    whole += 1
        finally:
            stop.set()
            writer.join()


def test_a_view_keeps_the_loan_when_the_message_is_forgotten(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=Fail()) as bus, bus.subscribe("/a") as reader:
        bus.post("/a", b"AAAAAAAA")
        data = reader.borrow().data
        with pytest.raises(toroni.NoRoom):
            bus.post_many([("/a", bytes(500))] * 20)
        assert bytes(data) == b"AAAAAAAA"
        with pytest.raises(toroni.InUse):
            reader.recv(timeout=0)
        del data
        assert reader.recv(timeout=0) is not None


def test_cycles_through_a_borrowed_message_are_collected(bus_name: str) -> None:
    class Camera:
        def __init__(self, bus: Bus) -> None:
            self.reader = bus.subscribe("/a", on_loss=self.lost)
            bus.post("/a", b"image")
            self.frame = self.reader.borrow()
            self.view = self.frame.data

        def lost(self, loss: MessagesLost) -> None: ...

    with Bus(bus_name) as bus:
        for _ in range(5):
            Camera(bus)
        gc.collect()
        assert bus.readers() == []


def test_what_is_raised_meanwhile_is_raised(bus_name: str) -> None:
    def close_and_fail(reader: toroni.Reader) -> None:
        reader.close()
        raise ZeroDivisionError

    def take(*_: object) -> None: ...

    with Bus(bus_name) as bus:
        reader = bus.subscribe("/a")
        bus.post("/a", b"x")
        with pytest.raises(ZeroDivisionError):
            take(reader.borrow(timeout=0), close_and_fail(reader))  # type: ignore[func-returns-value]


def test_borrowed_in_one_thread_and_read_in_another(bus_name: str) -> None:
    """Whoever comes between a loan and its end is refused; no message comes twice."""
    count = 2000
    seen: list[int] = []
    with Bus(bus_name, capacity=4096, backpressure=Wait(None)) as bus, bus.subscribe("/a") as reader:

        def take(borrowing: bool) -> None:
            while not seen or max(seen) < count - 1:
                try:
                    if borrowing:
                        message = reader.borrow(timeout=0.05)
                        if message is not None:
                            seen.append(int(bytes(message.data)))
                            message.release()
                    else:
                        received = reader.recv(timeout=0.05)
                        if received is not None:
                            seen.append(int(received.data))
                except toroni.InUse:
                    continue

        threads = [threading.Thread(target=take, args=(borrowing,)) for borrowing in (True, False, True)]
        for thread in threads:
            thread.start()
        for number in range(count):
            bus.post("/a", b"%d" % number)
            if number % 50 == 0:
                threading.Event().wait(0.001)
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(seen) == list(range(count))
        bus.post_many([("/a", bytes(100))] * 100, backpressure=Overwrite())
        with pytest.raises(MessagesLost) as lost:
            reader.recv(timeout=0)
        assert lost.value.messages == 100


def test_a_loan_that_is_collected_in_the_middle_of_a_read(bus_name: str) -> None:
    class Cycle:
        message: object
        itself: object

    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        for number in range(20):
            bus.post_many([("/a", b"lent"), ("/a", b"%d" % number)])
            cycle = Cycle()
            cycle.message, cycle.itself = reader.borrow(), cycle
            del cycle
            before = gc.get_threshold()
            gc.set_threshold(1, 1, 1)
            try:
                message = None
                while message is None:
                    try:
                        message = reader.recv(timeout=0)
                    except toroni.InUse:
                        continue
            finally:
                gc.set_threshold(*before)
            assert message.data == b"%d" % number


@pytest.mark.parametrize("size", [4096, 5000, 100_000])
def test_a_large_payload_is_aligned(bus_name: str, size: int) -> None:
    """Also behind a small header, when queued, and where the ring begins again."""
    with Bus(bus_name, capacity="1 MiB") as bus, bus.subscribe("/image") as reader:
        image = numpy.arange(size, dtype=numpy.uint8)
        with ThreadPoolExecutor(1) as executor, bus.async_writer(executor) as writer:
            for i in range(60):
                bus.post("/else", bytes(i))
                lead = bytes(i % 5)
                writer.post("/image", image)
                writer.flush()
                bus.post("/image", lead, image)
                for expected in (0, len(lead)):
                    with reader.borrow() as message:
                        shown = numpy.frombuffer(message.data, numpy.uint8, offset=expected)
                        assert shown.ctypes.data % 64 == 0
                        assert (shown == image).all()
                        del shown
