"""Reading in columns gives what reading messages gives."""

from __future__ import annotations

import asyncio
import pickle
import random
import threading
import tracemalloc
from collections.abc import Sequence

import numpy
import pytest

import toroni
from toroni import Bus, Message, Overwrite, Wait, rmp

SIZES = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 1000, 4095, 4096, 5000, 70_000]


def payloads(sizes: Sequence[int], seed: int = 1) -> list[bytes]:
    chooser = random.Random(seed)
    return [chooser.randbytes(size) for size in sizes]


def test_raw_messages_of_all_sizes(bus_name: str) -> None:
    messages = payloads([*SIZES, *range(1, 140)])
    with rmp.Stream(bus_name) as stream, stream.reader() as reader, stream.reader() as other:
        stream.write_many(messages)
        columns = reader.read_columns()
        while len(columns) < len(messages):  # a run ends behind 128 KiB
            assert list(columns) == messages[: len(columns)]
            messages = messages[len(columns) :]
            columns = reader.read_columns()
        assert list(columns) == messages
        expected = other.read_many(len(messages) + 1000, with_positions=True)[-len(messages) :]
        assert columns.positions.tolist()[-3:] == [position for position, _ in expected][-3:]
        assert reader.last_position == columns.positions[-1]


def test_what_the_columns_are(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        stream.write_many([b"one", b"two", b"four"])
        columns = reader.read_columns()
        assert columns.data == b"onetwofour"
        assert columns.offsets.tolist() == [0, 3, 6, 10]
        assert columns.positions.tolist() == [0, 8, 16]
        assert (columns.offsets.format, columns.positions.format) == ("q", "Q")
        assert columns.message_size is None
        assert [len(columns), columns[0], columns[-1], columns[1:]] == [3, b"one", b"four", [b"two", b"four"]]
        assert (b"two" in columns, columns.index(b"four")) == (True, 2)
        assert repr(columns) == "<toroni.rmp.Columns of 3 messages, 10 bytes>"
        with pytest.raises(IndexError):
            columns[3]
        with pytest.raises(TypeError):
            columns.data[0] = 1  # type: ignore[index]
        with pytest.raises(TypeError):
            columns.offsets[0] = 1
        for name in ("data", "offsets", "positions", "message_size"):
            with pytest.raises(AttributeError):
                setattr(columns, name, None)
        assert list(pickle.loads(pickle.dumps(columns))) == [b"one", b"two", b"four"]


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([b"ab", b"cd"], 2),
        ([b"ab"], 2),
        ([b"ab", b"c"], None),
        ([b"", b"x"], None),
        ([b"x", b""], None),
        ([b"", b""], 0),
    ],
)
def test_the_size_that_all_have(bus_name: str, messages: list[bytes], size: int | None) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        bus.post_many(messages, topic="/a")
        columns = reader.recv_columns()
        assert [message.data for message in columns] == messages
        assert columns.message_size == size


def test_topics_stand_once(bus_name: str) -> None:
    with (
        Bus(bus_name) as bus,
        bus.subscribe("/a", descendants=True) as reader,
        bus.subscribe("/a", descendants=True) as other,
    ):
        posted = [("/a/b", b"1"), ("/a", b"22"), ("/elsewhere", b"no"), ("/a/b", b""), ("/a/\u00e9", b"4444")]
        bus.post_many(posted)
        columns = reader.recv_columns()
        assert columns.topics == ("/a/b", "/a", "/a/\u00e9")
        assert columns.topic_indices.tolist() == [0, 1, 0, 2]
        assert columns.topic_indices.format == "i"
        assert [(message.topic, message.data) for message in columns] == [one for one in posted if one[1] != b"no"]
        assert list(columns) == other.recv_many()
        assert repr(columns) == "<toroni.Columns of 4 messages, 7 bytes>"
        assert list(pickle.loads(pickle.dumps(columns))) == list(columns)
        bus.post("/a", b"again")  # the next columns count their own topics
        again = reader.recv_columns()
        assert (again.topics, again.topic_indices.tolist()) == (("/a",), [0])


def test_more_topics_than_a_reader_remembers(bus_name: str) -> None:
    posted = [(f"/{number}", b"%d" % number) for number in range(20_000)]
    with Bus(bus_name, backpressure=Wait(0)) as bus, bus.subscribe("", descendants=True) as reader:
        bus.post_many(posted)
        seen: list[tuple[str, bytes]] = []
        while columns := reader.recv_columns(timeout=0):
            seen += [(one.topic, one.data) for one in columns]
        assert seen == posted


def test_what_was_fetched_ahead_comes_first(bus_name: str) -> None:
    posted = [(f"/{number % 3}", b"x" * (number % 5)) for number in range(200)]
    with Bus(bus_name) as bus, bus.subscribe("", descendants=True) as reader:
        bus.post_many(posted)
        seen = [reader.recv()]
        ahead = reader.recv_columns(10)
        assert (len(ahead), len(ahead.topics), ahead.message_size) == (10, 3, None)
        assert reader.last_position == ahead.positions[-1]
        seen += ahead
        while more := reader.recv_columns(timeout=0):
            seen += more
        assert [(one.topic, one.data) for one in seen if one is not None] == posted


def test_what_was_taken_is_not_kept(bus_name: str) -> None:
    size = 20 << 20
    with Bus(bus_name, capacity="64 MiB") as bus, bus.subscribe("/a") as reader:
        bus.post_many([b"x", bytes(size)], topic="/a")
        tracemalloc.start()
        assert reader.recv() is not None
        assert tracemalloc.get_traced_memory()[0] > size  # fetched ahead
        assert [len(one.data) for one in reader.recv_columns()] == [size]
        assert tracemalloc.get_traced_memory()[0] < size
        tracemalloc.stop()


def test_none_at_all_and_wrong_arguments(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader, rmp.Stream(bus_name) as stream, stream.reader() as raw:
        for columns in (reader.recv_columns(timeout=0), raw.read_columns(timeout=0.01)):
            assert not columns
            assert (len(columns), columns.data, columns.offsets.tolist(), columns.message_size) == (0, b"", [0], 0)
        assert reader.recv_columns(timeout=0).topics == ()
        for read in (reader.recv_columns, raw.read_columns):
            with pytest.raises(toroni.InvalidArgument, match="max must be at least 1"):
                read(0)
            with pytest.raises(toroni.InvalidArgument, match="a timeout is"):
                read(timeout=-1)
            with pytest.raises(TypeError):
                read(-1)
        raw.close()
        with pytest.raises(toroni.Closed):
            raw.read_columns()
        bus.post("/a", b"1")
        with reader.borrow() or pytest.fail("nothing to borrow"), pytest.raises(toroni.InUse):
            reader.recv_columns()


def test_a_maximum(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        stream.write_many([b"1", b"22", b"333", b"4444"])
        assert [list(reader.read_columns(3)), list(reader.read_columns(3))] == [[b"1", b"22", b"333"], [b"4444"]]


def test_the_loss_is_told_and_then_it_goes_on(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream, stream.reader() as reader:
        stream.write_many([bytes(100)] * 100)
        with pytest.raises(toroni.MessagesLost) as lost:
            reader.read_columns()
        assert lost.value.messages == 100
        stream.write(b"later")
        assert list(reader.read_columns()) == [b"later"]


def test_awaited(bus_name: str) -> None:
    async def main() -> None:
        async with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
            asyncio.get_running_loop().call_later(0.05, bus.post, "/a", b"late")
            assert [message.data for message in await reader.recv_columns_async()] == [b"late"]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.recv_columns_async(), 0.01)
            bus.post("/a", b"kept")
            assert [message.data for message in await reader.recv_columns_async(max=1)] == [b"kept"]

    asyncio.run(main())


def test_a_close_ends_the_wait(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        ended: list[BaseException] = []

        def read() -> None:
            try:
                reader.read_columns()
            except toroni.Closed as closed:
                ended.append(closed)

        thread = threading.Thread(target=read)
        thread.start()
        reader.close()
        thread.join(10)
        assert not thread.is_alive()
        assert len(ended) == 1


def test_numpy_looks_at_them_without_a_copy(bus_name: str) -> None:
    sample = numpy.dtype([("time", "<u8"), ("value", "<f4")])
    sent = numpy.zeros(1000, sample)
    sent["time"], sent["value"] = numpy.arange(1000), numpy.arange(1000) / 2
    with Bus(bus_name) as bus, bus.subscribe("/samples") as reader:
        bus.post_many(list(sent), topic="/samples")
        columns = reader.recv_columns()
        assert columns.message_size == sample.itemsize
        assert numpy.array_equal(numpy.frombuffer(columns.data, sample), sent)
        assert numpy.asarray(columns.positions).dtype == numpy.uint64
        assert numpy.diff(numpy.asarray(columns.offsets)).tolist() == [12] * 1000


def test_columns_and_messages_take_turns(bus_name: str) -> None:
    """Whatever way each is taken, all come once and in order, while writers lap the ring."""
    chooser = random.Random(5)
    with (
        Bus(bus_name, capacity="64 KiB", backpressure=Wait(None)) as bus,
        bus.subscribe("", descendants=True) as reader,
    ):
        posted = [(f"/{chooser.randrange(4)}", chooser.randbytes(chooser.choice(SIZES[:-1]))) for _ in range(5000)]

        def post() -> None:
            left = posted
            while left:
                count = random.randrange(1, 40)
                bus.post_many(left[:count])
                left = left[count:]

        writer = threading.Thread(target=post)
        writer.start()
        seen: list[Message] = []
        while len(seen) < len(posted):
            way = chooser.randrange(3)
            if way == 0:
                seen += reader.recv_columns(chooser.choice([1, 10, 65536]))
            elif way == 1:
                seen += reader.recv_many(chooser.choice([1, 10, 500]))
            elif (one := reader.recv()) is not None:
                seen.append(one)
        writer.join()
        assert [(message.topic, message.data) for message in seen] == posted
        assert [one.position for one in seen] == sorted({one.position for one in seen})
