"""`toroni pub`: messages from the command line, a file, or standard input."""

from __future__ import annotations

import itertools
import json as json_format
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from toroni import Backpressure, Bus, Drop, Fail, MessageTooLarge, NoRoom, Overwrite, Wait
from toroni.cli.options import BusName, CommandError, Json, number
from toroni.cli.pacing import at_most, paced
from toroni.cli.records import Kind, read_records

Policy = Literal["wait", "overwrite", "drop", "fail"]

_OVERHEAD_BYTES = 10  # of a message, besides its topic


def pub(
    bus: BusName,
    topic: Annotated[str, typer.Argument(help="Such as /line1/temp.", show_default=False)],
    data: Annotated[str | None, typer.Argument(help="The message; none: see --file.", show_default=False)] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="From this file; - is standard input.  [default without DATA: -]",
        ),
    ] = None,
    records: Annotated[
        Kind | None,
        typer.Option(
            help="What a message is: a line, what a NUL ends, what a 32-bit little-endian length precedes, or all of "
            "it.  [default: lines of standard input, the whole of a file]",
            show_default=False,
        ),
    ] = None,
    descendants: Annotated[bool, typer.Option("--descendants", "-d", help="Also to all topics below.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e9, callback=number, help="Messages a second; none: as fast as can be."),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Messages at most.")] = None,
    repeat: Annotated[int, typer.Option(min=0, help="The same that often; 0 is for ever.")] = 1,
    backpressure: Annotated[Policy, typer.Option(help="What to do about slow readers.")] = "wait",
    patience: Annotated[
        float,
        typer.Option(min=0.0, callback=number, metavar="SECONDS", help="Of `wait`, then it overwrites; inf: never."),
    ] = 1.0,
    capacity: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of the ring, such as '64 MiB', if the bus is made.")
    ] = None,
    json: Json = False,
) -> int:
    """Posts messages to a topic.

    Exit status: 0; 1 if messages were dropped, or could not be posted; 2 if it cannot be done.
    """
    if data is not None and (file is not None or records is not None):
        raise CommandError("the message is DATA, so that --file and --records make no sense")
    is_file = file is not None and str(file) != "-"
    if data is None and not is_file and repeat != 1:
        raise CommandError("standard input can be read only once: --repeat wants DATA or --file")
    with (
        _opened(file) if file is not None and is_file else nullcontext(sys.stdin.buffer) as source,
        Bus(bus, role="writer", capacity=capacity, backpressure=_policy(backpressure, patience)) as to,
    ):
        publisher = _Publisher(to, topic, descendants)
        size = os.fstat(source.fileno()).st_size if is_file else 0
        with _progress(size * repeat) if size else nullcontext(_ignore) as note:
            if data is not None:
                batches: Iterator[list[bytes]] = ([os.fsencode(data)] for _ in _times(repeat))
            else:
                kind: Kind = records or ("whole" if is_file else "lines")
                batches = publisher.read(source, kind, repeat, note)
            try:
                for batch in paced(at_most(batches, count), rate):
                    publisher.post(batch)
            except BaseException:
                if publisher.messages:
                    print(f"toroni: {publisher.messages} messages had been posted when it ended", file=sys.stderr)
                raise
    if json:
        totals = {"messages": publisher.messages, "bytes": publisher.bytes, "dropped": publisher.dropped}
        print(json_format.dumps(totals))
    if publisher.dropped:
        print(f"toroni: {publisher.dropped} messages were dropped: readers are slow", file=sys.stderr)
    return 1 if publisher.dropped else 0


class _Publisher:
    def __init__(self, bus: Bus, topic: str, descendants: bool) -> None:
        self._bus, self._topic, self._descendants = bus, topic, descendants
        self.messages = self.bytes = self.dropped = 0

    def read(self, source: BinaryIO, kind: Kind, repeat: int, note: Callable[[int], object]) -> Iterator[list[bytes]]:
        """What a file has, `repeat` times."""
        most = self._bus.max_message - _OVERHEAD_BYTES - len(os.fsencode(self._topic))
        for again in _times(repeat):
            if again:
                source.seek(0)
            yield from read_records(source.fileno(), kind, most, note)

    def post(self, batch: list[bytes]) -> None:
        """Posts all, or raises; what was posted before is counted."""
        try:
            posted = self._bus.post_many(batch, topic=self._topic, descendants=self._descendants)
        except NoRoom as error:
            self._count(batch[: error.written])
            raise
        except MessageTooLarge:
            if len(batch) == 1:
                raise
            for one in batch:  # those before it are good
                self.post([one])
            return
        self._count(batch[:posted])
        self.dropped += len(batch) - posted

    def _count(self, posted: list[bytes]) -> None:
        self.messages += len(posted)
        self.bytes += sum(map(len, posted))


def _ignore(count: int) -> None:
    pass


def _times(repeat: int) -> Iterator[int]:
    return itertools.count() if repeat == 0 else iter(range(repeat))


def _policy(name: Policy, patience: float) -> Backpressure:
    if name == "wait":
        return Wait(None if patience == float("inf") else patience)
    others: dict[Policy, Backpressure] = {"overwrite": Overwrite(), "drop": Drop(), "fail": Fail()}
    return others[name]


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb", buffering=0)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    """Shown on a terminal, while it lasts; its context says how many bytes more have been read."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total or None)
        yield lambda count: progress.advance(task, count)
