"""What `toroni bench` can measure: questions, each with its workloads, its libraries and its way to show the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toroni.bench import burst_report, bursts, growth, growth_report, plots, report, workloads
from toroni.bench.libraries import all_libraries
from toroni.bench.libraries.toroni_core import ToroniCore
from toroni.bench.library import Library
from toroni.bench.machine import is_ours
from toroni.bench.report import Part
from toroni.bench.run import Result
from toroni.bench.workloads import Workload


@dataclass(frozen=True)
class Suite:
    """One question.

    Attributes:
        name: for the command line and the JSON file.
        libraries: all that could be measured, whether installed or not.
        workloads: all; quick_workloads: those of a quick run.
        render: what the screen shows of a result.
        plot: writes a result's pictures into a folder.
    """

    name: str
    libraries: Callable[[], list[Library]]
    workloads: tuple[Workload, ...]
    quick_workloads: tuple[Workload, ...]
    render: Callable[[Result], list[Part]]
    plot: Callable[[Result, Path], list[Path]]

    def chosen(self, names: list[str], quick: bool) -> list[Workload]:
        """As `workloads.chosen`; of a quick run those of it, if any has such a name.

        Raises:
            ValueError: there is no such workload.
        """
        found = workloads.chosen(names, self.workloads)
        return [one for one in found if one in self.quick_workloads] or found if quick else found


def _ours() -> list[Library]:
    return [one for one in all_libraries() if is_ours(one.name)]


def _core() -> list[Library]:
    return [ToroniCore(batches=True), ToroniCore(batches=False)]


_SUITES = (
    Suite("libraries", all_libraries, workloads.WORKLOADS, workloads.WORKLOADS, report.render, plots.plot),
    Suite("burst", _core, bursts.WORKLOADS, bursts.QUICK_WORKLOADS, burst_report.render, burst_report.plot),
    Suite("growth", _ours, growth.WORKLOADS, growth.QUICK_WORKLOADS, growth_report.render, growth_report.plot),
)


def suite_named(name: str) -> Suite:
    """The one with this name.

    Raises:
        ValueError: there is none.
    """
    for suite in _SUITES:
        if suite.name == name:
            return suite
    raise ValueError(f"no suite is named {name!r}; there are {', '.join(suite.name for suite in _SUITES)}")
