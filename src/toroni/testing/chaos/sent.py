"""Messages as all logs together know them: what their writers say, and where readers saw them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from toroni.testing.chaos.log import UNKNOWN, Fate, Kind, Log, Record

Identity = tuple[int, int]
"""Of a message: its writer's number and its sequence number there."""


@dataclass
class Message:
    """A message that a writer was about to post.

    Attributes:
        position: where it is in the stream; UNKNOWN as long as nobody said so.
        earliest, latest: it is at neither an earlier position, nor at this or a later one.
        generations: the bus's before and after it was created.
        fate: what its writer knows of it.
    """

    writer: int
    sequence: int
    lane: int
    size: int
    checksum: int
    earliest: int
    latest: int = UNKNOWN
    position: int = UNKNOWN
    generations: tuple[int, int] = (0, UNKNOWN)
    fate: int = Fate.UNSURE

    def __str__(self) -> str:
        return f"message {self.sequence} of writer {self.writer} ({self.size} bytes)"


@dataclass
class Known:
    """All messages of a round.

    Attributes:
        messages: by writer, in its order.
        order: those whose position is known, by position.
        unplaced: those that are in the stream or may be, at an unknown position, by their earliest.
        violations: what cannot be.
    """

    messages: dict[Identity, Message] = field(default_factory=dict)
    order: list[tuple[int, Message]] = field(default_factory=list)
    unplaced: list[Message] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def gather(logs: Iterable[Log], end: int) -> Known:
    """Puts together what the logs say.

    Args:
        logs: of all processes of one bus.
        end: of its stream, after all of them.
    """
    known, places = Known(), dict[int, Message]()
    logs = list(logs)
    for log in logs:
        _take_writers_word(known, places, log, end)
    for log in logs:
        for record in log.records:
            if record.kind == Kind.SEEN:
                _take_readers_word(known, places, record, log.number)
    known.order = sorted(places.items())
    _narrow(known)
    unplaced = (m for m in known.messages.values() if m.position == UNKNOWN and m.fate != Fate.DROPPED)
    known.unplaced = sorted((m for m in unplaced if m.earliest < m.latest), key=lambda m: m.earliest)
    return known


def _take_writers_word(known: Known, places: dict[int, Message], log: Log, end: int) -> None:
    latest = end if log.death is None else log.death
    for record in log.records:
        identity = (record.number, record.sequence)
        if record.kind == Kind.INTENT:
            known.messages[identity] = Message(
                *identity, record.lane, record.size, record.checksum, record.position, latest,
                generations=(record.other, UNKNOWN),
            )  # fmt: skip
        elif record.kind == Kind.OUTCOME:
            for sequence in range(record.sequence, record.sequence + record.size):
                message = known.messages[record.number, sequence]
                message.fate, message.latest = record.lane, record.other
                message.generations = (message.generations[0], record.checksum)
            if record.position != UNKNOWN and record.size:
                _place(known, places, known.messages[identity], record.position, log.number)


def _take_readers_word(known: Known, places: dict[int, Message], record: Record, reader: int) -> None:
    message = known.messages.get((record.number, record.sequence))
    where = f"reader {reader}, position {record.position}"
    if message is None:
        text = f"message {record.sequence} of writer {record.number}, which was never posted"
        known.violations.append(f"{where}: {text}")
        return
    if (record.size, record.checksum) != (message.size, message.checksum):
        what = f"{record.size} bytes with checksum {record.checksum:#x} instead of {message.checksum:#x}"
        known.violations.append(f"{where}: {message} came torn, as {what}")
    if message.fate == Fate.DROPPED:
        known.violations.append(f"{where}: {message} came, of which its writer was told that it was dropped")
    _place(known, places, message, record.position, reader)


def _place(known: Known, places: dict[int, Message], message: Message, position: int, process: int) -> None:
    if message.position == position:
        return
    if message.position != UNKNOWN:
        text = f"{message} is at position {message.position}, and at {position} as process {process} says"
        known.violations.append(text)
        return
    other = places.setdefault(position, message)
    if other is not message:
        known.violations.append(f"at position {position} are {other} and, as process {process} says, {message}")
        return
    message.position = position
    if not message.earliest <= position < message.latest:
        bounds = f"from {message.earliest} to {message.latest}"
        known.violations.append(f"{message} is at position {position}, and was posted while the stream went {bounds}")


def _narrow(known: Known) -> None:
    """A writer's messages are in its order: which also bounds those whose position nobody knows."""
    by_writer: dict[int, list[Message]] = {}
    for message in known.messages.values():
        if message.fate != Fate.DROPPED:
            by_writer.setdefault(message.writer, []).append(message)
    for messages in by_writer.values():
        messages.sort(key=lambda message: message.sequence)
        before: Message | None = None
        earliest = 0
        for message in messages:
            message.earliest = max(message.earliest, earliest)
            if message.position == UNKNOWN:
                continue
            if before is not None and message.position <= before.position:
                text = f"{message} is at position {message.position}, before {before} at {before.position}"
                known.violations.append(text)
            earliest, before = message.position + 1, message
        latest = UNKNOWN
        for message in reversed(messages):
            message.latest = min(message.latest, latest)
            latest = message.position if message.position != UNKNOWN else latest
