"""A reader process: reads in one of all ways, now and then too slowly, and notes what came and what was lost."""

from __future__ import annotations

import asyncio
import select
import time
import zlib
from collections.abc import Sequence

from toroni import Bus, Message, MessagesLost, NoFreeSlot, Reader, tp
from toroni.testing.chaos.log import ALL_LANES, UNKNOWN, Kind, Record, Role
from toroni.testing.chaos.plan import LANES, Setting
from toroni.testing.chaos.process import Process

WAYS = ("recv", "recv_many", "recv_columns", "iterate", "borrow", "descriptor", "dispatch", "asyncio", "async_for")
_TIMEOUT = 0.05
_CALLS_TO_LEAVE = 10_000


def read(setting: Setting) -> None:
    """Reads until asked to leave, and then what is there."""
    process = ReaderProcess(setting)
    with Bus(setting.bus, role=process.chooser.choice(["both", "reader"])) as bus:
        process.run(bus)
    process.end()


class ReaderProcess(Process):
    """This process, and how far it has come."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, Role.READER)
        chooser = self.chooser
        self.way = chooser.choice(WAYS)
        self._pause = chooser.choice([0.0, 0.0, 0.002, 0.02])
        self._covered = 0  # everything before this position has come, or was lost
        self._is_historic = chooser.random() < 0.4
        self._lane = ALL_LANES if chooser.random() < 0.75 else chooser.randrange(LANES)
        losses = ["raise", "call", *["skip"] * (self._is_historic and self._lane == ALL_LANES)]
        self._on_loss = chooser.choice(losses)
        self._skipped: int | None = 0  # messages, as the reader counts them

    def run(self, bus: Bus) -> None:
        """Makes the reader and reads."""
        reader = self._subscribe(bus)
        if reader is None:
            return
        self._reader = reader
        try:
            while not self.is_leaving:
                self._read_some(bus, reader)
                if self.has_forked():
                    self._note_start()
            self._read_the_rest(bus, reader)
            self.weigh()
        except NoFreeSlot:  # a forked child may find none
            pass
        finally:
            reader.close()

    # ---- beginning

    def _subscribe(self, bus: Bus) -> Reader | None:
        while not self.is_leaving:
            before = tp.generation(bus)
            try:
                reader = self._make_reader(bus)
            except NoFreeSlot:
                time.sleep(0.02)
                continue
            self._generations = before, tp.generation(bus)
            self._covered = reader.position
            self._note_start()
            return reader
        return None

    def _make_reader(self, bus: Bus) -> Reader:
        topic = "/" if self._lane == ALL_LANES else f"/{self._lane}"
        topics = () if self.way == "dispatch" else (topic,)
        reader = bus.subscribe(
            *topics,
            descendants=True,
            start="oldest" if self._is_historic else "now",
            label=f"{self.number} {self.way}",
            on_loss=self.lose if self._on_loss == "call" else self._on_loss,  # type: ignore[arg-type]
        )
        if self.way == "dispatch":
            reader.on(topic, self._handle, descendants=True, history=self._is_historic)
        return reader

    def _note_start(self) -> None:
        before, after = self._generations
        self.log.add(
            Record(Kind.START, self.number, self._lane, after, self._covered, before, size=int(self._is_historic))
        )

    # ---- what the log says

    def take(self, messages: Sequence[Message]) -> None:
        """Notes what came."""
        self._see([(m.position, m.topic, len(m.data), zlib.crc32(m.data)) for m in messages])

    def _handle(self, message: Message) -> None:
        self._note_skipped(message.position)
        self.take([message])

    def _see(self, seen: Sequence[tuple[int, str, int, int]]) -> None:
        records = []
        for position, topic, size, checksum in seen:
            _, _, writer, sequence = topic.split("/")
            records.append(Record(Kind.SEEN, int(writer), 0, int(sequence), position, 0, size, checksum))
        self.log.add(*records)
        self._covered = seen[-1][0] + 1

    def lose(self, lost: MessagesLost) -> None:
        """Notes an announced loss."""
        count = UNKNOWN if lost.messages is None else lost.messages
        begin = lost.from_position
        if self._on_loss == "skip":  # of a borrowed message, which is told all the same
            self._skipped = self._reader.lost_messages
            begin = max(begin, self._covered)  # padding before it may be in the gap that was noted when it was lent
        self.log.add(Record(Kind.GAP, self.number, 0, count, begin, lost.to_position))
        self._covered = lost.to_position

    def _note_skipped(self, first: int) -> None:
        """A reader that skips says only how many: then they are all between what came last and what comes next."""
        count = self._reader.lost_messages
        if self._on_loss != "skip" or count == self._skipped:
            return
        number = UNKNOWN if count is None or self._skipped is None else count - self._skipped
        self._skipped = count
        self.log.add(Record(Kind.GAP, self.number, 0, number, self._covered, first))
        self._covered = first

    def _come_to(self, position: int) -> None:
        """Nothing was there any more, which had been posted before the stream reached this position."""
        if self._on_loss != "skip" or self._reader.lost_messages == self._skipped:
            self.log.add(Record(Kind.UPTO, self.number, position=position))
            self._covered = max(self._covered, position)

    # ---- the ways

    def _read_some(self, bus: Bus, reader: Reader) -> None:
        if self._pause and self.chooser.random() < 0.3:
            time.sleep(self.chooser.random() * self._pause)
        end = bus.position
        try:
            if self.way in ("asyncio", "async_for"):
                asyncio.run(self._read_in_asyncio(reader))
            elif self.way == "iterate":
                self._iterate(reader)
            elif self.way == "borrow":
                self._borrow(reader, end)
            else:
                self._receive(reader, end)
        except MessagesLost as lost:
            self.lose(lost)

    def _receive(self, reader: Reader, end: int) -> None:
        if self.way == "recv":
            message = reader.recv(timeout=_TIMEOUT)
            messages = [] if message is None else [message]
        elif self.way == "recv_many":
            messages = reader.recv_many(self.chooser.choice([1, 10, 500]), timeout=_TIMEOUT)
        elif self.way == "recv_columns":
            messages = list(reader.recv_columns(self.chooser.choice([1, 10, 5000]), timeout=_TIMEOUT))
        else:
            select.select([reader], [], [], _TIMEOUT)
            if self.way == "dispatch":
                reader.dispatch()
                return
            messages = reader.recv_many(self.chooser.choice([1, 10, 500]), timeout=0)
        if messages:
            self._note_skipped(messages[0].position)
            self.take(messages)
        else:
            self._come_to(end)

    def _iterate(self, reader: Reader) -> None:
        for message in reader:
            self._note_skipped(message.position)
            self.take([message])
            if self.is_leaving or self.wants_fork or self._pause:
                break

    def _borrow(self, reader: Reader, end: int) -> None:
        borrowed = reader.borrow(timeout=_TIMEOUT)
        if borrowed is None:
            self._come_to(end)
            return
        self._note_skipped(borrowed.position)
        with borrowed:
            if self._pause and self.chooser.random() < 0.1:
                time.sleep(self.chooser.random() * self._pause)
            seen = borrowed.position, borrowed.topic, len(borrowed.data), zlib.crc32(borrowed.data)
        self._see([seen])

    async def _read_in_asyncio(self, reader: Reader) -> None:
        while not (self.is_leaving or self.wants_fork):
            if self._pause and self.chooser.random() < 0.3:
                await asyncio.sleep(self.chooser.random() * self._pause)
            if self.way == "async_for":
                async for message in reader:
                    self._note_skipped(message.position)
                    self.take([message])
                    if self.is_leaving or self.wants_fork or self._pause:
                        break
                continue
            try:
                messages = await asyncio.wait_for(reader.recv_many_async(100), self.chooser.choice([_TIMEOUT, 0.001]))
            except asyncio.TimeoutError:
                continue
            self._note_skipped(messages[0].position)
            self.take(messages)

    def _read_the_rest(self, bus: Bus, reader: Reader) -> None:
        end = bus.position
        for _ in range(_CALLS_TO_LEAVE):
            try:
                messages = reader.recv_many(1000, timeout=0)
            except MessagesLost as lost:
                self.lose(lost)
                continue
            if not messages:
                self._come_to(end)
                return
            self._note_skipped(messages[0].position)
            self.take(messages)
            if messages[-1].position >= end:
                return
