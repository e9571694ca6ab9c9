"""What the environment says."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass

from toroni import InvalidArgument


class Flavor(enum.Enum):
    """What is tested."""

    FIRST_LAST_DURATION = "throughput, from a reader's first message to its last"
    LATENCY = "time from the creation of a message to its arrival"
    ROBUST_WRITER = "the writer dies holding the writer mutex, the reader blocks in its first message"
    ROBUST_READER = "the reader dies holding its slot"


_PREFIX = "TORONI_AGENT_"
# Variable, default, least value, what it is.
_NUMBERS = {
    "RINGBUF_SIZE_KB": (4096, 1, "of the ring, a power of two"),
    "READERS_MAX": (1, 1, "reader slots"),
    "READERS": (1, 1, "that waitreaders waits for"),
    "WRITERS": (1, 1, "whose messages a reader waits for"),
    "MESSAGES_PER_WRITER": (1, 0, "that each sends"),
    "MESSAGE_SIZE_BYTES": (8, 0, "of payload; LATENCY always has 8"),
    "BACKPRESSURE_SLEEP_MS": (5, 0, "for slow readers, before they are overtaken"),
    "EXTRESULT": (0, 0, "1: result prints more"),
    "ITERATIONS": (1, 1, "that result averages over"),
}


@dataclass(frozen=True)
class Options:
    """Of one run of the agent."""

    ring_size_kb: int
    max_readers: int
    readers: int
    writers: int
    messages_per_writer: int
    message_size: int
    backpressure_sleep_ms: int
    extended_result: bool
    iterations: int
    flavor: Flavor

    @property
    def capacity(self) -> int:
        """Bytes in the ring."""
        return self.ring_size_kb * 1024

    @property
    def expected(self) -> int:
        """Messages that each reader waits for."""
        return self.messages_per_writer * self.writers


def from_environment(environment: Mapping[str, str] = os.environ) -> Options:
    """The options, with defaults for what is not set.

    Raises:
        InvalidArgument: not a number, too small, or no known flavor.
    """
    numbers = [_number(environment, name, default, least) for name, (default, least, _) in _NUMBERS.items()]
    flavor = environment.get(_PREFIX + "TEST_FLAVOR") or Flavor.FIRST_LAST_DURATION.name
    if flavor not in Flavor.__members__:
        raise InvalidArgument(
            f"unknown test flavor {flavor!r}: {_PREFIX}TEST_FLAVOR is {', '.join(Flavor.__members__)}"
        )
    size, most, readers, writers, messages, message_size, sleep, extended, iterations = numbers
    return Options(
        size, most, readers, writers, messages, message_size, sleep, extended == 1, iterations, Flavor[flavor]
    )


def _number(environment: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = environment.get(_PREFIX + name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text) < 2**32):
        raise InvalidArgument(f"{_PREFIX}{name} must be a whole number from {least}; got {text!r}")
    return int(text)


def describe() -> str:
    """For --help."""
    lines = [f"  {_PREFIX}{name:<22} {default:>5}  {what}" for name, (default, _, what) in _NUMBERS.items()]
    lines.append(f"  {_PREFIX}TEST_FLAVOR")
    lines += [f"      {flavor.name:<28} {flavor.value}" for flavor in Flavor]
    return "\n".join(lines)
