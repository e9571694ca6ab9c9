"""asyncio: awaiting, iterating, cancelling, many readers, other loops, and what it costs."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import uvloop

import toroni
from processes import PATIENCE
from toroni import Bus, Message, MessagesLost, Overwrite, Reader, Wait

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in a new loop; no test takes longer than it should."""

    async def bounded(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wait_for(coroutine, PATIENCE)

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
        try:
            return loop.run_until_complete(bounded(coroutine))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run


@pytest.fixture(params=["futex", "multicast", "poll"])
def notifier(request: pytest.FixtureRequest) -> Any:
    return request.param


def names_of_threads() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            names.append(Path(f"/proc/self/task/{task}/comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
    return names


def post_later(bus: Bus, seconds: float, *messages: tuple[str, bytes]) -> threading.Timer:
    timer = threading.Timer(seconds, bus.post_many, [messages])
    timer.start()
    return timer


def test_as_in_the_design(bus_name: str, run: Run, notifier: Any) -> None:
    async def main() -> list[bytes]:
        async with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/line1") as reader:
            post_later(bus, 0.05, ("/line1", b"1"), ("/other", b"2"), ("/line1", b"3"))
            first = await reader.recv_async()
            received = [first.data]
            async for message in reader:
                received.append(message.data)
                if message.data == b"3":
                    post_later(bus, 0.05, ("/line1", b"4"))
                if message.data == b"4":
                    break
            assert not reader.closed
        assert reader.closed
        return received

    assert run(main()) == [b"1", b"3", b"4"]


def test_cancellation_loses_nothing(bus_name: str, run: Run, notifier: Any) -> None:
    async def main() -> None:
        with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
            stop = threading.Event()
            count = 3000

            def write() -> None:
                for number in range(count):
                    bus.post("/a", b"%d" % number)
                    if number % 30 == 0:
                        stop.wait(0.003)

            writer = threading.Thread(target=write)
            writer.start()
            received: list[bytes] = []
            cancelled = 0
            while len(received) < count:
                try:
                    message = await asyncio.wait_for(reader.recv_async(), 0.0001 * (cancelled % 9))
                except asyncio.TimeoutError:
                    cancelled += 1
                else:
                    received.append(message.data)
            writer.join()
            assert received == [b"%d" % number for number in range(count)]
            assert cancelled > 10

    run(main())


def test_many_readers_in_one_loop(bus_name: str, run: Run, notifier: Any) -> None:
    async def main() -> None:
        with Bus(bus_name, notifier=notifier) as bus:
            before = names_of_threads()
            readers = [bus.subscribe(f"/r/{number % 10}", "/all") for number in range(30)]

            async def read(reader: Reader) -> list[bytes]:
                received: list[bytes] = []
                async for message in reader:
                    if message.topic == "/all":
                        return received
                    received.append(message.data)
                return received

            tasks = [asyncio.ensure_future(read(reader)) for reader in readers]
            await asyncio.sleep(0.05)
            assert names_of_threads().count("toroni-watcher") == (notifier == "futex")
            assert len(names_of_threads()) <= len(before) + 2  # and the keeper
            for lap in range(50):
                bus.post_many([(f"/r/{number}", b"%d" % lap) for number in range(10)])
                await asyncio.sleep(0.001)
            bus.post("/all", b"")
            for received in await asyncio.gather(*tasks):
                assert received == [b"%d" % lap for lap in range(50)]
        assert "toroni-watcher" not in names_of_threads()

    run(main())


def test_many_tasks_on_one_reader(bus_name: str, run: Run) -> None:
    async def main() -> None:
        with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
            tasks = [asyncio.ensure_future(reader.recv_async()) for _ in range(20)]
            await asyncio.sleep(0.02)
            for number in range(20):
                bus.post("/a", b"%d" % number)
                await asyncio.sleep(0)
            received = await asyncio.gather(*tasks)
            assert sorted(int(message.data) for message in received) == list(range(20))

    run(main())


def test_losses_come_out_of_the_await(bus_name: str, run: Run) -> None:
    async def main() -> None:
        with Bus(bus_name, capacity=4096, backpressure=Overwrite()) as bus, bus.subscribe("/a") as reader:
            waiting = asyncio.ensure_future(reader.recv_async())
            await asyncio.sleep(0.01)
            bus.post_many([("/a", bytes(100))] * 100)
            with pytest.raises(MessagesLost) as lost:
                await waiting
            assert lost.value.messages == 100
            bus.post("/a", b"next")
            assert (await reader.recv_async()).data == b"next"

    run(main())


def test_closing_ends_what_waits(bus_name: str, run: Run, notifier: Any) -> None:
    async def iterate(reader: Reader) -> str:
        async for _ in reader:
            pass
        return "ended"

    async def main() -> None:
        with Bus(bus_name, notifier=notifier) as bus:
            for close_in_thread in (False, True):
                reader = bus.subscribe("/a")
                iterating = asyncio.ensure_future(iterate(reader))
                waiting = asyncio.ensure_future(reader.recv_async())
                await asyncio.sleep(0.02)
                if close_in_thread:
                    await asyncio.to_thread(reader.close)
                else:
                    reader.close()
                assert await iterating == "ended"
                with pytest.raises(toroni.Closed):
                    await waiting
                assert await iterate(reader) == "ended"
            assert bus.readers() == []

    run(main())


def test_a_stream_that_never_runs_dry_lets_other_tasks_run(bus_name: str, run: Run) -> None:
    async def main() -> None:
        with Bus(bus_name, capacity="1 MiB", backpressure=Wait(None)) as bus:
            reader = bus.subscribe("/a")
            stop = threading.Event()

            def write() -> None:
                while not stop.is_set():
                    bus.post_many([("/a", bytes(50))] * 100)

            writer = threading.Thread(target=write)
            writer.start()
            seen = 0

            async def read() -> None:
                nonlocal seen
                async for _ in reader:
                    seen += 1

            task = asyncio.ensure_future(read())
            await asyncio.sleep(0.2)  # comes back at all
            assert seen > 1000
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            stop.set()
            reader.close()
            writer.join()

    run(main())


def test_one_reader_in_several_loops(bus_name: str) -> None:
    received: list[Message] = []
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:

        async def read() -> None:
            while (message := await reader.recv_async()).data != b"stop":
                received.append(message)

        threads = [threading.Thread(target=lambda: asyncio.run(read())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1000):
            bus.post("/a", b"%d" % number)
        bus.post_many([("/a", b"stop")] * len(threads))
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(int(message.data) for message in received) == list(range(1000))


def test_nothing_is_left_over(bus_name: str, run: Run, notifier: Any) -> None:
    async def main(close: bool) -> None:
        with Bus(bus_name, notifier=notifier) as bus:
            reader = bus.subscribe("/a")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.recv_async(), 0.01)
            if close:
                reader.close()

    run(main(True))  # what is made once
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for number in range(10):
        run(main(number % 2 == 0))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(os.listdir("/proc/self/task")) == threads
    with Bus(bus_name, notifier=notifier) as bus:
        assert bus.readers() == []


def test_a_loop_that_ends_with_a_task_waiting(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:

        async def leave() -> None:
            task = asyncio.ensure_future(reader.recv_async())
            await asyncio.sleep(0.01)
            assert not task.done()

        asyncio.run(leave())  # cancels the task
        bus.post("/a", b"still there")

        async def read() -> bytes:
            return (await reader.recv_async()).data

        assert asyncio.run(read()) == b"still there"


def test_trio_and_anyio_wait_for_the_descriptor(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:

        async def in_trio() -> bytes:
            while (message := reader.recv(timeout=0)) is None:
                await trio.lowlevel.wait_readable(reader)
            return message.data

        async def in_anyio() -> bytes:
            while (message := reader.recv(timeout=0)) is None:
                await anyio.wait_readable(reader)
            return message.data

        for _ in range(20):
            post_later(bus, 0.002, ("/a", b"x"))
            assert trio.run(in_trio) == b"x"
            post_later(bus, 0.002, ("/a", b"y"))
            assert anyio.run(in_anyio) == b"y"
