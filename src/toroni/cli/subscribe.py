"""`toroni sub` and `toroni tail`: messages as they come, and those that came before."""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from toroni import Bus, Message, MessagesLost, Reader
from toroni.cli.formats import Format, Formatter
from toroni.cli.options import BusName, CommandError, Descendants, Json, Topics, number, to_start, topics_of

TIMED_OUT = 3

_MOST_A_BATCH = 1024
_LOOK_EVERY_SECONDS = 1.0

_FORMAT = typer.Option(
    "--format", "-f", help="text and hex: lines for people; raw: payloads alone; length: each behind its 32-bit length."
)
_TIMESTAMPS = typer.Option("--timestamps", "-t", help="When each was received.")
_SAVE = typer.Option(
    metavar="DIR", help="Saves each payload in a file there, and shows its name instead.", file_okay=False
)


def sub(
    bus: BusName,
    topics: Topics = None,
    descendants: Descendants = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Ends after so many messages.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, callback=number, metavar="SECONDS", help="Ends if none came for so long.")
    ] = None,
    start: Annotated[
        str, typer.Option(help="now; oldest: with all that the ring still holds; or the position of a message.")
    ] = "now",
    format: Annotated[Format, _FORMAT] = "text",
    timestamps: Annotated[bool, _TIMESTAMPS] = False,
    save: Annotated[Path | None, _SAVE] = None,
    label: Annotated[str, typer.Option(help="What others see this reader called.")] = "toroni sub",
    json: Json = False,
) -> int:
    """Shows the messages of some topics, or of all, as they come.

    What it was too slow for is said on standard error. Exit status: 0; 3 if --timeout passed before --count was
    reached, or before anything came.
    """
    output = _Output("json" if json else format, timestamps, save)
    with Bus(bus, role="reader") as opened:
        names, below = topics_of(topics, descendants)
        with opened.subscribe(
            *names, descendants=below, start=to_start(start), label=label, on_loss=output.show_gap
        ) as reader:
            return _follow(opened, reader, output, count, timeout)


def tail(
    bus: BusName,
    topics: Topics = None,
    descendants: Descendants = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="So many at most.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-F", help="Then goes on with those that come.")] = False,
    format: Annotated[Format, _FORMAT] = "text",
    timestamps: Annotated[bool, _TIMESTAMPS] = False,
    save: Annotated[Path | None, _SAVE] = None,
    json: Json = False,
) -> int:
    """Shows the last messages that the ring still holds, also when every process has died."""
    output = _Output("json" if json else format, timestamps, save)
    with Bus(bus, role="reader", create=False) as opened:
        names, below = topics_of(topics, descendants)
        end = opened.position
        last: deque[Message] = deque(maxlen=count)
        later: list[Message] = []
        output.shows_gaps = False  # what is overwritten while the oldest are read is not missed
        with opened.subscribe(
            *names, descendants=below, start="oldest", label="toroni tail", on_loss=output.show_gap
        ) as reader:
            while reader.position < end and not later and (batch := reader.recv_many(_MOST_A_BATCH, timeout=0)):
                last.extend(one for one in batch if one.position < end)
                later = [one for one in batch if one.position >= end]
            output.show(last)
            if not follow:
                return 0
            output.show(later)
            output.shows_gaps = True
            return _follow(opened, reader, output, None, None)


class _Output:
    """Standard output, a batch of messages at a time."""

    def __init__(self, format: Format, timestamps: bool, save: Path | None) -> None:
        if save is not None:
            if format in ("raw", "length"):
                raise CommandError(f"--save shows the names of files, for which --format {format} has no place")
            try:
                save.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CommandError(f"cannot make {save}: {error.strerror}") from None
        self._formatter = Formatter(format, timestamps, save, sys.stdout.isatty())
        self.shows_gaps = True

    def show(self, messages: Iterable[Message]) -> None:
        sys.stdout.buffer.write(b"".join(map(self._formatter.message, messages)))
        sys.stdout.buffer.flush()

    def show_gap(self, loss: MessagesLost) -> None:
        if not self.shows_gaps:
            return
        print(f"toroni: {loss}", file=sys.stderr)
        sys.stdout.buffer.write(self._formatter.gap(loss))


def _follow(bus: Bus, reader: Reader, output: _Output, count: int | None, timeout: float | None) -> int:
    waiting = _Waiting(bus, reader)
    seen = 0
    while count is None or seen < count:
        most = _MOST_A_BATCH if count is None else min(_MOST_A_BATCH, count - seen)
        if batch := reader.recv_many(most, timeout=0):
            output.show(batch)
            seen += len(batch)
        elif not waiting.wait(timeout):
            break
    if (count is None and seen) or seen == count:
        return 0
    print(f"toroni: no message for {timeout} s; {seen} came before", file=sys.stderr)
    return TIMED_OUT


class _Waiting:
    """Waits for messages, and looks meanwhile whether there can be any and whether anybody wants them."""

    def __init__(self, bus: Bus, reader: Reader) -> None:
        self._bus = bus
        self._is_unlinked = False
        self._poll = select.poll()
        self._poll.register(reader.fileno(), select.POLLIN)
        self._output = sys.stdout.fileno()
        self._poll.register(self._output, 0)  # tells only that a pipe has no reader any more

    def wait(self, timeout: float | None) -> bool:
        """Whether there may be something; False after `timeout` seconds.

        Raises:
            BrokenPipeError: whoever read the output has gone.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LOOK_EVERY_SECONDS if end is None else min(_LOOK_EVERY_SECONDS, max(0.0, end - time.monotonic()))
            ready = dict(self._poll.poll(left * 1000))
            if ready.pop(self._output, 0) & select.POLLERR:
                raise BrokenPipeError
            if ready:
                return True
            if end is not None and time.monotonic() >= end:
                return False
            self._look_for_the_bus()

    def _look_for_the_bus(self) -> None:
        if not self._is_unlinked and self._bus.stats().is_unlinked:
            self._is_unlinked = True
            print(
                f"toroni: the bus {self._bus.name!r} was removed; only who had it open before can still post to it",
                file=sys.stderr,
            )
