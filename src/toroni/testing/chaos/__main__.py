"""`python -m toroni.testing.chaos`: options, signals, summary, exit status."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from random import Random

from toroni import ToroniError
from toroni.testing.chaos.checker import Findings
from toroni.testing.chaos.crew import Deeds
from toroni.testing.chaos.display import Display
from toroni.testing.chaos.plan import draw_plan
from toroni.testing.chaos.process import adopt_orphans
from toroni.testing.chaos.round import InterruptedByUserError, Round

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_VIOLATIONS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs chaos for a while. It is to have a process of its own: it takes all dead children for its own.

    Returns:
        The exit status: 0 all is right, 1 something is not, 2 wrong options or no room for a bus, 128 + n ended by
        signal n (130: Ctrl-C).
    """
    options = _parser().parse_args(arguments)
    noted: list[int] = []
    for number in _STOPPING:  # only noted: nothing is interrupted half-way
        signal.signal(number, lambda number, frame: noted.append(number))
    adopt_orphans()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    run = _Run(options.seconds, seed, noted)
    try:
        with run.display:
            run.run()
    except InterruptedByUserError:
        print(f"{run.summary()}\nStopped on request; all processes are ended and the bus is removed.")
        return 128 + noted[0]
    except ToroniError as error:
        print(f"toroni.testing.chaos: {error}", file=sys.stderr)
        return 2
    print(run.summary())
    return run.verdict()


class _Run:
    """Rounds until the time is over or something is wrong."""

    def __init__(self, seconds: float, seed: int, noted: list[int]) -> None:
        self._seconds, self._seed, self._noted = seconds, seed, noted
        self._rounds, self._deeds, self._findings = 0, Deeds(), Findings()
        self.display = Display(seconds)

    def run(self) -> None:
        self.display.note(f"seed {self._seed}")
        end = time.monotonic() + self._seconds
        while (left := end - time.monotonic()) > 0 and not self._findings.violations:
            seed = self._seed * 1000 + self._rounds
            self._rounds += 1
            plan = draw_plan(Random(seed), max(left, 1.0))
            current = Round(plan, seed, lambda: bool(self._noted), self.display.show)
            try:
                found = current.run()
            finally:
                self._deeds.add(current.deeds)
            self._findings.add(found)
            if found.violations:
                self.display.note(f"round {self._rounds}: {plan}")
            self.display.show(self.summary())

    def summary(self) -> str:
        """One line."""
        deeds, found = self._deeds, self._findings
        return (
            f"{self._rounds} rounds: {found.messages:,} messages, seen {found.seen:,} times; {deeds.kills} kills, "
            f"{deeds.stops} stops, {deeds.forks} forks, {deeds.joins} joins; {found.gaps:,} gaps of {found.lost:,} "
            f"messages ({found.exact_gaps:,} counted exactly, {found.uncounted_gaps:,} came without a number); "
            f"{found.checks:,} checks; most growth of a process {found.growth:,} KiB"
        )

    def verdict(self) -> int:
        """Says it; returns the exit status."""
        violations = self._findings.violations
        if not violations:
            print("All is right: one order, each message whole and once, each gap announced.")
            return 0
        print(f"FAILED with seed {self._seed} in round {self._rounds}:")
        for text in violations[:_MOST_VIOLATIONS]:
            print(f"  {text}")
        if len(violations) > _MOST_VIOLATIONS:
            print(f"  and {len(violations) - _MOST_VIOLATIONS} more")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toroni.testing.chaos",
        description="Starts writers and readers of all kinds on small and large rings; kills, stops, forks and "
        "replaces them at random; and checks that what all of them wrote and read fits together.",
    )
    parser.add_argument("--seconds", type=_positive, default=60.0, help="how long; default 60")
    parser.add_argument("--seed", type=int, help="decides sizes, policies and who suffers what; default random")
    return parser


def _positive(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"must be more than 0; got {text}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
