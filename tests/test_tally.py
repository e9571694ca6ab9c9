"""Reading that only counts."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from toroni import Bus, InvalidArgument, MessagesLost

SIZES = (0, 1, 7, 64, 900, 5000)


def test_counts_what_recv_would_have_got(bus_name: str) -> None:
    chosen = random.Random(1)
    with (
        Bus(bus_name, capacity="1 MiB") as bus,
        bus.subscribe("/a", descendants=True) as counting,
        bus.subscribe("/a", descendants=True) as reading,
    ):
        for _ in range(300):
            bus.post(chosen.choice(("/a", "/a/b", "/a/c", "/other")), bytes(chosen.choice(SIZES)))
        counted: Counter[str] = Counter()
        size: Counter[str] = Counter()
        while found := counting.tally(100, timeout=0):
            assert sum(messages for messages, _ in found.values()) <= 100
            for topic, (number, payload) in found.items():
                counted[topic] += number
                size[topic] += payload
        messages = []
        while batch := reading.recv_many(timeout=0):
            messages += batch
        assert counted == Counter(one.topic for one in messages)
        assert dict(size) == {topic: sum(len(one.data) for one in messages if one.topic == topic) for topic in counted}
        assert counting.last_position == messages[-1].position
        assert counting.lag == 0


def test_takes_turns_with_other_ways_of_reading(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/t") as reader:
        bus.post_many([b"%d" % number for number in range(10)], topic="/t")
        assert reader.recv(timeout=0).data == b"0"  # type: ignore[union-attr]
        counted = 0
        while counted < 5:  # of what recv has fetched ahead
            counted += reader.tally(1, timeout=0)["/t"][0]
        assert reader.recv(timeout=0).data == b"6"  # type: ignore[union-attr]


def test_tells_a_loss(bus_name: str) -> None:
    with Bus(bus_name, capacity="4 KiB", backpressure=lambda slow: "overwrite") as bus, bus.subscribe("/t") as reader:
        for _ in range(100):
            bus.post("/t", bytes(90))
        with pytest.raises(MessagesLost) as lost:
            reader.tally(timeout=0)
        bus.post("/t", b"abc")
        assert reader.tally(timeout=0) == {"/t": (1, 3)}
        assert lost.value.messages == 100


def test_never_counts_twice_or_in_vain_under_load(bus_name: str) -> None:
    """What was counted and what was told as lost is everything."""
    posted = 20_000
    with (
        Bus(bus_name, capacity="64 KiB", backpressure=lambda slow: "retry" if slow.attempt < 3 else "overwrite") as bus,
        bus.subscribe("/t", on_loss=lambda loss: lost.append(loss.messages)) as reader,
    ):
        lost: list[int | None] = []

        def post() -> None:
            chosen = random.Random(2)
            for _ in range(posted):
                bus.post("/t", bytes(chosen.choice(SIZES)))

        writer = threading.Thread(target=post)
        writer.start()
        counted = 0
        while writer.is_alive() or reader.lag:
            counted += sum(messages for messages, _ in reader.tally(timeout=0.1).values())
        writer.join()
        assert counted + sum(one for one in lost if one is not None) == posted
        assert counted


def test_waits_and_refuses_nonsense(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/t") as reader:
        assert reader.tally(timeout=0.01) == {}
        with pytest.raises(InvalidArgument):
            reader.tally(0)
        threading.Timer(0.05, bus.post, ("/t", b"x")).start()
        assert reader.tally() == {"/t": (1, 1)}
