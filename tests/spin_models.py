"""Checks the models of the protocol in models/ with Spin, all of their states: `make spin`, and test_spin_models.py.

A model as it is must be found free of errors; each variant, which leaves out or reorders a step of the protocol, must
be found to violate the very claim that the step is there for.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent.parent / "models"
STUCK = "invalid end state"
MEGABYTES = 12_000  # of memory, at most


@dataclass(frozen=True)
class Case:
    """One search: a model, the macros that make it a variant or bound it, and what must be found."""

    model: str
    variant: str = ""
    bounds: str = ""
    finds: str = ""  # nothing; else the claim that is violated, or STUCK

    def __str__(self) -> str:
        return " ".join(filter(None, [self.model, self.variant, self.bounds]))

    @property
    def macros(self) -> list[str]:
        return [f"-D{macro}" for macro in [*self.variant.split(), *self.bounds.split()]]


@dataclass(frozen=True)
class Found:
    """What Spin said."""

    violation: str  # nothing if there was none
    complete: bool  # every state was looked at
    states: int
    seconds: float

    def is_expected(self, case: Case) -> bool:
        return self.violation == case.finds and (self.complete or bool(case.finds))


def variants(model: str, bounds: str, violated: dict[str, str]) -> list[Case]:
    return [Case(model, variant, bounds, claim) for variant, claim in violated.items()]


SOUND = [
    Case("stream", bounds="LIMIT=5"),
    Case("waking", bounds="MESSAGES=1"),
    Case("activation", bounds="WRITERS=1 LIMIT=5"),
    Case("room", bounds="MESSAGES=1"),
    Case("landmarks", bounds="CAPACITY=4 LIMIT=5"),
]

VARIANTS = [
    *variants(
        "stream",
        "LIMIT=5",
        {
            "WITHOUT_CLAIM": "misread",
            "WITHOUT_CLAIM_FENCE": "misread",
            "CLAIM_LOWERED": "misread",
            "WITHOUT_RELEASE": "torn",
            "SKIPPED_UNCHECKED": "misread",
            "OWN_POSITION": "misread",
            "CHECK_BEFORE_COPY": "torn",
        },
    ),
    *variants(
        "waking",
        "MESSAGES=1",
        {
            "BIT_AFTER_LOOK": "needed_the_look",
            "SEQUENCE_AFTER_LOOK": "needed_the_look",
            "WITHOUT_SEQUENCE": "needed_the_look",
            "WITHOUT_WRITER_FENCE": "needed_the_look",
            "BITS_TAKEN": "needed_the_look",
            "WOKEN_BEFORE_THE_CALL": "needed_the_look",
            "SEQUENCE_READ_AGAIN": "needed_the_look",
            "SLEEP_UNNOTED": "needed_the_look",
            "WITHOUT_LOOK_AGAIN": "left_unread",
        },
    ),
    *variants(
        "activation",
        "WRITERS=1 LIMIT=5",
        {
            "WITHOUT_SECOND_LOOK": "overtaken",
            "TRIES=1": "overtaken",  # a second look, and none after it
            "WITHOUT_READER_FENCE": "overtaken",
            "WITHOUT_WRITER_FENCE": "overtaken",
            "WITHOUT_SETTLE": "overtaken",
            "SEQUENCE_BEFORE_ACTIVE": "overtaken",
            "SEQUENCE_AFTER_SCAN": "overtaken",
            "MEMORY_WITHOUT_SEQUENCE": "overtaken",
        },
    ),
    *variants(
        "room",
        "MESSAGES=1",
        {
            "WITHOUT_LOOK_AT_DEATHS": "waits_in_vain",
            "WITHOUT_SLICES": STUCK,
        },
    ),
    Case("room", "WITHOUT_ROBUST_TURN", "MESSAGES=2", STUCK),
    *variants(
        "room",
        "MESSAGES=2 KILLS=0",
        {
            "WITHOUT_QUEUE": "starved",
            "WITHOUT_SEQUENCE": "needed_the_slice",
            "WITHOUT_READER_FENCE": "needed_the_slice",
            "WITHOUT_WRITER_FENCE": "needed_the_slice",
        },
    ),
    *variants("landmarks", "CAPACITY=4 LIMIT=5", {"LANDMARKS_BEFORE_PUBLICATION": "not_a_frame"}),
    *variants("landmarks", "LIMIT=7", {"LAST_KEPT": "forgotten"}),
]

LARGER = [
    Case("stream", bounds="LIMIT=7"),
    Case("stream", bounds="LIMIT=5 KILLS=2"),
    Case("waking", bounds="MESSAGES=2"),
    Case("waking", bounds="MESSAGES=1 READERS=2 KILLS=0"),
    Case("activation", bounds="WRITERS=1 LIMIT=7"),
    Case("activation", bounds="LIMIT=4 KILLS=0"),
    Case("room", bounds="MESSAGES=2 KILLS=0"),
    Case("room", bounds="MESSAGES=2"),
    Case("landmarks", bounds="LIMIT=7"),
]


def check(case: Case) -> Found:
    """Searches all states: without reduction, without hashing states away."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*command: str, status: int | None = 0) -> str:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if status is not None and done.returncode != status:
                raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
            return done.stdout + done.stderr

        run("spin", *case.macros, "-a", str(MODELS / f"{case.model}.pml"))
        options = ["-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEGABYTES}"]
        run("cc", "-O1" if case.finds else "-O2", "-w", *options, "-o", "pan", "pan.c")
        return parse(run("./pan", "-m1000000", status=None))


def parse(text: str) -> Found:
    """Of the output of a search."""
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\d+) states, stored", text)
    if errors is None or states is None:
        raise RuntimeError(f"the search did not end:\n{text}")
    seconds = re.search(r"elapsed time ([\d.]+)", text)
    violation = re.search(r"pan:\d+: (?:assertion violated\s+!\(+(\w+)\)+|(.*?)) \(at depth", text)
    unfinished = "not completed" in text or "too small" in text or "reached -DMEMLIM" in text or "out of memory" in text
    return Found(
        violation=(violation[1] or violation[2]) if violation else "" if errors[1] == "0" else "an unknown error",
        complete=not unfinished and errors[1] == "0",
        states=int(states[1]),
        seconds=float(seconds[1]) if seconds else 0.0,
    )


def main() -> int:
    """Prints a line for each search. The status says whether each found what it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the tests search")
    parser.add_argument("models", nargs="*", help="only these")
    arguments = parser.parse_args()
    line = "{:<10} {:<28} {:<31} {:>11} {:>8}  {}"
    print(line.format("model", "variant", "bounds", "states", "seconds", "found"))
    unexpected = 0
    for case in [*SOUND, *VARIANTS, *([] if arguments.quick else LARGER)]:
        if arguments.models and case.model not in arguments.models:
            continue
        found = check(case)
        result = found.violation or ("nothing, all states seen" if found.complete else "nothing, not all states seen")
        if not found.is_expected(case):
            unexpected += 1
            result += f", not {case.finds or 'nothing in all states'}"
        states, seconds = f"{found.states:,}", f"{found.seconds:.1f}"
        print(line.format(case.model, case.variant or "-", case.bounds or "-", states, seconds, result), flush=True)
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
