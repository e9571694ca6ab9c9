"""A writer process: posts in all ways, with all policies, and notes what it knows of each message."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from toroni import AsyncWriter, Backpressure, Bus, Drop, NoRoom, Overwrite, WriterStalled, tp
from toroni.testing.chaos.log import UNKNOWN, Fate, Kind, Record, Role
from toroni.testing.chaos.plan import LANES, Setting, draw_payload, draw_policy
from toroni.testing.chaos.process import Process

Draft = tuple[str, memoryview]
_MOST_IN_A_BATCH = 40
_TICK_SECONDS = 0.02


def write(setting: Setting) -> None:
    """Posts until asked to leave."""
    process = WriterProcess(setting)
    with Bus(setting.bus, role=process.chooser.choice(["both", "writer"])) as bus:
        process.run(bus)
        process.weigh()
    process.end()


def tick(setting: Setting) -> None:
    """Posts a small message now and then, so that no reader waits for one in vain; nothing is done to this process."""
    process = WriterProcess(setting)
    with Bus(setting.bus, role="writer") as bus:
        while not process.is_leaving:
            process.post(bus, process.draft(bus, most_bytes=1), Drop())
            time.sleep(_TICK_SECONDS)
        process.post(bus, process.draft(bus, most_bytes=1), Overwrite())  # counts what a killed writer has not counted
    process.end()


class WriterProcess(Process):
    """This process, and the next message's sequence number."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, Role.WRITER)
        self._sequence = 0
        self._ways: list[Callable[[Bus], None]] = [
            *[self._post_one] * 10, *[self._post_many] * 3, self._post_queued, self._post_in_asyncio
        ]  # fmt: skip

    def run(self, bus: Bus) -> None:
        """One deed after the other, at a pace of its own."""
        pause = self.chooser.choice([0.0, 0.001, 0.01])
        while not self.is_leaving:
            self.chooser.choice(self._ways)(bus)
            if pause and self.chooser.random() < 0.5:
                time.sleep(self.chooser.random() * pause)
            if self.has_forked():
                self._sequence = 0

    # ---- what the log says

    def draft(self, bus: Bus, most_bytes: int | None = None) -> Draft:
        """The next message, noted as an intent."""
        lane = self.chooser.randrange(LANES)
        topic = f"/{lane}/{self.number}/{self._sequence}"
        data = draw_payload(self.chooser, bus.max_message - len(topic) - 10)
        data = data if most_bytes is None else data[:most_bytes]
        self.log.add(
            Record(
                Kind.INTENT, self.number, lane, self._sequence, bus.position, tp.generation(bus),
                len(data), zlib.crc32(data),
            )
        )  # fmt: skip
        self._sequence += 1
        return topic, data

    def _drafts(self, bus: Bus) -> list[Draft]:
        return [self.draft(bus) for _ in range(self.chooser.randint(2, _MOST_IN_A_BATCH))]

    def _note(self, bus: Bus, first: int, *fates: tuple[Fate, int], position: int = UNKNOWN) -> None:
        after, generation = bus.position, tp.generation(bus)
        records = []
        for fate, count in fates:
            if count:
                records.append(Record(Kind.OUTCOME, self.number, fate, first, position, after, count, generation))
            first += count
        self.log.add(*records)

    # ---- the ways

    def post(self, bus: Bus, draft: Draft, policy: Backpressure) -> None:
        """One message."""
        first = self._sequence - 1
        descendants = self.chooser.random() < 0.2
        try:
            position = bus.post(draft[0], draft[1], descendants=descendants, backpressure=policy)
        except NoRoom:
            position = None
        except WriterStalled:
            self._note(bus, first, (Fate.UNSURE, 1))
            return
        if position is None:
            self._note(bus, first, (Fate.DROPPED, 1))
        else:
            self._note(bus, first, (Fate.POSTED, 1), position=position)

    def _post_one(self, bus: Bus) -> None:
        self.post(bus, self.draft(bus), self._draw_policy())

    def _draw_policy(self) -> Backpressure:
        return draw_policy(self.chooser, self.setting.plan.may_lose)

    def _post_many(self, bus: Bus) -> None:
        first, drafts = self._sequence, self._drafts(bus)
        try:
            written = bus.post_many(drafts, backpressure=self._draw_policy())
        except NoRoom as error:
            written = error.written
        except WriterStalled:
            self._note(bus, first, (Fate.UNSURE, len(drafts)))
            return
        self._note(bus, first, (Fate.POSTED, written), (Fate.DROPPED, len(drafts) - written))

    def _post_queued(self, bus: Bus) -> None:
        first = self._sequence
        policy = self._draw_policy()
        with ThreadPoolExecutor(1) as pool:
            queue = bus.async_writer(pool, backpressure=policy)
            self._fill(bus, queue)
            while queue.pending:
                try:
                    queue.flush(timeout=0.1)
                except (NoRoom, WriterStalled):  # still queued
                    time.sleep(0.001)
            queue.close()
        self._note_queue(bus, first, queue)

    def _post_in_asyncio(self, bus: Bus) -> None:
        asyncio.run(self._post_awaited(bus))

    async def _post_awaited(self, bus: Bus) -> None:
        first = self._sequence
        queue = bus.async_writer(backpressure=self._draw_policy())
        self._fill(bus, queue)
        while queue.pending:
            try:
                await queue.flush_async()
            except (NoRoom, WriterStalled):
                await asyncio.sleep(0.001)
        await queue.close_async()
        self._note_queue(bus, first, queue)

    def _fill(self, bus: Bus, queue: AsyncWriter) -> None:
        for topic, data in self._drafts(bus):
            while True:
                try:
                    queue.post(topic, data)
                except (NoRoom, WriterStalled):  # of an earlier job; this message is not queued
                    continue
                break

    def _note_queue(self, bus: Bus, first: int, queue: AsyncWriter) -> None:
        count = self._sequence - first
        fate = Fate.UNSURE if 0 < queue.dropped < count else Fate.DROPPED if queue.dropped else Fate.POSTED
        self._note(bus, first, (fate, count))
