"""The command read."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import NoReturn

from toroni import Bus, Message, MessagesLost, Reader, StreamRestarted
from toroni.agent.objects import BUS, TOPIC, Counter, Counters
from toroni.agent.options import Flavor, Options
from toroni.agent.timestamp import decode_time

EXPIRED = 2  # exit status
# Messages at once: few enough that their memory is used again while it is in the processor's cache.
_BATCH = 256


def read(options: Options, counters: Counters) -> int:
    """Becomes a reader, and reads until all writers' messages have come. Returns the exit status.

    Raises:
        NoFreeSlot: there are more readers than slots.
    """
    with Bus(BUS, notifier="multicast", role="reader") as bus, bus.subscribe(TOPIC, label="agent") as reader:
        counters.add(Counter.READERS_READY, 1)
        if options.flavor is Flavor.ROBUST_READER:
            os._exit(0)  # at once: nothing is closed, the slot is still held
        try:
            if options.flavor is Flavor.ROBUST_WRITER:
                _block_in_first_message(reader)
            elif options.flavor is Flavor.LATENCY:
                _measure_latency(reader, options, counters)
            else:
                _measure_duration(reader, options, counters)
        except (MessagesLost, StreamRestarted) as error:
            print(f"reader expired: {error}", file=sys.stderr)
            return EXPIRED
    return 0


def _block_in_first_message(reader: Reader) -> NoReturn:
    with reader.borrow():  # not given back: this reader's position stays where the message begins
        while True:
            signal.pause()


def _batches(reader: Reader, options: Options, counters: Counters) -> Iterator[list[Message]]:
    """All that is expected. Of each wake-up first one message alone, so that its time is not that of a whole batch."""
    missing = options.expected
    while missing:
        batch = reader.recv_many(1)
        counters.add(Counter.READER_RUNS, 1)
        while batch:
            missing -= len(batch)
            yield batch
            batch = reader.recv_many(min(_BATCH, missing), timeout=0) if missing else []


def _measure_duration(reader: Reader, options: Options, counters: Counters) -> None:
    first = None
    for _ in _batches(reader, options, counters):
        if first is None:
            first = time.monotonic_ns()
    if first is not None:
        counters.add(Counter.FIRST_LAST_DURATION_NS_SUM, time.monotonic_ns() - first)
    counters.add(Counter.MSG_COUNT, options.expected)


def _measure_latency(reader: Reader, options: Options, counters: Counters) -> None:
    total = 0
    for batch in _batches(reader, options, counters):
        for message in batch:
            total += time.monotonic_ns() - decode_time(message.data)
    counters.add(Counter.LATENCY_NS_SUM, total)
    counters.add(Counter.MSG_COUNT, options.expected)
