"""One round: a new bus, its processes, what is done to them, and the check of what they wrote down."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from toroni import Bus
from toroni.testing import temporary_bus
from toroni.testing.chaos.checker import Findings, check
from toroni.testing.chaos.crew import Crew, Deeds, Member
from toroni.testing.chaos.log import Role, load
from toroni.testing.chaos.plan import Plan, Setting

_LOOK_SECONDS = 0.01
_MOST_FORKS = 3
# Nobody is stopped for longer than half a second.
_PATIENCE_SECONDS = 20.0


class StandstillError(Exception):
    """Nothing moves; the text says what is known."""


class InterruptedByUserError(Exception):
    """A signal asked for an end."""


class Round:
    """Runs a plan.

    Args:
        seed: for the deeds, and for what each process does.
        is_interrupted: whether it is to end at once.
        show: called now and then, with nothing to say.
    """

    def __init__(self, plan: Plan, seed: int, is_interrupted: Callable[[], bool], show: Callable[[], None]) -> None:
        self._plan, self._seed, self._chooser = plan, seed, Random(seed)
        self._is_interrupted, self._show = is_interrupted, show
        self.deeds = Deeds()

    def run(self) -> Findings:
        """What was found. Afterwards no process, bus or file of the round is left.

        Raises:
            InterruptedByUserError.
        """
        directory = Path(tempfile.mkdtemp(prefix="toroni-chaos-"))
        try:
            with temporary_bus(
                capacity=self._plan.capacity,
                max_readers=self._plan.max_readers,
                notifier=self._plan.notifier,
                role="writer",  # needs no thread: so this process can fork
            ) as bus:
                return self._run_on(bus, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _run_on(self, bus: Bus, directory: Path) -> Findings:
        lifeline = os.pipe()
        crew = Crew(Setting(bus.name, directory, lifeline, self._seed, self._plan), bus)
        self.deeds = crew.deeds
        try:
            crew.start_ticker()
            self._harass(crew, bus)
            self._end_all(crew, bus)
        except StandstillError as standstill:
            crew.complaints.append(str(standstill))
        finally:
            crew.kill_all()
            for end in lifeline:
                os.close(end)
        if crew.complaints:
            return Findings(violations=crew.complaints)
        posted = bus.stats().messages
        return check(load(directory, crew.deaths), bus.position, posted, self._plan.may_lose)

    def _harass(self, crew: Crew, bus: Bus) -> None:
        now = time.monotonic()
        end, next_deed = now + self._plan.seconds, now + 0.2
        moved, position = now, bus.position
        while now < end and not crew.complaints:
            crew.look()
            crew.fill_up()
            crew.continue_all(now)
            if now >= next_deed:
                next_deed = now + self._chooser.expovariate(1 / self._plan.hurry)
                self._do_something(crew)
            if bus.position != position:
                moved, position = now, bus.position
            elif now - moved > _PATIENCE_SECONDS:
                raise StandstillError(self._describe(crew, bus, "nothing moves"))
            now = self._pause()

    def _do_something(self, crew: Crew) -> None:
        victims = [member for member in crew.members if not member.is_ticker]
        if not victims:
            return
        member = self._chooser.choice(victims)
        kind = self._chooser.random()
        if kind < 0.4:
            crew.kill(member)
        elif kind < 0.7:
            crew.stop(member, self._chooser.choice([0.01, 0.1, 0.5]) * self._chooser.random())
        elif kind < 0.85:
            crew.leave(member)
        elif len(victims) < self._plan.writers + self._plan.readers + _MOST_FORKS:
            crew.fork(member)

    def _end_all(self, crew: Crew, bus: Bus) -> None:
        """First the writers, then the readers, who read the rest, then the one who wakes those."""
        while crew.is_starting:
            crew.look()
            self._pause()
        crew.continue_all(float("inf"))
        self._end_some(crew, bus, lambda member: member.role == Role.WRITER and not member.is_ticker)
        self._end_some(crew, bus, lambda member: member.role == Role.READER)
        self._end_some(crew, bus, lambda member: True)

    def _end_some(self, crew: Crew, bus: Bus, is_meant: Callable[[Member], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            crew.look()
            left = [member for member in crew.members if is_meant(member)]
            if not left:
                return
            if time.monotonic() > deadline:
                raise StandstillError(self._describe(crew, bus, "somebody does not leave"))
            for member in left:  # again and again: one may just have forked
                crew.leave(member)
            self._pause()

    def _pause(self) -> float:
        if self._is_interrupted():
            raise InterruptedByUserError
        self._show()
        time.sleep(_LOOK_SECONDS)
        return time.monotonic()

    def _describe(self, crew: Crew, bus: Bus, what: str) -> str:
        members = ", ".join(f"{Role(member.role).name.lower()} {member.pid}" for member in crew.members)
        readers = "; ".join(f"{info!r} waiting {info.waiting}" for info in bus.readers())
        return f"{what}: {members}; {readers}; {bus.stats()!r}, the lock's holder {bus.stats().lock_holder}"
