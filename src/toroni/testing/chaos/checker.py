"""The check of a round: whether what all processes wrote and read fits together.

What must hold: one order, in which each position is the same message for everybody; each message whole; each
writer's in its order; each reader gets each message once, from where it began up to where it came, but for gaps that
were announced; and a gap has as many messages as it was announced with.

A message whose position nobody knows (posted in a batch, or by a process that died in the middle, and read by nobody)
lies between two known positions. So a gap's number is checked against a least and a most, which mostly are the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from toroni.testing.chaos.log import ALL_LANES, UNKNOWN, Fate, Kind, Log, Record
from toroni.testing.chaos.sent import Known, Message, gather

_FIELDS_TO_ADD = ("messages", "seen", "gaps", "exact_gaps", "uncounted_gaps", "lost", "checks")


@dataclass
class Findings:
    """What a check has found.

    Attributes:
        violations: one line each; none if all is right.
        messages: whose position is known.
        seen: how often a reader got a message.
        gaps: announced losses.
        exact_gaps: those whose number could be checked exactly.
        uncounted_gaps: those that came without a number.
        lost: messages in the gaps, as announced.
        checks: comparisons that could have failed.
        growth: the most KiB by which a process has grown.
    """

    violations: list[str] = field(default_factory=list)
    messages: int = 0
    seen: int = 0
    gaps: int = 0
    exact_gaps: int = 0
    uncounted_gaps: int = 0
    lost: int = 0
    checks: int = 0
    growth: int = 0

    def add(self, other: Findings) -> None:
        """Takes another round's in."""
        self.violations += other.violations
        for name in _FIELDS_TO_ADD:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.growth = max(self.growth, other.growth)


def check(logs: Sequence[Log], end: int, posted: int | None = None, may_lose: bool = True) -> Findings:
    """Checks the logs of all processes of one bus.

    Args:
        logs: whole ones of processes that ended; what is missing at the end of a killed one's is no violation.
        end: of the stream, after all of them.
        posted: how many messages the bus itself has counted; None if that is not known.
        may_lose: whether a writer overtook readers. If not, only those lose that begin in the past or were forked.
    """
    known = gather(logs, end)
    stream = _Stream(known)
    findings = Findings(violations=known.violations, messages=len(known.order), checks=3 * len(known.messages))
    for log in logs:
        is_complete = bool(log.records) and log.records[-1].kind == Kind.END
        findings.growth = max(findings.growth, log.records[-1].size if is_complete else 0)
        if log.death is None and not is_complete:
            findings.violations.append(f"process {log.number} ended by itself, before its time")
        if any(record.kind == Kind.START for record in log.records):
            _Reading(log.number, stream, findings, may_lose).check(log.records)
    if posted is not None:
        least, most = stream.count(0, end)
        findings.checks += 1
        if not least <= posted <= most:
            findings.violations.append(f"the bus counts {posted} messages; there are {_range(least, most)}")
    return findings


class _Stream:
    """The known messages, to be counted between positions."""

    def __init__(self, known: Known) -> None:
        self.positions = [position for position, _ in known.order]
        self.messages = [message for _, message in known.order]
        self.unplaced = known.unplaced
        self._earliest = [message.earliest for message in known.unplaced]
        self._latest = sorted(message.latest for message in known.unplaced)

    def count(self, begin: int, end: int) -> tuple[int, int]:
        """The least and the most messages that lie in [begin, end)."""
        placed = bisect_left(self.positions, end) - bisect_left(self.positions, begin)
        certain = sum(message.fate == Fate.POSTED for message in self.unplaced_within(begin, end))
        possible = bisect_left(self._earliest, end) - bisect_right(self._latest, begin)
        return placed + certain, placed + max(possible, certain)

    def unplaced_within(self, begin: int, end: int) -> list[Message]:
        """Those that lie nowhere else, if they lie anywhere."""
        first, last = bisect_left(self._earliest, begin), bisect_left(self._earliest, end)
        return [message for message in self.unplaced[first:last] if message.latest <= end]


class _Reading:
    """One reader's log, gone through in its order."""

    def __init__(self, number: int, stream: _Stream, findings: Findings, may_lose: bool) -> None:
        self._number, self._stream, self._findings, self._may_lose = number, stream, findings, may_lose
        self._covered = 0  # up to here all is accounted for
        self._since = 0  # and since here, without a gap
        self._index = 0  # of the first known message at or behind it
        self._start = Record(Kind.START, number)

    def check(self, records: Sequence[Record]) -> None:
        """Takes the records one by one."""
        for record in records:
            if record.kind == Kind.SEEN:
                self._see(record)
            elif record.kind == Kind.GAP:
                self._miss(record)
            elif record.kind == Kind.UPTO:
                self._cover(max(record.position, self._covered))
            elif record.kind == Kind.BEGIN:
                self._may_lose = self._may_lose or record.other != 0
            elif record.kind == Kind.START:
                self._start = record
                self._may_lose = self._may_lose or record.size != 0
                self._covered = self._since = record.position
                self._index = bisect_left(self._stream.positions, record.position)
        self._end_stretch()

    def _see(self, record: Record) -> None:
        self._findings.seen += 1
        if record.position < self._covered:
            self._say(f"position {record.position} came after everything up to {self._covered} had come or was lost")
            return
        self._cover(record.position)
        self._covered = record.position + 1
        positions, messages = self._stream.positions, self._stream.messages
        if self._index < len(positions) and positions[self._index] == record.position:
            message = messages[self._index]
            self._index += 1
            if not self._start.size and message.generations[1] <= self._start.other:
                self._say(f"{message} came, which was created before this reader subscribed")
            if self._start.lane not in (ALL_LANES, message.lane):
                self._say(f"{message} came, to which this reader has not subscribed")
        self._findings.checks += 3

    def _cover(self, to: int) -> None:
        """Between `covered` and there nothing came, so there must be nothing for this reader."""
        positions, messages = self._stream.positions, self._stream.messages
        while self._index < len(positions) and positions[self._index] < to:
            if self._must_come(messages[self._index]):
                here = f"at position {positions[self._index]}"
                self._say(f"{messages[self._index]} {here} did not come, and no loss was announced")
            self._index += 1
        self._covered = to
        self._findings.checks += 1

    def _must_come(self, message: Message) -> bool:
        is_wanted = self._start.lane in (ALL_LANES, message.lane)
        is_new = bool(self._start.size) or message.generations[0] >= self._start.sequence
        return is_wanted and is_new

    def _miss(self, record: Record) -> None:
        findings, begin, end, number = self._findings, record.position, record.other, record.sequence
        findings.gaps += 1
        if not self._may_lose:
            self._say(f"a gap from {begin} to {end} was announced, though no writer overtakes")
        if begin < self._covered or end < begin:
            self._say(f"a gap from {begin} to {end} was announced, after everything up to {self._covered} had come")
            return
        self._cover(begin)
        self._end_stretch()
        least, most = self._stream.count(begin, end)
        findings.exact_gaps += least == most
        findings.checks += 1
        if number == UNKNOWN:
            findings.uncounted_gaps += 1
        else:
            findings.lost += number
            if not least <= number <= most:
                text = f"a gap from {begin} to {end} was announced as {number} messages; there are"
                self._say(f"{text} {_range(least, most)}")
        self._covered = self._since = end
        self._index = bisect_left(self._stream.positions, end)

    def _end_stretch(self) -> None:
        """Messages that nobody has seen, of which their writers say that they are here."""
        for message in self._stream.unplaced_within(self._since, self._covered):
            if message.fate == Fate.POSTED and self._must_come(message):
                where = f"between {message.earliest} and {message.latest}"
                self._say(f"{message} was posted {where} and did not come, and no loss was announced")
        self._findings.checks += 1

    def _say(self, text: str) -> None:
        self._findings.violations.append(f"reader {self._number}: {text}")


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
