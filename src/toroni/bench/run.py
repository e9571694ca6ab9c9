"""A whole run: floors, workloads, libraries, rounds; and what comes out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from toroni.bench.comparison import Comparison, compare
from toroni.bench.floors import Floor, measure_floors
from toroni.bench.library import Library
from toroni.bench.machine import Entry, Machine, entries, this_machine
from toroni.bench.measure import measure
from toroni.bench.results import Outcome
from toroni.bench.summary import Summary, summarize
from toroni.bench.workloads import FULL, QUICK, Workload


@dataclass
class Result:
    """Everything that was measured.

    Attributes:
        machine: where.
        workloads: in the order of the columns.
        libraries: in the order of the rows.
        outcomes: library -> workload -> one for each round.
        floors: of each round.
        suite: the name of the question.
    """

    machine: Machine
    workloads: list[Workload]
    libraries: list[Entry]
    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    floors: list[list[Floor]] = field(default_factory=list)
    suite: str = "libraries"

    def summary(self, library: str, workload: str) -> Summary | None:
        """Medians and ranges over the rounds; None if it was not measured."""
        outcomes = self.outcomes.get(library, {}).get(workload, [])
        return summarize(outcomes) if outcomes else None

    def comparisons(self, workload: str) -> list[Comparison]:
        """Ours against the best peers."""
        figures = [(entry, self.summary(entry.name, workload)) for entry in self.libraries]
        return compare([(entry, one) for entry, one in figures if one])

    def median_floors(self) -> list[Floor]:
        """The median of each over the rounds."""
        return [
            Floor(
                same[0].name,
                same[0].unit,
                median(floor.value for floor in same),
                None if same[0].p99 is None else median(floor.p99 or 0.0 for floor in same),
            )
            for same in zip(*self.floors, strict=True)
        ]

    def to_json(self) -> str:
        """All figures of each round, and what follows from them."""
        document: dict[str, Any] = asdict(self)
        for workload in document["workloads"]:
            workload["kind"] = workload["kind"].name
        names = [workload.name for workload in self.workloads]
        document["summaries"] = {
            entry.name: {name: asdict(one) for name in names if (one := self.summary(entry.name, name))}
            for entry in self.libraries
        }
        document["comparisons"] = {name: [asdict(one) for one in self.comparisons(name)] for name in names}
        document["median_floors"] = [asdict(floor) for floor in self.median_floors()]
        return json.dumps(document, indent=1)


@dataclass(frozen=True)
class Step:
    """What is being measured now, for a progress bar."""

    number: int
    of: int
    text: str
    starts_round: bool = False


def run(
    libraries: Sequence[Library], workloads: Sequence[Workload], rounds: int, quick: bool, result: Result
) -> Iterator[Step]:
    """Fills `result`; yields before each step. Libraries alternate, so that what else the machine does meets all."""
    pairs = [(workload, library) for workload in workloads for library in libraries if workload.suits(library)]
    steps, number = rounds * (1 + len(pairs)), 0
    scale = QUICK if quick else FULL
    for turn in range(rounds):
        said = f"round {turn + 1} of {rounds}: "
        yield Step(number, steps, said + "floors", starts_round=True)
        result.floors.append(list(measure_floors(quick)))
        number += 1
        for workload, library in pairs:
            yield Step(number, steps, f"{said}{workload.name} {library.name}")
            rows = result.outcomes.setdefault(library.name, {})
            rows.setdefault(workload.name, []).append(measure(library, workload, scale))
            number += 1


def empty_result(libraries: Sequence[Library], workloads: Sequence[Workload], suite: str = "libraries") -> Result:
    """Of a run that has not begun."""
    return Result(this_machine(), list(workloads), entries(libraries), suite=suite)
