"""Random use of a bus and several readers, against a plain model of what they must see.

The model knows the stream as a list, and nothing of rings, filters, generations in messages, or fetching ahead.
`make model SECONDS=600` goes on with new examples for as long as one likes.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import toroni
from toroni import Bus, MessagesLost, Overwrite, Reader, rmp

TOPICS = ["", "/", "/a", "/a/b", "/a/b/c", "/ab", "a", "a/b", "/z", "ü/ß"]
topics = st.sampled_from(TOPICS)
sizes = st.one_of(st.integers(0, 30), st.integers(0, 300), st.sampled_from([100, 101, 117, 235]))
_numbers = itertools.count()


def is_below(topic: str, ancestor: str) -> bool:
    """The rule, written down once more."""
    if topic == ancestor:
        return False
    return ancestor in ("", "/") or topic.startswith(ancestor + "/")


@dataclass
class Posted:
    """A message as the model knows it."""

    position: int
    topic: str
    data: bytes
    descendants: bool
    time: int


@dataclass
class Subscribed:
    """A subscription: to what, and since when."""

    topic: str
    descendants: bool
    since: int

    def meets(self, message: Posted) -> bool:
        if message.time < self.since:
            return False
        return (
            self.topic == message.topic
            or (self.descendants and is_below(message.topic, self.topic))
            or (message.descendants and is_below(self.topic, message.topic))
        )


@dataclass
class Reading:
    """A reader, and how far it must have come."""

    reader: Reader
    next: int  # index in the stream
    subscriptions: list[Subscribed] = field(default_factory=list)
    lost: int = 0
    starts_lost: bool = False

    def wants(self, message: Posted) -> bool:
        return any(subscription.meets(message) for subscription in self.subscriptions)


class BusMachine(RuleBasedStateMachine):
    """What may be done, and what must be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.name = f"model-{os.getpid()}-{next(_numbers)}"
        self.bus = Bus(self.name, capacity=1024, max_readers=5, backpressure=Overwrite())
        self.raw = rmp.Stream(self.name)
        self.witness = self.raw.reader(label="witness")  # is always up to date: knows the positions
        self.stream: list[Posted] = []
        self.readings: list[Reading] = []
        self.time = 0

    def teardown(self) -> None:
        self.raw.close()
        self.bus.close()
        toroni.unlink(self.name)

    # ---- writing

    @rule(topic=topics, size=sizes, descendants=st.booleans(), parts=st.integers(1, 3))
    def post(self, topic: str, size: int, descendants: bool, parts: int) -> None:
        data = self._payload(size)
        cut = size // parts
        position = self.bus.post(topic, data[:cut], bytearray(data[cut:]), descendants=descendants)
        self._note([(topic, data)], descendants)
        assert self.stream[-1].position == position

    @rule(items=st.lists(st.tuples(topics, st.integers(0, 30)), max_size=8), descendants=st.booleans())
    def post_many(self, items: list[tuple[str, int]], descendants: bool) -> None:
        messages = [(topic, self._payload(size)) for topic, size in items]
        assert self.bus.post_many(messages, descendants=descendants) == len(messages)
        self._note(messages, descendants)

    @rule(topic=topics, size=st.integers(30, 60))
    def lap(self, topic: str, size: int) -> None:
        """More than the ring holds: whoever does not read now, loses."""
        for _ in range(30):
            self.post(topic, size, False, 1)

    def _payload(self, size: int) -> bytes:
        return bytes((len(self.stream) * 7 + i) % 256 for i in range(size))

    def _note(self, messages: list[tuple[str, bytes]], descendants: bool) -> None:
        positions = [position for position, _ in self.witness.read_many(timeout=0, with_positions=True)]
        for (topic, data), position in zip(messages, positions, strict=True):
            self.stream.append(Posted(position, topic, data, descendants, self.time))

    # ---- subscribing

    @precondition(lambda self: len(self.readings) < 4)
    @rule(names=st.lists(topics, max_size=3), descendants=st.booleans())
    def open_now(self, names: list[str], descendants: bool) -> None:
        self.time += 1
        reader = self.bus.subscribe(*names, descendants=descendants)
        subscriptions = [Subscribed(name, descendants, self.time) for name in dict.fromkeys(names)]
        self.readings.append(Reading(reader, len(self.stream), subscriptions))

    @precondition(lambda self: len(self.readings) < 4 and self.stream)
    @rule(names=st.lists(topics, max_size=3), descendants=st.booleans(), back=st.integers(0, 40))
    def open_in_the_past(self, names: list[str], descendants: bool, back: int) -> None:
        self.time += 1
        start = self.stream[max(0, len(self.stream) - back)].position if back < len(self.stream) and back else "oldest"
        reader = self.bus.subscribe(*names, descendants=descendants, start=start)  # type: ignore[arg-type]
        if start == "oldest":
            assert self.bus.position - reader.position <= 1024
            assert self.stream[-1].position >= reader.position  # at least the last one is always there
        first = next(i for i, message in enumerate(self.stream) if message.position >= reader.position)
        subscriptions = [Subscribed(name, descendants, 0) for name in dict.fromkeys(names)]
        starts_lost = self.bus.stats().claimed - reader.position > 1024
        self.readings.append(Reading(reader, first, subscriptions, starts_lost=starts_lost))

    @precondition(lambda self: self.readings)
    @rule(which=st.integers(0, 3), topic=topics, descendants=st.booleans())
    def subscribe(self, which: int, topic: str, descendants: bool) -> None:
        reading = self.readings[which % len(self.readings)]
        self.time += 1
        reading.reader.subscribe(topic, descendants=descendants)
        if not any((s.topic, s.descendants) == (topic, descendants) for s in reading.subscriptions):
            reading.subscriptions.append(Subscribed(topic, descendants, self.time))

    @precondition(lambda self: any(reading.subscriptions for reading in self.readings))
    @rule(which=st.integers(0, 3), index=st.integers(0, 9))
    def unsubscribe(self, which: int, index: int) -> None:
        reading = self.readings[which % len(self.readings)]
        if reading.subscriptions:
            topic = reading.subscriptions[index % len(reading.subscriptions)].topic
            reading.reader.unsubscribe(topic)
            reading.subscriptions = [s for s in reading.subscriptions if s.topic != topic]

    @precondition(lambda self: self.readings)
    @rule(which=st.integers(0, 3))
    def close(self, which: int) -> None:
        self.readings.pop(which % len(self.readings)).reader.close()

    # ---- reading

    @precondition(lambda self: self.readings)
    @rule(which=st.integers(0, 3), most=st.integers(1, 20), way=st.sampled_from(["recv", "recv_many", "borrow"]))
    def read(self, which: int, most: int, way: str) -> None:
        reading = self.readings[which % len(self.readings)]
        reader = reading.reader
        try:
            if way == "recv_many":
                received = [(m.topic, m.data, m.position) for m in reader.recv_many(most, timeout=0)]
            elif way == "borrow":
                received = []
                if (borrowed := reader.borrow(timeout=0)) is not None:
                    with borrowed:
                        received = [(borrowed.topic, bytes(borrowed.data), borrowed.position)]
            else:
                message = reader.recv(timeout=0)
                received = [] if message is None else [(message.topic, message.data, message.position)]
        except MessagesLost as lost:
            self._check_loss(reading, lost)
            return
        for got in received:
            self._check_message(reading, *got)
        if not received:
            assert not any(reading.wants(message) for message in self.stream[reading.next :]), "missed silently"
            reading.next = len(self.stream)

    def _check_message(self, reading: Reading, topic: str, data: bytes, position: int) -> None:
        while not reading.wants(self.stream[reading.next]):
            reading.next += 1
        expected = self.stream[reading.next]
        assert (topic, data, position) == (expected.topic, expected.data, expected.position)
        reading.next += 1

    def _check_loss(self, reading: Reading, lost: MessagesLost) -> None:
        missed = [m for m in self.stream if lost.from_position <= m.position < lost.to_position]
        # What lies before a start that was gone already cannot be counted.
        assert lost.messages == (None if reading.starts_lost else len(missed))
        reading.starts_lost = False
        assert lost.bytes == lost.to_position - lost.from_position
        assert lost.to_position == self.bus.position
        assert self.bus.stats().claimed - lost.from_position > 1024, "there was no reason to lose anything"
        before = [m for m in self.stream[reading.next :] if m.position < lost.from_position]
        assert not any(reading.wants(message) for message in before), "lost, and not counted"
        reading.next = len(self.stream)
        reading.lost += lost.bytes

    # ---- always

    @invariant()
    def what_readers_say_of_themselves_is_true(self) -> None:
        assert self.bus.stats().messages == len(self.stream)
        assert len(self.bus.readers()) == len(self.readings) + 1
        for reading in self.readings:
            assert reading.reader.lost == reading.lost
            assert reading.reader.lag == self.bus.position - reading.reader.position
            assert sorted(reading.reader.topics) == sorted((s.topic, s.descendants) for s in reading.subscriptions)


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        BusMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_a_bus_does_what_the_model_does(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = float(pytestconfig.getoption("--model-seconds"))
    end = time.monotonic() + seconds
    run(100, 60)
    rounds = 1
    while time.monotonic() < end:
        run(200, 100)
        rounds += 2
    if seconds:
        with capsys.disabled():
            print(f"\n{100 * rounds} examples of up to 100 steps in {seconds:.0f} s: nothing found")
