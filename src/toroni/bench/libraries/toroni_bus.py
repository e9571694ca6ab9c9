"""Ours: topics on the bus, one `post` a message or `post_many`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import toroni
from toroni import Bus, Wait
from toroni.bench import payload
from toroni.bench.library import Payload, Publisher, Setup, Subscriber

_LARGE = 32 << 10  # bytes, from which on a copy costs more than what it takes to do without


class _Opened:
    def __init__(self, setup: Setup) -> None:
        self._bus = Bus(setup.name, backpressure=Wait(None))

    def close(self) -> None:
        self._bus.close()


class _Publisher(_Opened):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.publish = partial(self._bus.post, payload.TOPIC)

    def publish_each(self, messages: Sequence[bytes]) -> None:
        post, topic = self._bus.post, payload.TOPIC
        for message in messages:
            post(topic, message)

    def publish_many(self, messages: Sequence[bytes]) -> None:
        self._bus.post_many(messages, topic=payload.TOPIC)


class _TopicPublisher(_Opened):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.publish_many = self._bus.post_many

    def publish(self, message: tuple[str, bytes]) -> None:
        self._bus.post(*message)

    def publish_each(self, messages: Sequence[tuple[str, bytes]]) -> None:
        post = self._bus.post
        for topic, message in messages:
            post(topic, message)


class BusSubscriber:
    """Opens the bus, and takes messages as objects."""

    def __init__(self, setup: Setup) -> None:
        self._bus = Bus(setup.name)
        topics = payload.topics(setup.topics) if setup.subscribes_each else [payload.TOPIC]
        self.reader = self._bus.subscribe(*topics, descendants=setup.topics > 0 and not setup.subscribes_each)

    def deliver(self, accept: Callable[[Payload], bool], timeout: float) -> None:
        """Iterates."""
        for message in self.reader:
            if not accept(message.data):
                return

    def receive(self, timeout: float) -> Payload | None:
        """By `recv`."""
        message = self.reader.recv(timeout)
        return None if message is None else message.data

    def receive_many(self, timeout: float) -> Sequence[Payload]:
        """By `recv_many`."""
        return [message.data for message in self.reader.recv_many(timeout=timeout)]

    def close(self) -> None:
        """With its bus."""
        self._bus.close()


class _LargeSubscriber(BusSubscriber):
    """Looks at messages in place."""

    def deliver(self, accept: Callable[[Payload], bool], timeout: float) -> None:
        while (message := self.reader.borrow(timeout)) is not None:
            with message:
                goes_on = accept(message.data)
            if not goes_on:
                return


class ToroniBus:
    """`toroni.Bus`."""

    module: str | None = None
    polls = False

    def __init__(self, batches: bool) -> None:
        self.name = "toroni, batches" if batches else "toroni"
        self.batches = batches

    def open(self, setup: Setup) -> Setup:
        """Makes the bus, with room for a few of the largest messages."""
        Bus(setup.name, capacity=setup.capacity or max(4 << 20, 8 << (setup.size - 1).bit_length())).close()
        return setup

    def publisher(self, channel: Setup, index: int) -> Publisher:
        """Opens it to post."""
        return _TopicPublisher(channel) if channel.topics else _Publisher(channel)

    def subscriber(self, channel: Setup, index: int) -> Subscriber:
        """Opens it to read."""
        return _LargeSubscriber(channel) if channel.size >= _LARGE else BusSubscriber(channel)

    def close(self, channel: Setup) -> None:
        """Removes it."""
        toroni.unlink(channel.name)
