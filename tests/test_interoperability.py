"""Our processes and foreign ones on the same bus, in every mix. `foreign_peer` stands in for C++ and Java."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import pytest

import toroni
from foreign_peer import Expired, ForeignBus, ForeignReader, ForeignWriter, Multicast, paths
from messages import is_whole, make_message, mixed_size, seed_of
from processes import Peer, peers
from toroni import Answer, Bus, Drop, Fail, NoRoom, SlowReaders, StreamRestarted, Wait, rmp, tp

CAPACITY = 64 * 1024
SLOTS = 8


@pytest.fixture(params=["made by us", "made by them"])
def bus(request: pytest.FixtureRequest, bus_name: str) -> Iterator[str]:
    """A bus of either origin."""
    if request.param == "made by them":
        ForeignBus(bus_name, CAPACITY, SLOTS)
        yield bus_name
    else:
        with rmp.Stream(bus_name, capacity=CAPACITY, max_readers=SLOTS, notifier="multicast"):
            yield bus_name


def foreign(bus: str) -> ForeignBus:
    return ForeignBus(bus, CAPACITY, SLOTS)


def sizes(chooser: random.Random) -> int:
    """What the older implementations can send without harm to themselves: padding and message within a capacity."""
    return min(mixed_size(chooser, CAPACITY), CAPACITY // 2 - 64)


# ---- processes of both kinds: write so many messages, or read so many and report them


def our_writer(pipe: Connection, bus: str, writer: int, messages: int) -> None:
    chooser = random.Random(writer)
    with rmp.Stream(bus, backpressure=Wait(None)) as stream:
        pipe.recv()
        number = 0
        while number < messages:
            batch = range(number, min(number + chooser.choice([1, 3, 50]), messages))
            stream.write_many([make_message(writer << 32 | seed, sizes(chooser)) for seed in batch])
            number = batch.stop
        pipe.send("done")


def foreign_writer(pipe: Connection, bus: str, writer: int, messages: int) -> None:
    chooser = random.Random(writer)
    theirs = ForeignWriter(foreign(bus), Multicast())
    pipe.recv()
    number = 0
    while number < messages:
        batch = range(number, min(number + chooser.choice([1, 3, 50]), messages))
        for seed in batch:
            theirs.write(make_message(writer << 32 | seed, sizes(chooser)))
        number = batch.stop
        theirs.notify()  # once for all of them
    pipe.send("done")


class Log:
    """What a reader saw, as one number, and whether each message was whole and each writer's came in order."""

    def __init__(self) -> None:
        self.messages = 0
        self._hash = hashlib.blake2b()
        self._last: dict[int, int] = {}

    def add(self, position: int, message: bytes) -> None:
        assert is_whole(message), position
        writer, number = seed_of(message) >> 32, seed_of(message) & 0xFFFFFFFF
        assert self._last.get(writer, -1) + 1 == number
        self._last[writer] = number
        self._hash.update(b"%d:%d;" % (position, seed_of(message)))
        self.messages += 1

    def result(self) -> tuple[int, str]:
        return self.messages, self._hash.hexdigest()


def our_reader(pipe: Connection, bus: str, messages: int) -> None:
    log = Log()
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("ready")
        while log.messages < messages:
            for position, message in reader.read_many(with_positions=True):
                log.add(position, message)
        assert reader.lost == 0
    pipe.send(log.result())


def foreign_reader(pipe: Connection, bus: str, messages: int) -> None:
    log, multicast = Log(), Multicast()
    reader = ForeignReader(foreign(bus))
    pipe.send("ready")
    while log.messages < messages:
        multicast.wait()
        for position, message in reader.run():
            log.add(position, message)
    reader.close()
    pipe.send(log.result())


WRITERS = {"our": our_writer, "foreign": foreign_writer}
READERS = {"our": our_reader, "foreign": foreign_reader}
MIXES = [
    (["our"], ["foreign"]),
    (["foreign"], ["our"]),
    (["our", "foreign"], ["our"]),
    (["our", "foreign"], ["foreign"]),
    (["our", "our", "foreign", "foreign"], ["our", "our", "foreign", "foreign"]),
]


@pytest.mark.parametrize(("writers", "readers"), MIXES, ids=lambda kinds: "+".join(kinds))
def test_every_reader_sees_every_message_in_one_order(bus: str, writers: list[str], readers: list[str]) -> None:
    each = 6000 // len(writers)
    with peers() as start:
        reading = []
        for kind in readers:  # one after the other: foreign_peer changes active_range without an atomic operation
            reading.append(start(READERS[kind], bus, each * len(writers)))
            assert reading[-1].receive() == "ready"
        writing = [start(WRITERS[kind], bus, number, each) for number, kind in enumerate(writers)]
        for peer in writing:
            peer.send("go")
        for peer in writing:
            assert peer.receive(120) == "done"
        results = [peer.receive(120) for peer in reading]
        assert results == [(each * len(writers), results[0][1])] * len(readers)
        for peer in reading + writing:
            peer.join()


# ---- waking


def test_a_message_wakes_readers_of_the_other_kind(bus: str) -> None:
    """The foreign reader waits on its socket for ever; ours would look once a second."""
    rounds = 30
    with peers() as start, Bus(bus) as ours, ours.subscribe("/a") as reader:
        theirs = start(foreign_reader_of_topics, bus, rounds)
        theirs.receive()
        began = time.monotonic()
        for number in range(rounds):
            ours.post("/a", b"%d" % number)
            assert theirs.receive() == ("/a", b"%d" % number)
        assert [message.data for message in reader.recv_many()] == [b"%d" % number for number in range(rounds)]
        answering = start(foreign_echo, bus, rounds)
        answering.receive()
        for number in range(rounds):
            answering.send(number)
            assert reader.recv(timeout=20).data == b"%d" % number  # type: ignore[union-attr]
        assert time.monotonic() - began < rounds  # most were announced


def foreign_reader_of_topics(pipe: Connection, bus: str, messages: int) -> None:
    multicast, reader = Multicast(), ForeignReader(foreign(bus))
    pipe.send("ready")
    while messages:
        multicast.wait()
        for _, body in reader.run():
            topic, payload = body[9:].split(b"\0", 1)
            pipe.send((topic.decode(), payload))
            messages -= 1


def foreign_echo(pipe: Connection, bus: str, messages: int) -> None:
    theirs = foreign(bus)
    writer = ForeignWriter(theirs, Multicast())
    pipe.send("ready")
    for _ in range(messages):
        payload = b"%d" % pipe.recv()
        writer.write(theirs.generation().to_bytes(8, "little") + b"\0" + b"/a\0" + payload)
        writer.notify()


# ---- backpressure


def test_a_foreign_reader_holds_our_writers_back_until_it_reads(bus: str) -> None:
    reader = ForeignReader(foreign(bus))
    with rmp.Stream(bus) as stream:
        written = 0
        while stream.write(make_message(written, 1000), backpressure=Drop()) is not None:
            written += 1
        with pytest.raises(NoRoom) as caught:
            stream.write(bytes(1000), backpressure=Fail())
        [slow] = caught.value.readers
        assert (slow.pid, slow.alive, slow.foreign, slow.label) == (os.getpid(), True, True, "")
        assert [seed_of(message) for _, message in reader.run()] == list(range(written))
        assert stream.write(bytes(1000), backpressure=Fail()) is not None
    reader.close()


def test_our_writer_wakes_foreign_readers_that_nobody_told_of_what_is_in_the_way(bus: str) -> None:
    """A writer that was killed before its notification leaves them asleep, and the ring full."""
    count = CAPACITY // 1024 - 1
    with peers() as start, rmp.Stream(bus) as stream:
        reading = start(foreign_reader, bus, count + 1)
        reading.receive()
        writer = ForeignWriter(foreign(bus), Multicast())
        for number in range(count):
            writer.write(make_message(number, 1019))
        assert stream.write(make_message(count, 1019), backpressure=Wait(20)) is not None
        assert reading.receive()[0] == count + 1


def test_our_reader_holds_foreign_writers_back_until_it_reads(bus: str) -> None:
    asked = 0

    def give_up() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with rmp.Stream(bus) as stream, stream.reader() as reader:
        writer = ForeignWriter(foreign(bus), Multicast(), give_up)
        written = 0
        while asked < 3:
            writer.write(make_message(written, 1000))
            written += 1
        with pytest.raises(toroni.MessagesLost) as caught:
            reader.read_many()
        assert caught.value.bytes == stream.position
        assert stream.stats().losses == foreign(bus).expired_readers.value == 1
        for number in range(1000):  # it reads, and nobody is asked any more
            writer.write(make_message(number, 1000))
            assert reader.read() == make_message(number, 1000)
        assert asked == 3


def test_our_reader_is_never_so_far_behind_that_foreign_writers_ignore_it(bus: str) -> None:
    """They take a reader that is exactly one capacity behind for overtaken already."""
    asked = 0

    def give_up() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    with rmp.Stream(bus) as stream, stream.reader() as reader:
        while stream.write(bytes(1019), backpressure=Drop()) is not None:  # frames of 1 KiB
            pass
        ForeignWriter(foreign(bus), Multicast(), give_up).write(bytes(1019))
        assert asked == 2
        assert len(reader.read_many()) == 64  # exactly: for us nothing is lost yet


def test_a_stuck_reader_costs_one_timeout_whatever_the_sizes(bus: str) -> None:
    """Of frames that fill the ring exactly the 64th ends one capacity behind it: overtaken, for all that count."""
    timeouts = 0

    def overwrite(slow: SlowReaders) -> Answer:
        nonlocal timeouts
        timeouts += 1
        return "overwrite"

    with rmp.Stream(bus, backpressure=overwrite) as stream, stream.reader() as reader:
        assert stream.write_many([bytes(1019)] * 200) == 200
        assert timeouts == 1
        with pytest.raises(toroni.MessagesLost):
            reader.read()


def hold_mutex(pipe: Connection, bus: str) -> None:
    theirs = foreign(bus)
    theirs.writer_mutex.lock()
    pipe.send("held")
    time.sleep(pipe.recv())
    theirs.writer_mutex.unlock()


def test_our_writers_wait_for_a_foreign_one_that_sleeps_with_the_mutex(bus: str) -> None:
    with peers() as start, rmp.Stream(bus) as stream:
        theirs = start(hold_mutex, bus)
        theirs.receive()
        theirs.send(2.0)
        assert stream.write(b"waits longer than Wait() for room", backpressure=Wait(0.1)) is not None
        theirs.join()
        stopped = start(hold_mutex, bus)
        stopped.receive()
        with pytest.raises(toroni.WriterStalled, match=f"process {stopped.pid} .*C\\+\\+ or Java"):
            stream.write(b"in vain", backpressure=Wait(0.1))


def test_our_writers_never_do_what_foreign_readers_take_for_loss(bus: str) -> None:
    """All sizes up to the largest, from many places: no five bytes at the end, no span of a whole capacity."""
    reader, chooser = ForeignReader(foreign(bus)), random.Random(5)
    with rmp.Stream(bus) as stream:
        assert stream.max_message == CAPACITY - 6
        for number in range(3000):
            to_end = CAPACITY - stream.position % CAPACITY
            near_the_end = [to_end - 5 - left for left in range(12)]
            size = chooser.choice([mixed_size(chooser, CAPACITY), *near_the_end, CAPACITY - 11, CAPACITY - 6])
            if not 8 <= size <= stream.max_message or size == CAPACITY - 10:
                continue  # the last one leaves five bytes wherever it is put
            message = make_message(number, size)
            while (end := stream.write(message, backpressure=Drop())) is None:  # padding first
                assert [body for _, body in reader.run()] == []
            assert list(reader.run()) == [(end, message)]
    reader.close()


def test_five_bytes_that_foreign_writers_leave_are_no_loss_for_us(bus: str) -> None:
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        writer = ForeignWriter(foreign(bus), Multicast(), avoids_five_bytes=False)
        for number in range(50):
            to_end = CAPACITY - stream.position % CAPACITY
            for size in (1000, to_end - 1000 - 5 - 5 - 5, 8):
                if size > CAPACITY // 2:
                    half = make_message(number, size // 2)
                    writer.write(half)
                    assert reader.read() == half
                    size -= size // 2 + 5
                message = make_message(number, size)
                writer.write(message)
                assert reader.read() == message
            assert stream.position % CAPACITY == 13  # five bytes were left, and passed
        assert reader.lost == 0


# ---- sizes, and the ways to make it wrong


def test_what_was_asked_for_differs_from_what_a_foreign_process_made(bus_name: str) -> None:
    ForeignBus(bus_name, CAPACITY, SLOTS)
    Bus(bus_name, capacity=CAPACITY, max_readers=SLOTS, notifier="multicast").close()
    for wrong, words in (
        ({"capacity": 2 * CAPACITY}, "a capacity of 65536, not 131072"),
        ({"max_readers": 9}, "max_readers 8, not 9"),
        ({"notifier": "futex"}, "notifier multicast 224.1.1.1:3334 on 127.0.0.1, not futex"),
        ({"notifier": "poll"}, "not poll"),
    ):
        with pytest.raises(toroni.BusMismatch, match=words):
            Bus(bus_name, **wrong)


def test_a_foreign_bus_may_be_notified_at_another_address(bus_name: str) -> None:
    """Its segments do not say where: who opens it does."""
    ForeignBus(bus_name, CAPACITY, SLOTS)
    elsewhere = toroni.Multicast(port=3335)
    with Bus(bus_name, notifier=elsewhere) as bus, bus.subscribe("/a") as reader:
        assert bus.notifier == elsewhere
        bus.post("/a", b"1")
        assert reader.recv().data == b"1"


# ---- making it at the same time


def make_foreign_slowly(pipe: Connection, bus: str, step: int) -> None:
    """As C++ processes do: -rb first, then -ri; each appears empty, then zero-filled, then gets its headers."""
    ring, info = paths(bus)
    steps: list[Callable[[], object]] = [
        lambda: ring.touch(0o600),
        lambda: os.truncate(ring, 80 + CAPACITY),
        lambda: info.touch(0o600),
        lambda: os.truncate(info, 32 + 56 * SLOTS),
    ]
    for do in steps[:step]:
        do()
    pipe.send("begun")
    pipe.recv()
    for do in steps[step:]:
        do()
    theirs, multicast = foreign(bus), Multicast()
    theirs.initialize()
    pipe.send("made")
    reader = ForeignReader(theirs)
    pipe.send("ready")
    multicast.wait()
    pipe.send([body for _, body in reader.run()])


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_bus_that_a_foreign_process_is_making(bus_name: str, step: int) -> None:
    with peers() as start:
        theirs = start(make_foreign_slowly, bus_name, step)
        theirs.receive()
        ours = start(open_and_write, bus_name)
        ours.receive()
        time.sleep(0.05)  # it looks meanwhile, and whatever it sees it must not make anything of its own
        theirs.send("go on")
        assert theirs.receive() == "made"
        assert theirs.receive() == "ready"
        ours.send("write")
        assert theirs.receive() == [b"hello"]


def open_and_write(pipe: Connection, bus: str) -> None:
    pipe.send("opening")
    with rmp.Stream(bus, notifier="multicast") as stream:
        assert stream.stats().is_foreign
        pipe.recv()
        stream.write(b"hello")


def test_a_foreign_maker_that_died(bus_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toroni._opening._PATIENCE_SECONDS", 0.05)
    ring, _ = paths(bus_name)
    for length, words in ((0, "empty"), (80 + CAPACITY, "not initialised")):
        ring.touch()
        os.truncate(ring, length)
        with pytest.raises(toroni.BusNotReady, match=words):
            Bus(bus_name)
        assert toroni.unlink(bus_name)
    ForeignBus(bus_name, CAPACITY, SLOTS)
    os.unlink(paths(bus_name)[1])
    with pytest.raises(toroni.BusNotReady, match="is there without"):
        Bus(bus_name)
    assert toroni.unlink(bus_name)


def test_raced_by_makers_of_both_kinds_all_are_on_one_bus(bus_name: str) -> None:
    for _ in range(25):
        with peers() as start:
            both = [start(race_ours, bus_name), start(race_theirs, bus_name)]
            for peer in both:
                peer.receive()
            for peer in both:
                peer.send("go")
            assert [peer.receive() for peer in both] == ["made", "made"]
            for peer in both:
                peer.send("post")
            seen = [peer.receive() for peer in both]
            assert seen == [{b"from us", b"from them"}] * 2
        toroni.unlink(bus_name)


def race_ours(pipe: Connection, bus: str) -> None:
    pipe.send("ready")
    pipe.recv()
    time.sleep(random.random() / 500)
    stream = rmp.Stream(bus, capacity=CAPACITY, max_readers=SLOTS, notifier="multicast")
    with stream, stream.reader() as reader:
        pipe.send("made")
        pipe.recv()
        stream.write(b"from us")
        pipe.send({reader.read(), reader.read()})


def race_theirs(pipe: Connection, bus: str) -> None:
    pipe.send("ready")
    pipe.recv()
    time.sleep(random.random() / 500)
    theirs = foreign(bus)
    theirs.wait_until_initialized()
    reader = ForeignReader(theirs)
    pipe.send("made")
    pipe.recv()
    ForeignWriter(theirs, multicast := Multicast()).write(b"from them")
    multicast.send()
    seen: set[bytes] = set()
    while len(seen) < 2:
        seen |= {body for _, body in reader.run()}
        time.sleep(0.001)
    pipe.send(seen)


# ---- deaths


STEPS = ["the lock", "the padding", "half a body", "a body", "a publication"]


def die_writing(pipe: Connection, bus: str, step: str, size: int) -> None:
    writer = ForeignWriter(foreign(bus), Multicast())
    writer.reached = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == step else None
    writer.write(make_message(1, size))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("position", [100, CAPACITY - 300], ids=["in the middle", "at the end"])
def test_a_foreign_writer_killed_with_the_mutex(bus: str, step: str, position: int) -> None:
    with peers() as start, rmp.Stream(bus) as stream, stream.reader() as reader:
        while stream.position < position:
            stream.write(bytes(min(20_000, max(1, position - stream.position - 5))))
            reader.read_many()
        dying = start(die_writing, bus, step, 500)
        dying.process.join()
        assert dying.process.exitcode == -signal.SIGKILL
        whole = [make_message(1, 500)] if step == "a publication" else []
        assert reader.read_many(timeout=0) == whole
        for number in range(2, 200):  # beyond a lap
            assert stream.write(make_message(number, 700), backpressure=Fail()) is not None
            assert reader.read() == make_message(number, 700)
        ForeignWriter(foreign(bus), Multicast()).write(b"next")
        assert reader.read() == b"next"


def hold(pipe: Connection, bus: str, kind: str) -> None:
    """Be a reader until killed."""
    if kind == "our":
        with rmp.Stream(bus) as stream, stream.reader():
            pipe.send("ready")
            signal.pause()
    reader = ForeignReader(foreign(bus))
    pipe.send("ready")
    signal.pause()
    reader.close()


@pytest.mark.parametrize("dying", ["our", "foreign"])
def test_a_killed_reader_frees_its_slot_for_either_kind(bus: str, dying: str) -> None:
    with peers() as start, rmp.Stream(bus) as stream:
        holding = [start(hold, bus, dying) for _ in range(SLOTS)]
        for peer in holding:
            peer.receive()
        with pytest.raises(toroni.NoFreeSlot, match=r"\(C\+\+ or Java\)" if dying == "foreign" else "pid"):
            stream.reader()
        with pytest.raises(LookupError):
            ForeignReader(foreign(bus))
        for peer in holding:
            peer.kill()
        for _ in range(200):  # nobody is waited for
            assert stream.write(bytes(1000), backpressure=Fail()) is not None
        theirs = ForeignReader(foreign(bus))
        with stream.reader() as ours:
            stream.write(b"to both")
            assert ours.read() == b"to both"
            assert [body for _, body in theirs.run()] == [b"to both"]
        theirs.close()


class Cast:
    """The processes of a test that kills some: each role is played by somebody at any time."""

    def __init__(self, start: object, bus: str) -> None:
        self._start, self._bus = start, bus
        self.number = 0

    def writer(self, kind: str) -> Peer:
        self.number += 1
        peer: Peer = self._start(WRITERS[kind], self._bus, self.number, 10**9)  # type: ignore[operator]
        peer.send("go")
        return peer

    def reader(self, kind: str) -> Peer:
        peer: Peer = self._start(until_told, self._bus, kind)  # type: ignore[operator]
        assert peer.receive() == "ready"
        return peer


def until_told(pipe: Connection, bus: str, kind: str) -> None:
    """Reads until told to stop; then says what it saw between two positions that it is told."""
    seen: list[tuple[int, int]] = []
    last: dict[int, int] = {}

    def see(position: int, message: bytes) -> None:
        assert is_whole(message), position
        writer, number = seed_of(message) >> 32, seed_of(message) & 0xFFFFFFFF
        assert last.get(writer, number - 1) + 1 == number, "a message of a writer is missing"
        last[writer] = number
        seen.append((position, seed_of(message)))

    if kind == "our":
        with rmp.Stream(bus) as stream, stream.reader() as reader:
            pipe.send("ready")
            while not pipe.poll():
                for position, message in reader.read_many(timeout=0.05, with_positions=True):
                    see(position, message)
            assert reader.lost == 0
    else:
        theirs = ForeignReader(foreign(bus))
        pipe.send("ready")
        while not pipe.poll():
            for position, message in theirs.run():
                see(position, message)
            time.sleep(0.001)
        theirs.close()
    pipe.send((seen[0][0], seen[-1][0]))
    pipe.recv()
    first, end = pipe.recv()
    pipe.send([entry for entry in seen if first <= entry[0] <= end])


def test_kills_among_both_kinds(bus: str, request: pytest.FixtureRequest) -> None:
    """Writers and readers of both kinds killed at random moments and replaced: nobody else misses anything."""
    chooser = random.Random(7)
    with peers() as start:
        cast = Cast(start, bus)
        survivors = [cast.reader("our"), cast.reader("foreign")]
        mortal = {("reader", kind): cast.reader(kind) for kind in READERS}
        mortal |= {("writer", kind): cast.writer(kind) for kind in WRITERS}
        kills = 0
        end = time.monotonic() + request.config.getoption("--kill-seconds")
        while time.monotonic() < end:
            role = chooser.choice(list(mortal))
            time.sleep(chooser.random() / 10)
            mortal[role].kill()
            mortal[role].forget()
            mortal[role] = getattr(cast, role[0])(role[1])  # who takes a dead slot lets foreign writers go on
            kills += 1
        for kind in WRITERS:
            mortal["writer", kind].kill()
        for peer in survivors:
            peer.send("stop")
        spans = [peer.receive() for peer in survivors]
        common = (max(first for first, _ in spans), min(last for _, last in spans))
        for peer in survivors:
            peer.send(common)
        ours, theirs = (peer.receive() for peer in survivors)
        assert ours == theirs
        assert len(ours) > 1000
        print(f"{len(ours)} messages, {kills} kills")
        assert kills > 5


# ---- fresh headers over a bus in use


def test_a_foreign_process_initialises_a_bus_in_use(bus: str) -> None:
    with Bus(bus) as ours, ours.subscribe("/a") as reader:
        for _ in range(100):
            ours.post("/a", bytes(1000))
            reader.recv()
        theirs = foreign(bus)
        theirs.initialize()
        with pytest.raises(StreamRestarted):
            reader.recv(timeout=0)
        ours.post("/a", b"anew")
        assert reader.recv().data == b"anew"
        writer = ForeignWriter(theirs, Multicast())
        writer.write(tp.encode("/a", b"from them", generation=theirs.generation()))
        assert reader.recv().data == b"from them"
        assert [info.alive for info in ours.readers()] == [True]


def test_expired_is_what_the_stand_in_says() -> None:
    """It is as strict as the older implementations are: the tests above rely on it."""
    name = f"pytest-strict-{os.getpid()}"
    try:
        theirs = ForeignBus(name, 64, 1)
        reader = ForeignReader(theirs)
        writer = ForeignWriter(theirs, Multicast(), lambda: True, avoids_five_bytes=False)
        writer.write(b"x" * 54)
        assert [body for _, body in reader.run()] == [b"x" * 54]
        writer.write(b"y" * 20)  # behind a padding frame of length 0
        with pytest.raises(Expired, match="length 0"):
            list(reader.run())
        reader.close()
    finally:
        rmp.unlink(name)
