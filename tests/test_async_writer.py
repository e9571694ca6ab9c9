"""AsyncWriter: posting without waiting, in order, with nothing swallowed."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import toroni
from messages import is_whole, make_message, seed_of
from pipe_notifier import PipeNotifier
from toroni import Bus, Drop, Fail, Wait


@contextmanager
def unraisable() -> Iterator[list[object]]:
    """What goes to sys.unraisablehook."""
    errors: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda arguments: errors.append(arguments.exc_value)
    try:
        yield errors
    finally:
        sys.unraisablehook = before


class Jobs(list[Callable[[], None]]):
    """An executor that runs nothing until it is told to."""

    def __call__(self, job: Callable[[], None]) -> None:
        self.append(job)

    def run(self) -> None:
        while self:
            self.pop(0)()


def test_nothing_is_written_and_nothing_runs_until_a_job_does(bus_name: str) -> None:
    jobs = Jobs()
    with Bus(bus_name) as bus, bus.subscribe("/a", descendants=True) as reader, bus.async_writer(jobs) as writer:
        assert jobs == []
        for number in range(3000):
            writer.post("/a/b", b"%d" % number)
        assert (len(jobs), writer.pending, reader.recv(timeout=0)) == (1, 3000, None)
        jobs.pop(0)()
        assert (len(jobs), writer.pending) == (1, 3000 - 1024)  # in portions, so that others get their turn
        jobs.run()
        assert (len(jobs), writer.pending) == (0, 0)
        received = []
        while messages := reader.recv_many(timeout=0):
            received += messages
        assert [message.data for message in received] == [b"%d" % number for number in range(3000)]
        assert writer.flush() is True


def test_buffers_may_be_changed_after_the_call(bus_name: str) -> None:
    jobs = Jobs()
    with Bus(bus_name) as bus, bus.subscribe("/a/b") as reader, bus.async_writer(jobs) as writer:
        buffer = bytearray(b"then")
        writer.post("/a", buffer, b"!", descendants=True)
        buffer[:] = b"now?"
        jobs.run()
        assert next(reader).data == b"then!"


def test_in_a_pool_from_many_threads(bus_name: str) -> None:
    count = 3000
    running = threading.Lock()

    with (
        Bus(bus_name, capacity="64 KiB", backpressure=Wait(None)) as bus,
        bus.subscribe("/w", descendants=True) as reader,
        ThreadPoolExecutor(4) as pool,
    ):

        def one_at_a_time(job: Callable[[], None]) -> None:
            def checked() -> None:
                # A job hands over to the next one in its last lines: wait for those, but never for another's work.
                assert running.acquire(timeout=1)
                try:
                    job()
                finally:
                    running.release()

            pool.submit(checked)

        writer = bus.async_writer(one_at_a_time)

        def post(first: int) -> None:
            for number in range(count):
                writer.post(f"/w/{first}", make_message(number, 8 + number * 13 % 500))

        threads = [threading.Thread(target=post, args=(first,)) for first in range(3)]
        for thread in threads:
            thread.start()
        numbers: dict[str, list[int]] = {}
        while sum(map(len, numbers.values())) < 3 * count:
            for message in reader.recv_many():
                assert is_whole(message.data)
                numbers.setdefault(message.topic, []).append(seed_of(message.data))
        assert all(sequence == list(range(count)) for sequence in numbers.values())
        for thread in threads:
            thread.join()
        writer.close()
        assert writer.pending == 0


def test_in_asyncio(bus_name: str) -> None:
    async def main() -> None:
        async with Bus(bus_name, capacity=4096, backpressure=Wait(None)) as bus, bus.subscribe("/a") as reader:
            async with bus.async_writer() as writer:
                for number in range(500):
                    writer.post("/a", b"%d" % number)  # more than the ring holds
                received = [(await reader.recv_async()).data for _ in range(500)]
                await writer.flush_async()
                assert received == [b"%d" % number for number in range(500)]
                writer.post("/a", b"last")
            assert (await reader.recv_async()).data == b"last"
            with pytest.raises(toroni.Closed):
                writer.post("/a")

    asyncio.run(main())


def test_in_the_loop_itself(bus_name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
            writer = bus.async_writer(loop.call_soon_threadsafe)
            writer.post("/a", b"x")
            assert reader.recv(timeout=0) is None
            assert (await reader.recv_async()).data == b"x"
            await writer.close_async()

    asyncio.run(main())


def test_a_failed_job_is_told_once_and_loses_nothing(bus_name: str) -> None:
    jobs = Jobs()
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(jobs, backpressure=Fail())
        for number in range(10):
            writer.post("/a", bytes([number]) * 1000)
        jobs.run()
        assert writer.pending == 6
        with pytest.raises(toroni.NoRoom) as no_room:
            writer.post("/a", b"not queued")
        assert no_room.value.written == 4
        assert (writer.pending, len(jobs)) == (6, 0)
        received = [message.data[0] for message in reader.recv_many()]
        writer.post("/a", bytes([10]) * 1000)  # goes on
        jobs.run()
        received += [message.data[0] for message in reader.recv_many()]
        with pytest.raises(toroni.NoRoom):
            writer.flush()
        with pytest.raises(toroni.InvalidArgument):
            bus.async_writer(jobs, limit=0)
        assert writer.flush(timeout=0) is False  # starts a job, which is not run
        jobs.run()
        received += [message.data[0] for message in reader.recv_many()]
        assert received == list(range(11))
        writer.close()
        writer.close()


def test_dropping_is_counted(bus_name: str) -> None:
    jobs = Jobs()
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(jobs, backpressure=Drop())
        for number in range(10):
            writer.post("/a", bytes([number]) * 1000)
        jobs.run()
        assert (writer.pending, writer.dropped) == (0, 6)
        assert [message.data[0] for message in reader.recv_many()] == [0, 1, 2, 3]


def test_what_cannot_be(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus:
        with pytest.raises(toroni.InvalidArgument, match="outside of asyncio"):
            bus.async_writer()
        with pytest.raises(TypeError, match="an executor is"):
            bus.async_writer(5)  # type: ignore[arg-type]
        writer = bus.async_writer(lambda job: job(), limit=2)
        with pytest.raises(TypeError):
            writer.post("/a", "text")  # type: ignore[arg-type]
        with pytest.raises(toroni.MessageTooLarge):
            writer.post("/a", bytes(5000))
        writer.post("/a", b"written at once")
        assert writer.pending == 0
        jobs = Jobs()
        limited = bus.async_writer(jobs, limit=2)
        limited.post("/a")
        limited.post("/a")
        with pytest.raises(toroni.QueueFull, match="2 messages are queued"):
            limited.post("/a")
        jobs.run()
        with pytest.raises(TypeError, match="Wait"):
            bus.async_writer(jobs, backpressure=5)  # type: ignore[arg-type]
        with Bus(bus_name, role="reader") as reading, pytest.raises(toroni.InvalidArgument, match="role='reader'"):
            reading.async_writer(jobs)


def test_an_executor_that_is_shut_down(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        pool = ThreadPoolExecutor(1)
        writer = bus.async_writer(pool)
        writer.post("/a", b"1")
        pool.shutdown()
        with pytest.raises(RuntimeError, match="shutdown"):
            writer.post("/a", b"2")
        assert writer.pending == 0
        assert [message.data for message in reader.recv_many()] == [b"1"]


def test_a_bus_closed_under_it(bus_name: str) -> None:
    jobs = Jobs()
    bus = Bus(bus_name)
    writer = bus.async_writer(jobs)
    writer.post("/a", b"too late")
    bus.close()
    jobs.run()
    with pytest.raises(toroni.Closed):
        writer.close()
    assert writer.pending == 1
    writer.close()
    with pytest.raises(toroni.Closed):
        writer.flush()
    with pytest.warns(ResourceWarning, match="not written"):
        del writer
        gc.collect()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_job_that_is_interrupted(bus_name: str, error: type[BaseException]) -> None:
    jobs = Jobs()
    asked = []

    def interrupt(slow: toroni.SlowReaders) -> Any:
        asked.append(slow)
        raise error

    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(jobs, backpressure=interrupt)
        for number in range(10):
            writer.post("/a", bytes([number]) * 1000)
        with pytest.raises(error):
            jobs.run()
        assert (writer.pending, len(asked), len(jobs)) == (6, 1, 0)
        with pytest.raises(error):
            writer.flush()
        received = []
        while writer.pending:
            received += [message.data[0] for message in reader.recv_many(timeout=0)]
            try:
                writer.flush(timeout=0)
                jobs.run()
            except error:
                continue
        received += [message.data[0] for message in reader.recv_many(timeout=0)]
        assert received == list(range(10))


def test_one_message_is_dropped_and_not_those_behind_it(bus_name: str) -> None:
    jobs = Jobs()
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        bus.post("/a", bytes(3000))
        writer = bus.async_writer(jobs, backpressure=Drop())
        for size in (2000, 5, 2000, 7):
            writer.post("/a", bytes(size))
        jobs.run()
        assert writer.dropped == 2
        assert [len(message.data) for message in reader.recv_many()] == [3000, 5, 7]


def test_a_full_queue_after_an_error_goes_on_when_there_is_room(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(lambda job: job(), limit=1, backpressure=Fail())
        bus.post("/a", bytes(3000))
        writer.post("/a", bytes(3000))
        with pytest.raises(toroni.NoRoom):
            writer.post("/a", b"x")
        reader.recv_many()
        with pytest.raises(toroni.QueueFull):
            writer.post("/a", b"x")  # which starts a job
        assert [len(message.data) for message in reader.recv_many()] == [3000]
        writer.post("/a", b"x")
        assert [len(message.data) for message in reader.recv_many()] == [1]


def test_executors_that_never_run_a_job(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        # Cancelled in the queue of a pool.
        with ThreadPoolExecutor(1) as pool:
            busy = threading.Event()
            pool.submit(busy.wait)
            writer = bus.async_writer(pool)
            writer.post("/a", b"1")
            pool.shutdown(wait=False, cancel_futures=True)
            busy.set()
            with pytest.raises(toroni.Closed, match="shut down"):
                writer.flush()
            assert writer.pending == 1
            writer._submit = lambda job: job()
            assert writer.flush()
            assert next(reader).data == b"1"

        # A loop that ends with more queued than one job writes.
        async def leave() -> toroni.AsyncWriter:
            writer = bus.async_writer()
            for _ in range(5000):
                writer.post("/a", b"x")
            return writer

        writer = asyncio.run(leave())
        with pytest.raises((toroni.Closed, RuntimeError)):
            writer.flush()
        writer._submit, writer._loop = (lambda job: job()), None
        assert writer.flush()
        received = 0
        while messages := reader.recv_many(timeout=0):
            received += len(messages)
        assert received == 5000


def test_waiting_for_oneself_is_refused(bus_name: str) -> None:
    async def main() -> None:
        async with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
            for executor in (None, asyncio.get_running_loop().call_soon_threadsafe):
                writer = bus.async_writer(executor)
                writer.post("/a", b"x")
                with pytest.raises(toroni.InUse, match="flush_async"):
                    writer.flush()
                with pytest.raises(toroni.InUse, match="flush_async"):
                    writer.close()
                await writer.flush_async()
                writer.close()
                assert (await reader.recv_async()).data == b"x"

    asyncio.run(main())


def test_an_async_bus_writes_what_is_queued_before_it_closes(bus_name: str) -> None:
    async def main() -> None:
        async with Bus(bus_name) as bus:
            writer = bus.async_writer()
            for number in range(3000):
                writer.post("/a", b"%d" % number)
        assert writer.pending == 0

    asyncio.run(main())
    with Bus(bus_name) as bus, bus.subscribe("/a", start="oldest") as reader:
        assert bus.stats().messages == 3000
        assert next(reader).data == b"0"


def test_forgetting_what_is_queued_is_warned_of(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        writer = bus.async_writer(lambda job: None)
        writer.post("/a")
        with pytest.warns(ResourceWarning, match="1 messages that were not written"):
            del writer
            gc.collect()


def test_a_notifier_that_raises_duplicates_nothing(bus_name: str, tmp_path: Path) -> None:
    class Broken(PipeNotifier):
        def notify(self) -> None:
            raise RuntimeError("broken")

    with (
        closing(Broken(str(tmp_path))) as notifier,
        Bus(bus_name, notifier=notifier) as bus,
        bus.subscribe("/a") as reader,
        bus.async_writer(lambda job: job()) as writer,
    ):
        reader.fileno()
        for number in range(3):
            assert reader.recv(timeout=0) is None  # says that it waits
            with unraisable() as errors:
                writer.post("/a", b"%d" % number)
            assert [str(error) for error in errors] == ["broken"]
            message = reader.recv(timeout=0)
            assert message is not None
            assert message.data == b"%d" % number


def test_a_refused_message_is_not_written_and_others_are(bus_name: str) -> None:
    """Submitting fails at random, in many threads, with equal messages among them."""
    chooser = random.Random(1)
    pool = ThreadPoolExecutor(2)

    def submit(job: Callable[[], None]) -> None:
        if chooser.random() < 0.3:
            raise RuntimeError("no job today")
        pool.submit(job)

    accepted: list[bytes] = []
    with Bus(bus_name, capacity="1 MiB") as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(submit)

        def post(first: int) -> None:
            for number in range(300):
                data = b"%d" % (first * 1000 + number if number % 3 else 0)
                try:
                    writer.post("/a", data)
                except RuntimeError:
                    continue
                accepted.append(data)

        threads = [threading.Thread(target=post, args=(first,)) for first in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while writer.pending or not writer.flush(0):
            with suppress(RuntimeError):
                writer.flush()
        received = []
        while messages := reader.recv_many(timeout=0):
            received += [message.data for message in messages]
        assert sorted(received) == sorted(accepted)
        writer._submit = lambda job: job()
        writer.close()
    pool.shutdown()


def test_an_error_that_came_out_of_post_is_told(bus_name: str) -> None:
    def interrupt(_: toroni.SlowReaders) -> Any:
        raise KeyboardInterrupt

    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        writer = bus.async_writer(lambda job: job(), backpressure=interrupt)
        for _ in range(4):
            writer.post("/a", bytes(900))
        with pytest.raises(KeyboardInterrupt):
            writer.post("/a", bytes(900))
        reader.recv_many()
        writer.post("/a", b"next")
        assert [message.data for message in reader.recv_many()][-1] == b"next"


def test_a_loop_that_is_closed_is_told_by_the_next_post(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        loop = asyncio.new_event_loop()
        writer = bus.async_writer(loop)
        writer.post("/a", b"1")
        loop.close()
        with pytest.raises(toroni.Closed, match="loop that should write"):
            writer.post("/a", b"2")
        assert writer.pending == 1
        writer._submit, writer._loop = (lambda job: job()), None
        writer.close()
