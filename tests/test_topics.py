"""Topics: who gets what, from when on, and what a message looks like."""

from __future__ import annotations

import array
import pickle
import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

import toroni
from toroni import Bus, Drop, Message, rmp, tp


def topics_of(messages: list[Message]) -> list[str]:
    return [message.topic for message in messages]


def test_the_face_of_the_library(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/line1", descendants=True) as reader:
        assert bus.post("/line1/temp", b"21.5") == 0
        second = bus.post("/config", b"...", descendants=True)
        assert bus.post_many([("/line1", b"1"), ("/b", b"2"), ("/line1/x/y", b"a", b"b")]) == 3
        received = [next(reader), *reader.recv_many()]
        assert topics_of(received) == ["/line1/temp", "/line1", "/line1/x/y"]
        assert [message.data for message in received] == [b"21.5", b"1", b"ab"]
        assert received[0].position == 0
        assert second is not None
        assert all(a.position < b.position for a, b in pairwise(received))
        assert reader.recv(timeout=0) is None
        assert reader.recv_many(timeout=0) == []
        assert (reader.lag, reader.lost, reader.position) == (0, 0, bus.position)


@pytest.mark.parametrize(
    ("subscribed", "below", "posted", "to_below", "met"),
    [
        ("/a", False, "/a", False, True),
        ("/a", False, "/a/b", False, False),
        ("/a", True, "/a/b", False, True),
        ("/a", True, "/a/b/c", False, True),
        ("/a", True, "/ab", False, False),
        ("/a/b", False, "/a", False, False),
        ("/a/b", False, "/a", True, True),
        ("/a/b", True, "/a", True, True),
        ("/ab", False, "/a", True, False),
        ("", True, "anything", False, True),
        ("/", True, "anything", False, True),
        ("", False, "anything", False, False),
        ("anything", False, "", True, True),
        ("anything", False, "/", True, True),
        ("", False, "", False, True),
        ("a/", False, "a", True, True),
        ("ü/ß", False, "ü", True, True),
    ],
)
def test_matching(bus_name: str, subscribed: str, below: bool, posted: str, to_below: bool, met: bool) -> None:
    with Bus(bus_name) as bus, bus.subscribe(subscribed, descendants=below) as reader:
        bus.post(posted, b"x", descendants=to_below)
        message = reader.recv(timeout=0)
        assert (message is not None) == met
        assert message is None or (message.topic, message.data) == (posted, b"x")
        assert tp.is_below(posted, subscribed) or not (met and below and posted != subscribed) or to_below


def test_topics_that_look_alike_are_told_apart(bus_name: str) -> None:
    """In any order: the same last bytes, short and long ones, more than are remembered by their last bytes."""
    chooser = random.Random(3)
    topics = ["", "/", "/a", "/a/b", "a", "/1/temperature", "/2/temperature", "temperature", "/\u00e9" * 30]
    topics += ["/x" * 100, "/x" * 100 + "/y", "/y" * 100, *(f"/s/{number:03}/value" for number in range(1500))]
    posted = [(chooser.choice(topics[: chooser.choice([3, 12, 1512])]), b"%d" % number) for number in range(5000)]
    wanted = [topic for topic in topics if "3" not in topic]
    with Bus(bus_name) as bus, bus.subscribe("", descendants=True) as everything, bus.subscribe(*wanted) as some:
        for first in range(0, len(posted), 500):
            bus.post_many(posted[first : first + 500])
        for reader, expected in ((everything, posted), (some, [one for one in posted if "3" not in one[0]])):
            seen: list[tuple[str, bytes]] = []
            while messages := reader.recv_many(timeout=0):
                seen += [(message.topic, message.data) for message in messages]
            assert seen == expected


@pytest.mark.parametrize(
    "topic", ["", "/a", "/" + "t" * 37, "/" + "t" * 38, "/" + "t" * 101, "/" + "t" * 102, "/\u00e9"]
)
def test_plain_messages_are_like_all_others(bus_name: str, topic: str) -> None:
    """To a topic that was posted to before, of bytes objects: the shortest way there is."""
    with Bus(bus_name, capacity="64 KiB") as bus, bus.subscribe(topic) as reader:
        for parts in ([], [b""], [b"one"], [b"one", b"", b"three"], [b"1", b"2", b"3", b"4"], [bytes(5000), b"end"]):
            for buffers in (parts, parts, [bytearray(part) for part in parts]):
                start = bus.post(topic, *buffers)
                assert start is not None
                assert bus.position - start == 5 + 9 + len(topic.encode()) + 1 + len(b"".join(parts))
            assert [message.data for message in reader.recv_many()] == [b"".join(parts)] * 3
        for form in (bytes, bytearray):
            with pytest.raises(toroni.MessageTooLarge):
                bus.post(topic, form(1 << 16))
            with pytest.raises(TypeError):
                bus.post(topic, form(1), "text")  # type: ignore[arg-type]


def test_one_batch_of_many_topics(bus_name: str) -> None:
    """Headers of all sizes, again and again, with those that are remembered as they are and those that are too long."""
    chooser = random.Random(4)
    topics = ["/" + "t" * size for size in [*range(140), 500, 1000, 4000]]
    posted = [(chooser.choice(topics), b"%d" % number) for number in range(3000)]
    with Bus(bus_name, capacity="16 MiB") as bus, bus.subscribe("", descendants=True) as reader:
        assert bus.post_many(posted) == len(posted)
        seen: list[tuple[str, bytes]] = []
        while messages := reader.recv_many(timeout=0):
            seen += [(message.topic, message.data) for message in messages]
        assert seen == posted


def test_a_message_that_meets_several_subscriptions_comes_once(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a", "/a/b", "", descendants=True) as reader:
        reader.subscribe("/a/b", "/a/b")
        bus.post("/a/b", b"once", descendants=True)
        assert [message.data for message in reader.recv_many()] == [b"once"]
        assert reader.topics == [("/a", True), ("/a/b", True), ("/a/b", False), ("", True)]


def test_a_subscription_gets_exactly_what_was_created_after_it(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/old") as reader:
        bus.post_many([("/new", b"before"), ("/old", b"1")])
        reader.subscribe("/new")
        bus.post_many([("/new", b"after"), ("/old", b"2")])
        assert [message.data for message in reader.recv_many()] == [b"1", b"after", b"2"]


def test_created_before_and_posted_after(bus_name: str) -> None:
    """The generation is that of the creation, wherever the message was meanwhile."""
    jobs: list[Any] = []
    with Bus(bus_name) as bus, bus.async_writer(jobs.append) as writer:
        writer.post("/a", b"created before")
        with bus.subscribe("/a") as reader:
            writer.post("/a", b"created after")
            jobs.pop(0)()
            assert [message.data for message in reader.recv_many()] == [b"created after"]


def test_subscriptions_made_while_messages_are_fetched_ahead(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a", "/b") as reader:
        bus.post_many([("/a", b"1"), ("/b", b"2"), ("/a", b"3"), ("/c", b"4")])
        assert next(reader).data == b"1"  # the others are fetched ahead
        assert reader.lag == bus.position - reader.position > 0
        reader.subscribe("/c")
        reader.unsubscribe("/b")
        bus.post_many([("/c", b"5"), ("/b", b"6")])
        assert [message.data for message in reader.recv_many()] == [b"3"]
        assert [message.data for message in reader.recv_many()] == [b"5"]
        with pytest.raises(toroni.InvalidArgument, match="not subscribed to '/b'"):
            reader.unsubscribe("/a", "/b")
        assert reader.topics == [("/a", False), ("/c", False)]


def test_what_is_fetched_ahead_is_safe_from_overtaking(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=toroni.Overwrite()) as bus, bus.subscribe("/a") as reader:
        bus.post_many([("/a", b"%d" % number) for number in range(10)])
        assert next(reader).data == b"0"
        bus.post_many([("/a", bytes(100))] * 100)
        assert [message.data for message in reader.recv_many()] == [b"%d" % number for number in range(1, 10)]
        with pytest.raises(toroni.MessagesLost) as lost:
            reader.recv(timeout=0)
        assert lost.value.messages == 100


def test_losses_count_all_messages_of_the_bus_wanted_or_not(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096, backpressure=toroni.Overwrite()) as bus, bus.subscribe("/a") as reader:
        for number in range(50):
            bus.post("/other", bytes(number))
        bus.post("/a", b"x")
        assert next(reader).data == b"x"
        for number in range(1000):
            bus.post("/a" if number % 3 == 0 else "/other", bytes(number % 90))
        with pytest.raises(toroni.MessagesLost) as lost:
            reader.recv(timeout=0)
        assert lost.value.messages == 1000
        assert lost.value.bytes == reader.lost == bus.position - lost.value.from_position
        assert (bus.readers()[0].losses, reader.lost_messages) == (1, 1000)


def test_history_of_processes_that_are_gone(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        positions = [bus.post("/a/b", b"%d" % number) for number in range(100)]
        bus.post("/other", b"no")
    middle = positions[50]
    assert middle is not None
    with (
        Bus(bus_name) as bus,
        bus.subscribe("/a", descendants=True, start="oldest") as oldest,
        bus.subscribe("/a/b", start=middle) as later,
    ):
        assert [message.position for message in oldest.recv_many()] == positions
        assert [message.position for message in later.recv_many()] == positions[50:]
        later.subscribe("/other")  # from now on, as always
        bus.post("/other", b"yes")
        assert [message.data for message in later.recv_many()] == [b"yes"]
        with pytest.raises(toroni.InvalidArgument, match="no message starts"):
            bus.subscribe("/a", start=middle + 1)


def test_any_buffers_and_none(bus_name: str) -> None:
    numpy = pytest.importorskip("numpy")
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        bus.post("/a")
        bus.post("/a", b"", bytearray())
        bus.post("/a", b"a", bytearray(b"b"), memoryview(b"c"), array.array("H", [1]), numpy.arange(2, dtype="u1"))
        assert [message.data for message in reader.recv_many()] == [b"", b"", b"abc\1\0\0\1"]
        with pytest.raises((BufferError, ValueError)):
            bus.post("/a", numpy.zeros((4, 4))[:, ::2])


def test_messages_are_values(bus_name: str) -> None:
    message = Message("/a", b"data", 7)
    assert repr(message) == "Message(topic='/a', data=b'data', position=7)"
    assert message == Message(topic="/a", data=b"data", position=7) != Message("/a", b"data", 8)
    assert message.__eq__(("/a", b"data", 7)) is NotImplemented
    assert len({message, Message("/a", b"data", 7), Message("/b", b"data", 7)}) == 2
    assert pickle.loads(pickle.dumps(message)) == message
    match message:
        case Message(topic, data, position):
            assert (topic, data, position) == ("/a", b"data", 7)
    for wrong in ((1, b"", 0), ("", "", 0), ("", b"", "x"), ("",)):
        with pytest.raises(TypeError):
            Message(*wrong)
    with pytest.raises(AttributeError):
        message.topic = "/b"  # type: ignore[misc]


def test_topics_and_messages_that_cannot_be(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        uses: list[Callable[[Any], object]] = [
            lambda topic: bus.post(topic, b"x"),
            bus.subscribe,
            reader.subscribe,
            lambda topic: reader.on(topic, print),
        ]
        for use in uses:
            with pytest.raises(toroni.InvalidArgument, match="NUL"):
                use("/a\0b")
            with pytest.raises(TypeError, match="a topic is a str"):
                use(b"/a")
        for wrong in (5, None, "text", [b"x"]):
            with pytest.raises((TypeError, BufferError)):
                bus.post("/a", wrong)  # type: ignore[arg-type]
        for items in ([b"ab"], [()], ["/a"], [("/a", 5)], [("/a", b"x"), (b"/a", b"x")], 5, None):
            with pytest.raises((TypeError, BufferError)):
                bus.post_many(items)  # type: ignore[arg-type]
        with pytest.raises(toroni.MessageTooLarge, match="4091"):
            bus.post("/a", bytes(4091 - 12 + 1))
        with pytest.raises(toroni.InvalidArgument, match="max"):
            reader.recv_many(0)
        with pytest.raises(toroni.InvalidArgument, match="start must be"):
            bus.subscribe("/a", start="newest")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout"):
            reader.recv(timeout=-1)
        assert bus.position == 0
        bus.post("/a", bytes(4091 - 12))
        assert len(next(reader).data) == 4091 - 12
        assert len(bus.readers()) == 1


def test_topics_of_others_that_are_no_utf_8(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, Bus(bus_name) as bus, bus.subscribe("", descendants=True) as reader:
        stream.write(bytes(9) + b"/\xff\xfe\0data")
        assert reader.recv_many(timeout=0) == []  # its generation is older than the subscription
        stream.write(tp.generation(bus).to_bytes(8, "little") + b"\0/\xff\xfe\0data")
        message = next(reader)
        assert (message.topic, message.data) == ("/\udcff\udcfe", b"data")
        reader.unsubscribe("")
        reader.subscribe(message.topic)
        bus.post(message.topic, b"and back")
        assert next(reader).data == b"and back"


@pytest.mark.parametrize("body", [b"raw", bytes(9), b"\0" * 9 + b"no NUL", bytes(8) + b"\2topic\0", b"x" * 200])
def test_a_message_without_a_topic_is_an_error_and_reading_goes_on(bus_name: str, body: bytes) -> None:
    told: list[toroni.MessagesLost] = []
    with (
        rmp.Stream(bus_name) as stream,
        Bus(bus_name) as bus,
        bus.subscribe("/a") as raising,
        bus.subscribe("/a", on_loss="skip") as skipping,
        bus.subscribe("/a", on_loss=told.append) as calling,
    ):
        bus.post("/a", b"1")
        position = stream.write(body)
        bus.post("/a", b"2")
        assert next(raising).data == b"1"
        with pytest.raises(toroni.MalformedMessage, match=f"position {position} has no topic"):
            next(raising)
        assert next(raising).data == b"2"
        for reader in (skipping, calling):
            assert [next(reader).data, next(reader).data] == [b"1", b"2"]
            assert (reader.lost, reader.lost_messages) == (len(body) + 5, 1)
        assert [(loss.from_position, loss.messages) for loss in told] == [(position, 1)]


def test_ten_thousand_topics_and_subscriptions(bus_name: str) -> None:
    with Bus(bus_name, capacity="16 MiB") as bus, bus.subscribe() as reader:
        reader.subscribe(*(f"/wanted/{number}" for number in range(10_000)))
        for lap in range(3):
            bus.post_many([(f"/{kind}/{n}", b"%d" % lap) for n in range(20_000) for kind in ("wanted", "other")])
            received = []
            while messages := reader.recv_many(timeout=0):
                received += messages
            assert topics_of(received) == [f"/wanted/{number}" for number in range(10_000)]
        for number in range(10_000):
            reader.unsubscribe(f"/wanted/{number}")
        assert reader.topics == []


def test_the_pieces_under_their_protocol_names(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as raw, Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        topics = tp.Subscriptions()
        first = topics.add("/a", generation=tp.new_generation(stream))
        second = topics.add("", descendants=True, generation=tp.new_generation(stream) + 1)
        stream.write(tp.encode("/a", b"1", bytearray(b"2"), generation=tp.generation(stream), descendants=True))
        assert next(reader).data == b"12"
        message = tp.decode(raw.read() or b"")
        assert (message.topic, bytes(message.data), message.descendants) == ("/a", b"12", True)
        assert topics.matching(message.topic, generation=message.generation) == [first]
        assert topics.matching(message.topic, generation=message.generation + 1) == [first, second]
        assert (len(topics), topics.remove(first), topics.remove(first), len(topics)) == (2, True, False, 1)
        with pytest.raises(toroni.InvalidArgument, match="not a message with a topic"):
            tp.decode(b"nonsense")
        with pytest.raises(toroni.InvalidArgument, match="NUL"):
            tp.encode("\0", generation=0)


def test_what_a_restart_by_others_does_to_subscriptions(bus_name: str) -> None:
    with Bus(bus_name, capacity=4096) as bus, bus.subscribe("/a") as reader:
        bus.post("/a", b"1")
        for _ in range(5):
            reader.subscribe("/b")
            reader.unsubscribe("/b")  # raises the generation
        assert next(reader).data == b"1"
        for suffix, offset, value in (("rb", 48, bytes(8)), ("ri", 0, bytes(8))):
            with open(f"/dev/shm/toroni-{bus_name}-{suffix}", "r+b") as segment:
                segment.seek(offset)
                segment.write(value)  # as a C++ process that initialises the bus anew
        with pytest.raises(toroni.StreamRestarted):
            reader.recv(timeout=0)
        bus.post("/a", b"2")
        assert next(reader).data == b"2"


def test_arguments_of_post(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/", descendants=True) as reader:
        assert bus.post(topic="/a") == 0
        assert (
            bus.post("/a", b"1", b"2", bytearray(b"3"), memoryview(b"4"), descendants=True, backpressure=Drop()) == 17
        )
        assert [message.data for message in reader.recv_many()] == [b"", b"1234"]
        wrong: list[tuple[tuple[object, ...], dict[str, object], str]] = [
            ((), {}, "post() needs a topic"),
            (("/a",), {"topic": "/b"}, "post() got two topics"),
            ((b"/a",), {}, "a topic is a str; got bytes"),
            (("/a", "text"), {}, "a bytes-like object is required, not 'str'"),
            (("/a", b""), {"descendants": 1}, "descendants must be a bool"),
            (("/a", b""), {"timeout": 1}, "post() has no argument 'timeout'"),
            (("/a", b""), {"backpressure": 1}, "backpressure must be one of"),
        ]
        for arguments, keywords, words in wrong:
            with pytest.raises(TypeError, match=re.escape(words)):
                bus.post(*arguments, **keywords)  # type: ignore[arg-type]
        with pytest.raises(toroni.InvalidArgument, match="NUL"):
            bus.post("/a\0")
        assert reader.recv(timeout=0) is None
    for unmade in (Bus.__new__(Bus), toroni.Reader.__new__(toroni.Reader)):
        with pytest.raises(TypeError, match="__init__"):
            unmade.post("/a") if isinstance(unmade, Bus) else next(unmade)
    with pytest.raises(TypeError):
        toroni.Reader.__new__(toroni.Reader).borrow(0)
    with pytest.raises(TypeError):
        toroni.Reader.borrow(5, 0)  # type: ignore[call-overload]


def test_a_bad_timeout_whatever_is_there(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        bus.post_many([b"1", b"2"], topic="/a")
        for _ in range(2):
            for wrong in (-1, float("nan")):
                with pytest.raises(toroni.InvalidArgument):
                    reader.recv(timeout=wrong)
            assert reader.recv(timeout=0) is not None


def test_post_many_to_one_topic(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a", descendants=True) as reader:
        assert bus.post_many([b"1", bytearray(b"2"), b""], topic="/a/b") == 3
        assert bus.post_many((number.to_bytes(2, "little") for number in range(300)), topic="/a") == 300
        assert bus.post_many([b"all"], topic="/", descendants=True) == 1
        messages = reader.recv_many(1000)
        assert [(message.topic, message.data) for message in messages[:3]] == [
            ("/a/b", b"1"),
            ("/a/b", b"2"),
            ("/a/b", b""),
        ]
        assert [message.data for message in messages[3:303]] == [number.to_bytes(2, "little") for number in range(300)]
        assert (messages[303].topic, messages[303].data) == ("/", b"all")
        for wrong, words in (([("/b", b"1")], "bytes-like"), ([b"1", "2"], "bytes-like"), (["1"], "bytes-like")):
            with pytest.raises(TypeError, match=words):
                bus.post_many(wrong, topic="/a")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match='or with topic="/a" payloads'):
            bus.post_many([b"1"])  # type: ignore[list-item]
        assert reader.recv(timeout=0) is None


def test_messages_are_made_of_the_memory_of_those_that_are_gone(bus_name: str) -> None:
    """And are themselves all the same."""
    with Bus(bus_name, capacity="1 MiB") as bus, bus.subscribe("/", descendants=True) as reader:
        kept = []
        for turn in range(6):
            bus.post_many([(f"/{number % 7}", b"%d %d" % (turn, number)) for number in range(3000)])
            messages: list[toroni.Message] = []
            while len(messages) < 3000:
                messages += reader.recv_many(700)
            for number, message in enumerate(messages):
                assert (message.topic, message.data) == (f"/{number % 7}", b"%d %d" % (turn, number))
            kept += messages[turn::100]
        assert [message.data.split()[0] for message in kept] == [b"%d" % turn for turn in range(6) for _ in range(30)]
