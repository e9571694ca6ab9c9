"""Every message size at every ring index: the real implementation against the independent model.

The places where an implementation goes wrong are all near the end of the ring: tails too short for a
header, frames that leave exactly 5 bytes, padding and message that together exceed the capacity. So nothing
is sampled on the small ring, and on the larger one every index meets the sizes that matter there.

Each case moves the stream end to the wanted index by force, which is allowed because nobody is attached then,
and opens a reader that starts there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from format_model import PADDING, Frame, ModelRing, Placement, RawSegment, frames
from toroni import Wait, rmp

PATIENCE = 5.0  # seconds; only a failing case ever waits this long
COUNTING = bytes(range(1, 252))  # 251 is prime: no alignment repeats it
MOST_FAILURES = 5  # then the rest is not tried: each may cost the patience


def body_for(index: int, size: int) -> bytes:
    """Counting bytes that start elsewhere in each case: shifted and stale ones show."""
    first = (7 * index + 13 * size) % 251
    return (COUNTING[first:] + COUNTING * (size // len(COUNTING) + 1))[:size]


class Bench:
    """One stream, one writer thread for what needs two publications, and the ring seen from below."""

    def __init__(self, stream: rmp.Stream, segment: RawSegment, writer: ThreadPoolExecutor) -> None:
        self.stream = stream
        self.segment = segment
        self.writer = writer

    def try_case(self, index: int, size: int, *, watch_publications: bool) -> Iterator[str]:
        """Write and read one message that starts at this index, then a small one; yield what is wrong."""
        capacity = self.segment.capacity
        start = (self.segment.free_pos // capacity + 2) * capacity + index
        self.segment.set_free_pos(start)
        model = ModelRing(capacity, free_pos=start)
        body = body_for(index, size)
        pending: Future[int | None] | None = None
        try:
            with self.stream.reader(start="now") as reader:
                yield from differ("start", start, reader.position)
                placement = model.place(size)
                if placement.two_step:
                    pending = self.writer.submit(self.stream.write, body, backpressure=Wait(PATIENCE))
                    if watch_publications:
                        yield from self.first_publication(start, placement, pending)
                    received = reader.read(timeout=PATIENCE)
                    written = pending.result(timeout=2 * PATIENCE)
                else:
                    written = self.stream.write(body, backpressure=Wait(PATIENCE))
                    received = reader.read(timeout=PATIENCE)
                yield from self.compare(reader, model, body, written, received)
                yield from differ("read when there is nothing more", None, reader.read(timeout=0))
                small = b"<" + bytes([index % 251 + 1]) + b">"
                written = self.stream.write(small, backpressure=Wait(PATIENCE))
                yield from self.compare(reader, model, small, written, reader.read(timeout=PATIENCE))
        finally:
            if pending is not None:  # else it would write into the next case
                wait([pending], timeout=2 * PATIENCE)

    def compare(
        self, reader: rmp.Reader, model: ModelRing, body: bytes, written: int | None, received: bytes | None
    ) -> Iterator[str]:
        """Let the model do the same and yield every difference."""
        start = model.free_pos
        placement = model.append(body)
        yield from differ("body", body, received)
        yield from differ("position of the frame", placement.frame_position, written)
        yield from differ("stream.position", placement.end, self.stream.position)
        yield from differ("free_pos", placement.end, self.segment.free_pos)
        yield from differ("reader.position", placement.end, reader.position)
        yield from differ("reader.lost", 0, reader.lost)
        # What was published first may be overwritten by what was published second.
        first = placement.frame_position if placement.two_step else start
        expected = list(frames(model.data, first, placement.end))
        found = list(frames(self.segment.image(), first, placement.end))
        yield from differ("frames", shapes(expected), shapes(found))
        yield from differ("body in the ring", expected[-1].body, found[-1].body)

    def first_publication(self, start: int, placement: Placement, pending: Future[int | None]) -> Iterator[str]:
        """The skip must be visible alone while the reader stands before it."""
        deadline = time.monotonic() + PATIENCE
        while self.segment.free_pos == start and not pending.done() and time.monotonic() < deadline:
            wait([pending], timeout=0.0002)  # gives the interpreter lock to the writer
        yield from differ("first publication's end", placement.frame_position, self.segment.free_pos)
        skipped = [] if placement.padding is None else [(start, PADDING, placement.padding)]
        found = shapes(frames(self.segment.image(), start, placement.frame_position))
        yield from differ("first publication", skipped, found)


def shapes(found: Iterable[Frame]) -> list[tuple[int, int, int]]:
    """Frames without their bodies: what is inside padding is undefined."""
    return [(frame.position, frame.type, len(frame.body)) for frame in found]


def differ(what: str, expected: object, got: object) -> Iterator[str]:
    if expected != got:
        yield f"{what}: expected {expected!r:.200}, got {got!r:.200}"


def run_all(bench: Bench, cases: Iterable[tuple[int, int]], *, watch_publications: bool = False) -> None:
    """Try all (index, size) cases and fail with the first few that went wrong."""
    __tracebackhide__ = True  # the list says it all
    failures: list[str] = []
    tried = 0
    for index, size in cases:
        tried += 1
        wrong: list[str] = []
        try:
            for difference in bench.try_case(index, size, watch_publications=watch_publications):
                wrong += [difference]  # one by one: those before an exception count too
        except Exception as error:  # whatever it is: say at which index and size
            wrong.append(f"raised {error!r}")
        if wrong:
            failures.append(f"index {index}, size {size}:\n    " + "\n    ".join(wrong))
        if len(failures) == MOST_FAILURES:
            break
    assert tried > 0
    if failures:
        pytest.fail(f"{len(failures)} of {tried} cases tried are wrong\n" + "\n".join(failures))


@pytest.fixture
def make_bench(bus_name: str) -> Iterator[Callable[[int], Bench]]:
    """Makes one bench; a factory because the capacity differs."""
    opened: list[rmp.Stream | RawSegment] = []

    def make(capacity: int) -> Bench:
        stream = rmp.Stream(bus_name, capacity=capacity, max_readers=4)
        opened.append(stream)
        segment = RawSegment(Path("/dev/shm") / f"toroni-{bus_name}-rb")
        opened.append(segment)
        assert (stream.capacity, segment.capacity) == (capacity, capacity)
        return Bench(stream, segment, writer)

    with ThreadPoolExecutor(max_workers=1) as writer:
        yield make
    for thing in reversed(opened):
        thing.close()


def test_every_size_at_every_index_of_a_small_ring(make_bench: Callable[[int], Bench]) -> None:
    bench = make_bench(64)
    assert bench.stream.max_message == 59
    cases = ((index, size) for index in range(64) for size in range(1, 60))
    run_all(bench, cases, watch_publications=True)


CAPACITY = 4096
SIZES_THAT_MATTER: dict[str, Callable[[int], Iterable[int]]] = {  # by the bytes left to the end of the ring
    "tiny": lambda rest: (1, 2),
    "around the end": lambda rest: range(rest - 12, rest + 2),
    "around half": lambda rest: range(2040, 2053, 3),
    "largest": lambda rest: (CAPACITY - 11, CAPACITY - 10, CAPACITY - 6, CAPACITY - 5),
}


@pytest.mark.parametrize("sizes", SIZES_THAT_MATTER.values(), ids=SIZES_THAT_MATTER.keys())
def test_every_index_of_a_larger_ring(
    make_bench: Callable[[int], Bench], sizes: Callable[[int], Iterable[int]]
) -> None:
    bench = make_bench(CAPACITY)
    assert bench.stream.max_message == CAPACITY - 5
    run_all(
        bench,
        ((index, size) for index in range(CAPACITY) for size in sizes(CAPACITY - index) if 1 <= size <= CAPACITY - 5),
    )
