"""The story: start everybody, kill a writer and a reader in the middle, replace them, wait for the end.

The coordinator is a reader of the stream itself, and holds the writers back like any other reader. So what it
has seen tells it how far everybody is: nobody is further ahead than one ring. That makes the moments of the
kills exact, without any sleep.
"""

from __future__ import annotations

import os
from random import Random

from toroni import Drop
from toroni.demo import protocol, reader, writer
from toroni.demo.crew import DemoError, Reader, Writer
from toroni.demo.options import Options
from toroni.demo.watch import Watch

# When the kills come, as parts of all bytes: somewhere in these ranges.
_WRITER_DIES, _READER_DIES = (0.25, 0.4), (0.45, 0.6)
# If the new reader is not there by then, the rest waits for it.
_READER_JOINS = 0.75


class Coordinator:
    """One run, from the first process to the last message."""

    def __init__(self, bus: str, watch: Watch, options: Options, shares: list[list[int]]) -> None:
        self._bus, self._watch, self._options, self._shares = bus, watch, options, shares
        self._random = Random(options.seed)

    def run(self) -> None:
        """Returns when all readers have seen the end of everything.

        Raises:
            DemoError: a process died that should not, or nothing moves. StopError: by a signal.
        """
        watch, crew = self._watch, self._watch.crew
        writer_dies, reader_dies = self._random.uniform(*_WRITER_DIES), self._random.uniform(*_READER_DIES)
        for _ in range(self._options.readers):
            self._start_reader()
        watch.until(lambda: all(child.seen.joined is not None for child in crew.readers))
        for share in range(self._options.writers):
            self._start_writer(share, skip=0)
        watch.until(lambda: all(child.ready for child in crew.writers))
        for child in crew.writers:
            child.go()
        watch.until(lambda: watch.part >= writer_dies and bool(self._victims()))
        self._replace_writer(self._random.choice(self._victims()), hold_at=reader_dies)
        watch.until(lambda: watch.part >= reader_dies)
        self._replace_reader(self._random.choice(crew.readers))
        watch.until(lambda: all(child.done or child.killed for child in crew.writers))
        # Everything else was published before, so it comes last. Drop: to wait here for room that we make
        # ourselves, by reading, would be to wait for ever.
        watch.until(lambda: watch.stream.write(protocol.END, backpressure=Drop()) is not None)
        watch.until(lambda: watch.record.ended and all(child.done or child.killed for child in crew.readers))
        watch.show()

    def _start_reader(self) -> Reader:
        label = f"reader-{len(self._watch.crew.readers) + 1}"
        child = Reader(reader.Job(self._bus, os.getpid(), label))
        self._watch.crew.add(child)
        return child

    def _start_writer(self, share: int, skip: int) -> Writer:
        options, files = self._options, self._watch.files
        number = len(self._watch.crew.writers) + 1
        job = writer.Job(
            self._bus, os.getpid(), number, share, options.writers, skip,
            options.seed, options.limit, files.rounds, files.listing(),
        )  # fmt: skip
        child = Writer(job, self._shares[share][skip:])
        self._watch.crew.add(child)
        return child

    def _replace_writer(self, victim: Writer, hold_at: float) -> None:
        watch = self._watch
        at = watch.part
        watch.crew.kill(victim)
        # All that it published is before the stream end now. Nothing will be added, nothing is half.
        end = watch.stream.position
        watch.until(lambda: watch.reader.position >= end)
        half = watch.record.abandon(victim.job.writer)
        skip = self._complete_files(victim)
        path = watch.files.file(victim.numbers[skip]).path
        what = f"{skip} files of it are published, and {half:,} bytes of {path}"
        self._note(at, f"SIGKILL for {victim.name} (pid {victim.process.pid}): {what}", "bold red")
        child = self._start_writer(victim.job.share, victim.job.skip + skip)
        watch.until(lambda: child.ready, hold_at=hold_at)
        child.go()
        what = f"takes over the remaining {len(child.numbers)} files, that one first"
        self._note(watch.part, f"{child.name} (pid {child.process.pid}) joins and {what}", "bold green")

    def _replace_reader(self, victim: Reader) -> None:
        watch = self._watch
        at = watch.part
        watch.crew.kill(victim)
        what = f"it had reported {len(victim.seen.journal):,} messages"
        self._note(at, f"SIGKILL for {victim.name} (pid {victim.process.pid}): {what}", "bold red")
        if any(info.alive and info.pid == victim.process.pid for info in watch.stream.readers()):
            raise DemoError(f"the stream takes {victim.name} for alive, and would wait for it")
        child = self._start_reader()
        watch.until(lambda: child.seen.joined is not None, hold_at=_READER_JOINS)
        what = f"joins at position {child.seen.joined:,}"
        self._note(watch.part, f"{child.name} (pid {child.process.pid}) {what}", "bold green")

    def _complete_files(self, victim: Writer) -> int:
        done = {parcel.number for parcel in self._watch.record.finished}
        count = sum(number in done for number in victim.numbers)
        if count == len(victim.numbers) or not done.issuperset(victim.numbers[:count]):
            raise DemoError(f"{victim.name}: what came of it is not the beginning of its share")
        return count

    def _victims(self) -> list[Writer]:
        """Writers that have begun, and have more to do than can be on its way to us."""
        watch = self._watch
        capacity = watch.stream.capacity
        return [child for child in watch.crew.writers if 0 < watch.sent_by(child) < watch.share_of(child) - capacity]

    def _note(self, part: float, text: str, style: str) -> None:
        self._watch.display.note(f"{part:4.0%}  {text}", style)
