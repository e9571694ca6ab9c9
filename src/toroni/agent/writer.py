"""The command write."""

from __future__ import annotations

import os
import time
from typing import NoReturn

from toroni import Sleep, SlowReaders, _core, rmp, tp
from toroni.agent.objects import BUS, TOPIC, Counter, Counters
from toroni.agent.options import Flavor, Options
from toroni.agent.timestamp import encode_now


def write(options: Options, counters: Counters) -> int:
    """Creates all messages, then writes them. Returns the exit status.

    Raises:
        MessageTooLarge: the ring is too small for one of them.
    """
    with rmp.Stream(BUS, notifier="multicast", role="writer") as stream:
        queue = _create(stream, options)
        notifications = _core._time_notifications(stream)

        def die(slow: SlowReaders) -> NoReturn:
            _core._hold_writer_mutex(stream)
            os._exit(0)

        dies = options.flavor is Flavor.ROBUST_WRITER
        began = time.monotonic_ns()
        stream.write_many(queue, backpressure=die if dies else Sleep(options.backpressure_sleep_ms / 1000))
        counters.add(Counter.WRITER_DURATION_NS_SUM, time.monotonic_ns() - began)
        counters.add(Counter.NOTIFICATION_NS_SUM, notifications.nanoseconds)
    return 0


def _create(stream: rmp.Stream, options: Options) -> list[bytes]:
    is_latency = options.flavor is Flavor.LATENCY
    payload = bytes(options.message_size)
    return [
        tp.encode(TOPIC, encode_now() if is_latency else payload, generation=tp.generation(stream))
        for _ in range(options.messages_per_writer)
    ]
