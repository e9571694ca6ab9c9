"""The coordinator's eyes: it reads the stream and hears the children until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable

from toroni import rmp
from toroni.demo.corpus import Corpus
from toroni.demo.crew import Crew, DemoError, Writer
from toroni.demo.display import Bar, Display, readable
from toroni.demo.record import Record

_TICK_SECONDS, _SECONDS_BETWEEN_BARS = 0.02, 0.1
_MESSAGES_A_TICK = 64  # few, so that a kill comes soon after the moment that was chosen for it


class StopError(Exception):
    """A signal asks the demo to stop; the argument is its number."""


class Watch:
    """A reader of the stream in the coordinator, and all that it saw.

    Writers never overtake it, so they are at most one ring ahead of what it has seen.
    """

    def __init__(
        self,
        stream: rmp.Stream,
        files: Corpus,
        display: Display,
        patience: float,
        stop_signal: Callable[[], int | None],
    ) -> None:
        self.stream, self.files, self.display = stream, files, display
        self.crew = Crew()
        self.record = Record()
        self.reader = stream.reader(label="coordinator")
        self._patience, self._stop_signal = patience, stop_signal
        self._moved = time.monotonic()
        self._shown = 0.0

    @property
    def part(self) -> float:
        """How much of all bytes has come, from 0 to 1."""
        return self.record.size / self.files.size

    def sent_by(self, child: Writer) -> int:
        """Bytes that came from this writer."""
        traffic = self.record.writers.get(child.job.writer)
        return traffic.size if traffic else 0

    def share_of(self, child: Writer) -> int:
        """Bytes that this writer has to send."""
        return sum(self.files.file(number).size for number in child.numbers)

    def until(self, condition: Callable[[], bool], *, hold_at: float = 2.0) -> None:
        """Waits for the condition. Reads no further than to about the part `hold_at`, nor do writers then.

        Raises:
            DemoError: a process died that should not, or nothing moves. StopError: by a signal.
        """
        while not condition():
            signal_number = self._stop_signal()
            if signal_number is not None:
                raise StopError(signal_number)
            self._tick(is_held=self.part >= hold_at)
            if time.monotonic() - self._shown >= _SECONDS_BETWEEN_BARS:
                self.show()

    def close(self) -> None:
        """Ends all processes that are left."""
        self.crew.dismiss()
        self.reader.close()

    def show(self) -> None:
        """Brings the bars up to date."""
        self._shown = time.monotonic()
        lags = {info.label: info.lag for info in self.stream.readers() if info.alive}
        bars = [
            Bar(child.name, self.sent_by(child), self.share_of(child), "dead" if child.killed else "")
            for child in self.crew.writers
        ]
        for reader in self.crew.readers:
            lag = f"{readable(lags[reader.name])} behind" if reader.name in lags else ""
            text = "dead" if reader.killed else lag
            bars.append(Bar(reader.name, reader.seen.size, self.files.size, text))
        done, total = self.record.size, self.files.size
        text = f"{readable(done)} of {readable(total)}, {len(self.record.journal):,} messages"
        self.display.bars(Bar("all", done, total, text), bars)

    def _tick(self, is_held: bool) -> None:
        batch = []
        if not is_held:
            batch = self.reader.read_many(_MESSAGES_A_TICK, timeout=_TICK_SECONDS, with_positions=True)
        for position, message in batch:
            self.record.add(position, message)
        heard = self.crew.listen(timeout=_TICK_SECONDS if is_held else 0)
        if batch or heard:
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > self._patience:
            raise DemoError(f"nothing has moved for {self._patience:g} s{self._what_is_known()}")

    def _what_is_known(self) -> str:
        statistics = self.stream.stats()
        holder = f"held by process {statistics.lock_holder}" if statistics.lock_holder else "free"
        lines = [f"{self.part:.0%} has come; the stream ends at {statistics.position}; the writer lock is {holder}"]
        for child in (*self.crew.writers, *self.crew.readers):
            state = "killed by us" if child.killed else "done" if child.done else "at work"
            lines.append(f"{child.name} (pid {child.process.pid}): {state}")
        lines += [repr(info) for info in self.stream.readers()]
        return "".join(f"\n  {line}" for line in lines)
