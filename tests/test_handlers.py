"""Callback style: on() and dispatch()."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import toroni
from toroni import Bus, Message


def test_handlers_are_called_in_order_for_what_is_there(bus_name: str) -> None:
    calls: list[tuple[str, bytes]] = []

    def note(name: str) -> Callable[[Message], None]:
        return lambda message: calls.append((name, message.data))

    with Bus(bus_name) as bus, bus.subscribe() as reader:
        reader.on("/a", note("first"))
        reader.on("/a", note("second"))
        reader.on("", note("all"), descendants=True)
        assert reader.dispatch() == 0
        bus.post_many([("/a", b"1"), ("/b", b"2")])
        assert reader.dispatch() == 2
        assert calls == [("first", b"1"), ("second", b"1"), ("all", b"1"), ("all", b"2")]
        assert reader.dispatch() == 0
        assert reader.topics == [("/a", False), ("", True)]


def test_as_a_decorator(bus_name: str) -> None:
    seen: list[Message] = []
    with Bus(bus_name) as bus, bus.subscribe() as reader:

        @reader.on("/line1", descendants=True)
        def handle(message: Message) -> None:
            seen.append(message)

        bus.post("/line1/temp", b"x")
        assert reader.dispatch() == 1
        handle(seen[0])  # still a function
        assert [message.topic for message in seen] == ["/line1/temp"] * 2
        with pytest.raises(TypeError, match="a handler is a function"):
            reader.on("/a", 5)  # type: ignore[call-overload]


def test_a_handler_gets_what_was_created_after_it(bus_name: str) -> None:
    seen: list[bytes] = []
    with Bus(bus_name) as bus, bus.subscribe() as reader:

        def add_another(message: Message) -> None:
            seen.append(message.data)
            if message.data == b"1":
                reader.on("/a", lambda later: seen.append(b"late " + later.data))

        reader.on("/a", add_another)
        bus.post_many([("/a", b"1"), ("/a", b"2")])
        reader.dispatch()
        bus.post("/a", b"3")
        reader.dispatch()
        assert seen == [b"1", b"2", b"3", b"late 3"]


def test_a_handler_that_raises_loses_nothing(bus_name: str) -> None:
    seen: list[tuple[str, bytes]] = []
    with Bus(bus_name) as bus, bus.subscribe() as reader:

        def fail_once(message: Message) -> None:
            seen.append(("failing", message.data))
            if message.data == b"1" and len(seen) == 1:
                raise RuntimeError("no")

        reader.on("/a", fail_once)
        reader.on("/a", lambda message: seen.append(("steady", message.data)))
        bus.post_many([("/a", b"1"), ("/a", b"2")])
        with pytest.raises(RuntimeError, match="no"):
            reader.dispatch()
        assert reader.dispatch() == 2
        assert seen == [("failing", b"1"), ("steady", b"1"), ("failing", b"2"), ("steady", b"2")]


def test_handlers_that_post_unsubscribe_dispatch_and_close(bus_name: str) -> None:
    seen: list[tuple[str, bytes]] = []
    with Bus(bus_name) as bus, bus.subscribe() as reader:

        def repost(message: Message) -> None:
            seen.append(("repost", message.data))
            bus.post("/again", message.data)

        def once(message: Message) -> None:
            seen.append(("once", message.data))
            reader.unsubscribe("/once")

        def nested(message: Message) -> None:
            seen.append(("nested", message.data))
            reader.dispatch()

        reader.on("/again", repost)
        reader.on("/once", once)
        reader.on("/nested", nested)
        bus.post("/again", b"0")
        assert [reader.dispatch() for _ in range(3)] == [1, 1, 1]  # one pass each, however much a handler posts
        bus.post_many([("/once", b"1"), ("/once", b"2"), ("/nested", b"3"), ("/nested", b"4")])
        reader.dispatch()
        nested_passes = [("nested", b"3"), ("nested", b"4"), ("repost", b"0")]
        assert seen == [("repost", b"0")] * 4 + [("once", b"1"), *nested_passes]
        reader.on("/close", lambda _: reader.close())
        bus.post_many([("/close", b""), ("/close", b"")])
        assert reader.dispatch() == 2  # what was posted again before, and the first of them
        assert reader.closed
        with pytest.raises(toroni.Closed):
            reader.dispatch()


def test_one_handler_ends(bus_name: str) -> None:
    seen: list[str] = []

    def first(_: Message) -> None:
        seen.append("first")

    with Bus(bus_name) as bus, bus.subscribe("/a") as reader:
        reader.on("/a", first)
        reader.on("/a", lambda _: seen.append("second"))
        bus.post("/a")
        reader.dispatch()
        reader.off("/a", first)
        bus.post("/a")
        reader.dispatch()
        assert seen == ["first", "second", "second"]
        assert reader.topics == [("/a", False)]
        with pytest.raises(toroni.InvalidArgument, match="no handler of '/a'"):
            reader.off("/a", first)

        async def awaited(_: Message) -> None: ...

        with pytest.raises(TypeError, match="not awaited"):
            reader.on("/a", awaited)


def test_history_for_handlers(bus_name: str) -> None:
    seen: list[bytes] = []
    with Bus(bus_name) as bus:
        bus.post_many([("/a", b"1"), ("/b", b"2")])
        with bus.subscribe(start="oldest") as reader:
            reader.on("/a", lambda message: seen.append(message.data), history=True)
            reader.on("/b", lambda message: seen.append(message.data))
            bus.post_many([("/a", b"3"), ("/b", b"4")])
            assert reader.dispatch() == 3
    assert seen == [b"1", b"3", b"4"]


def test_one_thread_dispatches(bus_name: str) -> None:
    inside, leave = threading.Event(), threading.Event()
    with Bus(bus_name) as bus, bus.subscribe() as reader:

        @reader.on("/a")
        def wait(_: Message) -> None:
            inside.set()
            leave.wait()

        bus.post("/a")
        thread = threading.Thread(target=reader.dispatch)
        thread.start()
        inside.wait()
        with pytest.raises(toroni.InUse, match="another thread"):
            reader.dispatch()
        leave.set()
        thread.join()


def test_a_message_that_no_handler_wants_stays_for_recv(bus_name: str) -> None:
    seen: list[bytes] = []
    with Bus(bus_name) as bus, bus.subscribe("/plain") as reader:
        reader.on("/handled", lambda message: seen.append(message.data))
        bus.post_many([("/handled", b"1"), ("/plain", b"2"), ("/handled", b"3")])
        with pytest.raises(toroni.Unhandled, match="recv"):
            reader.dispatch()
        assert seen == [b"1"]
        message = reader.recv(timeout=0)
        assert message is not None
        assert message.data == b"2"
        assert reader.dispatch() == 1
        assert seen == [b"1", b"3"]


def test_losses_are_told_by_dispatch(bus_name: str) -> None:
    seen: list[bytes] = []
    with Bus(bus_name, capacity=4096, backpressure=toroni.Overwrite()) as bus, bus.subscribe() as reader:
        reader.on("/a", lambda message: seen.append(message.data))
        for _ in range(100):
            bus.post("/a", bytes(100))
        with pytest.raises(toroni.MessagesLost) as lost:
            reader.dispatch()
        assert lost.value.messages == 100
        bus.post("/a", b"next")
        assert reader.dispatch() == 1
        assert seen == [b"next"]
