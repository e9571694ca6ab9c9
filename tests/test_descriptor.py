"""The descriptor of a reader is readable or armed, whoever does what with the reader: no wake-up is lost."""

from __future__ import annotations

import asyncio
import select
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

import toroni
from pipe_notifier import PipeNotifier
from processes import PATIENCE
from toroni import Bus, Overwrite, Reader


def is_readable(reader: Reader, seconds: float = PATIENCE) -> bool:
    return bool(select.select([reader], [], [], seconds)[0])


def subscribe_and_not(reader: Reader) -> None:
    reader.subscribe("/d")
    reader.unsubscribe("/d")


CHANGES: dict[str, Callable[[Reader], object]] = {
    "fileno": lambda reader: reader.fileno(),
    "select": lambda reader: select.select([reader], [], [], 0),
    "subscribe": lambda reader: reader.subscribe("/b"),
    "on": lambda reader: reader.on("/c", print),
    "unsubscribe": subscribe_and_not,
    "recv": lambda reader: reader.recv(timeout=0),
    "recv_many": lambda reader: reader.recv_many(timeout=0),
    "wait": lambda reader: reader.wait(0),
    "borrow": lambda reader: reader.borrow(timeout=0),
    "properties": lambda reader: (reader.lag, reader.position, reader.topics, reader.lost),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_done_after_a_read_that_found_nothing(bus_name: str, notifier: Any, change: str) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
        reader.fileno()
        for number in range(20):
            assert reader.recv(timeout=0) is None
            CHANGES[change](reader)
            bus.post("/a", b"%d" % number)
            assert is_readable(reader)
            message = reader.recv(timeout=0)
            assert message is not None
            assert message.data == b"%d" % number


def test_two_messages_and_one_read_that_comes_before_the_wake_up(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
        reader.fileno()
        for _ in range(200):
            assert reader.recv(timeout=0) is None
            bus.post("/a", b"1")
            bus.post("/a", b"2")
            assert reader.recv(timeout=0) is not None
            assert is_readable(reader)
            assert reader.recv(timeout=0) is not None


def test_none_because_of_losses_is_no_promise(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, capacity=4096, notifier=notifier, backpressure=Overwrite()) as bus:
        for on_loss in ("skip", lambda _: None):
            with bus.subscribe("/a", on_loss=on_loss) as reader:
                reader.fileno()
                for number in range(50):
                    while reader.recv(timeout=0) is not None:
                        pass
                    bus.post_many([("/a", bytes(300))] * 40)
                    reader.recv(timeout=0)
                    bus.post("/a", b"%d" % number)
                    while (message := reader.recv(timeout=0)) is None:
                        assert is_readable(reader)
                    assert message.data == b"%d" % number


def test_selectors_register_again_and_again(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
        for number in range(30):
            with selectors.DefaultSelector() as selector:
                selector.register(reader, selectors.EVENT_READ)
                while reader.recv(timeout=0) is not None:
                    pass
                bus.post("/a", b"%d" % number)
                assert selector.select(PATIENCE)


@pytest.mark.parametrize("change", ["fileno", "subscribe", "on", "unsubscribe", "recv", "borrow"])
def test_tasks_wait_on_whatever_is_done(bus_name: str, notifier: Any, change: str) -> None:
    async def main() -> None:
        with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
            for number in range(5):
                task = asyncio.ensure_future(reader.recv_async())
                await asyncio.sleep(0.005)
                CHANGES[change](reader)
                await asyncio.sleep(0.005)
                bus.post("/a", b"%d" % number)
                before = time.monotonic()
                assert (await asyncio.wait_for(task, PATIENCE)).data == b"%d" % number
                assert time.monotonic() - before < 0.7  # not by the look once a second

    asyncio.run(main())


def test_loops_one_after_the_other(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:

        async def one(number: int) -> None:
            task = asyncio.ensure_future(reader.recv_async())
            await asyncio.sleep(0.002)
            bus.post("/a", b"%d" % number)
            assert (await asyncio.wait_for(task, PATIENCE)).data == b"%d" % number

        for number in range(10):
            asyncio.run(one(number))


def test_trio_asks_for_the_descriptor_each_time(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:

        async def read() -> int:
            received = 0
            while received < 300:
                if reader.recv(timeout=0) is None:
                    await trio.lowlevel.wait_readable(reader.fileno())
                else:
                    received += 1
            return received

        def write() -> None:
            for _ in range(300):
                bus.post("/a")
                time.sleep(0.0003)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            assert trio.run(read) == 300
            writing.result()


def test_a_thread_and_a_task_share_a_reader(bus_name: str, notifier: Any) -> None:
    count = 400
    received: list[bytes] = []
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:

        def in_thread() -> None:
            while (message := reader.recv(timeout=PATIENCE)) is not None and message.data != b"stop":
                received.append(message.data)

        async def in_task() -> float:
            longest = 0.0

            async def tick() -> None:
                nonlocal longest
                while True:
                    before = time.monotonic()
                    await asyncio.sleep(0.005)
                    longest = max(longest, time.monotonic() - before)

            ticking = asyncio.ensure_future(tick())
            while (message := await reader.recv_async()).data != b"stop":
                received.append(message.data)
            ticking.cancel()
            return longest

        def write() -> None:
            for number in range(count):
                bus.post("/a", b"%d" % number)
                time.sleep(0.0005)
            time.sleep(0.3)  # everybody waits
            bus.post("/a", b"stop")
            time.sleep(0.05)
            bus.post("/a", b"stop")

        threads = [threading.Thread(target=in_thread), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        assert asyncio.run(asyncio.wait_for(in_task(), PATIENCE)) < 0.25  # the loop was never blocked
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(received, key=int) == [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("change", ["subscribe", "on", "unsubscribe", "fileno"])
def test_changes_while_another_thread_waits(bus_name: str, notifier: Any, change: str) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader, ThreadPoolExecutor(2) as pool:
        for number in range(20):
            waiting = pool.submit(reader.recv, PATIENCE)
            other = pool.submit(reader.recv, 0.02) if number % 2 else None
            time.sleep(0.002)
            before = time.monotonic()
            CHANGES[change](reader)
            assert time.monotonic() - before < 1
            if other is not None:
                assert other.result() is None
            bus.post("/a", b"%d" % number)
            message = waiting.result()
            assert message is not None
            assert message.data == b"%d" % number


def test_a_thread_that_waits_can_be_given_its_topic(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe() as reader, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.recv, PATIENCE)
        while not bus.readers()[0].waiting:
            pass
        reader.subscribe("/wake up")
        bus.post("/wake up", b"!")
        message = waiting.result()
        assert message is not None
        assert message.data == b"!"
        reader.close()
        with pytest.raises(toroni.Closed):
            reader.subscribe("/closed")


def test_closing_in_a_thread_always_ends_the_tasks(bus_name: str, notifier: Any) -> None:
    async def iterate(reader: Reader) -> str:
        async for _ in reader:
            pass
        return "ended"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Bus(bus_name, notifier=notifier) as bus:
            for number in range(100):
                reader = bus.subscribe("/a")
                task = asyncio.ensure_future(iterate(reader))
                closing = loop.run_in_executor(None, reader.close)
                if number % 2:
                    await asyncio.sleep(0)
                assert await asyncio.wait_for(task, PATIENCE) == "ended"
                await closing

    asyncio.run(main())


def test_visitors_do_not_let_others_in(bus_name: str, notifier: Any) -> None:
    """Two threads wait, one inside; a third changes topics: the first two get one message each, once, in order."""
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader, ThreadPoolExecutor(2) as pool:

        def borrow() -> bytes | None:
            while True:
                try:
                    with reader.borrow() as message:
                        return bytes(message.data)
                except toroni.InUse:
                    time.sleep(0.001)

        for number in range(10):
            other: Callable[[], Any] = borrow if number % 2 else reader.recv
            waiting: list[Future[Any]] = [pool.submit(reader.recv, PATIENCE), pool.submit(other)]
            time.sleep(0.01)
            reader.subscribe("/b")
            reader.unsubscribe("/b")
            bus.post_many([("/a", b"1"), ("/a", b"2")])
            before = time.monotonic()
            results = [future.result() for future in waiting]
            assert time.monotonic() - before < 0.9
            data = [getattr(result, "data", result) for result in results]
            assert sorted(data) == [b"1", b"2"]
            assert reader.recv(timeout=0) is None


def test_a_task_is_woken_while_topics_change_under_a_thread_that_waits(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader, ThreadPoolExecutor(2) as pool:
        reader.fileno()
        received: list[bytes] = []
        stop = threading.Event()

        def wait_inside() -> None:
            while not stop.is_set():
                message = reader.recv(timeout=0.05)
                if message is not None:
                    received.append(message.data)

        def wait_outside() -> None:
            while not stop.is_set():
                if is_readable(reader, 0.5):
                    message = reader.recv(timeout=0)
                    if message is not None:
                        received.append(message.data)

        both = [pool.submit(wait_inside), pool.submit(wait_outside)]
        for number in range(300):
            reader.subscribe("/b") if number % 2 else reader.unsubscribe("/b") if number else None
            bus.post("/a", b"%d" % number)
            before = time.monotonic()
            while len(received) <= number:
                assert time.monotonic() - before < 0.9, "a wake-up was lost"
                time.sleep(0.0005)
        stop.set()
        for future in both:
            future.result()
        assert sorted(received, key=int) == [b"%d" % number for number in range(300)]


def test_topics_change_from_many_threads(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader, ThreadPoolExecutor(4) as pool:

        def change(which: int) -> None:
            for number in range(300):
                reader.subscribe(f"/t/{number % 7}", descendants=which % 2 == 0)
                reader.on(f"/h/{which}", print)
                assert reader.topics
                reader.off(f"/h/{which}", print)
                try:
                    reader.unsubscribe(f"/t/{(number + which) % 7}")
                except toroni.InvalidArgument:
                    continue

        for future in [pool.submit(change, which) for which in range(4)]:
            future.result()
        for topic in {topic for topic, _ in reader.topics}:
            reader.unsubscribe(topic)
        bus.post("", b"", descendants=True)
        assert reader.recv(timeout=0) is None


def test_two_threads_ask_for_the_descriptor_first(bus_name: str, tmp_path: Path) -> None:
    class Slow(PipeNotifier):
        def fileno(self) -> int:
            time.sleep(0.02)
            return super().fileno()

    with (
        closing(Slow(str(tmp_path))) as notifier,
        Bus(bus_name, notifier=notifier) as bus,
        bus.subscribe("/a") as reader,
        ThreadPoolExecutor(3) as pool,
    ):
        descriptors = {future.result() for future in [pool.submit(reader.fileno) for _ in range(3)]}
        assert len(descriptors) == 1
        bus.post("/a")
        assert is_readable(reader)


@pytest.mark.parametrize("notifier", ["futex", "multicast", "own"], indirect=True)  # who polls, spins
def test_a_loop_does_not_spin_while_another_thread_is_inside(bus_name: str, notifier: Any) -> None:
    inside = threading.Event()

    def hold(_: toroni.MessagesLost) -> None:
        inside.set()
        time.sleep(0.5)

    async def main(reader: Reader, bus: Bus) -> float:
        task = asyncio.ensure_future(reader.recv_async())
        await asyncio.sleep(0.1)
        cpu = time.process_time()
        for _ in range(20):
            bus.post("/a", b"x", backpressure=Overwrite())
            await asyncio.sleep(0.01)
        cpu = time.process_time() - cpu
        await task
        return cpu

    with Bus(bus_name, capacity=4096, notifier=notifier) as bus, bus.subscribe("/a", on_loss=hold) as reader:
        bus.post_many([("/a", bytes(500))] * 20, backpressure=Overwrite())
        thread = threading.Thread(target=reader.recv, args=(1,))
        thread.start()
        inside.wait()
        assert asyncio.run(main(reader, bus)) < 0.1
        thread.join()
