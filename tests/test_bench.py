"""The benchmark: what it counts, and that nothing a library does can stop it. Speed decides no test."""

from __future__ import annotations

import array
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from rich.console import Console

from bench_libraries import Faulty
from toroni.bench import _floors, payload, plots, report, workloads
from toroni.bench.command import CommandError, Options, bench
from toroni.bench.comparison import BATCHES, BLOCKING, COLUMNS, POLLING, compare
from toroni.bench.floors import Floor
from toroni.bench.libraries.toroni_bus import ToroniBus
from toroni.bench.libraries.toroni_columns import ToroniBusColumns, ToroniRmpColumns
from toroni.bench.libraries.toroni_rmp import ToroniRmp
from toroni.bench.library import Library
from toroni.bench.machine import Entry
from toroni.bench.measure import measure
from toroni.bench.results import Outcome, percentile
from toroni.bench.run import Result, empty_result, run
from toroni.bench.summary import summarize
from toroni.bench.workloads import Kind, Scale, Workload

TINY = Scale(messages=2000, paced=20, round_trips=50, seconds=20.0, timeout=30.0)
SHORT = Scale(messages=2000, paced=20, round_trips=50, seconds=20.0, timeout=1.5)  # for what never ends
ONE, MANY = Workload("T1", "1 -> 1"), Workload("T4", "2 -> 2", publishers=2, subscribers=2)
PATIENCE = 60.0


def shared_memory() -> set[str]:
    """What tests of others that run at the same time do not make."""
    return {name for name in os.listdir("/dev/shm") if f"bench-{os.getpid()}-" in name or "psm_" in name}


@pytest.fixture
def leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails if a process that was started in the test, or a file in /dev/shm, is there after it."""
    resource_tracker.ensure_running()  # multiprocessing's own, which stays
    mark, files = secrets.token_hex(8), shared_memory()
    monkeypatch.setenv("TORONI_TEST_MARK", mark)
    yield
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                left.append((folder / "cmdline").read_bytes())
    assert left == []
    assert shared_memory() <= files


# ---- measurements -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize(
    "library",
    [ToroniBus(batches=False), ToroniBus(batches=True), ToroniBusColumns(), ToroniRmp(), ToroniRmpColumns()],
    ids=lambda library: library.name,
)
def test_ours_loses_nothing(library: Library) -> None:
    outcome = measure(library, ONE, TINY)
    assert outcome.error is None
    assert (outcome.sent, outcome.lost, outcome.damaged, outcome.disordered) == ([2000], [0], 0, 0)
    assert len(outcome.rates) == 1
    assert outcome.rate
    assert outcome.one_order is None


@pytest.mark.usefixtures("leaves_nothing")
def test_ours_has_one_order() -> None:
    outcome = measure(ToroniBus(batches=False), MANY, TINY)
    assert (outcome.error, outcome.sent, outcome.lost, outcome.disordered) == (None, [1000, 1000], [0, 0], 0)
    assert outcome.one_order is True


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("kind", [Kind.ONE_WAY, Kind.PING_PONG])
def test_latency_of_ours(kind: Kind) -> None:
    outcome = measure(ToroniBus(batches=False), Workload("L", "", kind), TINY)
    assert (outcome.error, outcome.lost, outcome.rate) == (None, [0], None)
    assert outcome.p50
    assert outcome.p99
    assert 0 < outcome.p50 <= outcome.p99


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize(
    ("fault", "lost", "disordered", "damaged"),
    [("views", 0, 0, 0), ("loses", 200, 0, 0), ("reorders", 0, 200, 0), ("cuts", 200, 0, 200)],
)
def test_faults_are_counted(fault: str, lost: int, disordered: int, damaged: int) -> None:
    outcome = measure(Faulty(fault), ONE, TINY)
    assert outcome.error is None
    assert (outcome.lost, outcome.disordered, outcome.damaged) == ([lost], disordered, damaged)
    assert outcome.loss == lost / 2000


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize(
    ("fault", "scale", "says"),
    [
        ("raises", TINY, "publisher: ValueError: no more of this"),
        ("dies", TINY, "subscriber was ended by SIGKILL"),
        ("cannot open", TINY, "no channel: OSError: no room"),
        ("litters", SHORT, "subscriber did not go on in time"),
        ("opens never", Scale(timeout=0.2), "the measurement hangs"),
    ],
)
def test_what_goes_wrong_is_an_error_of_its_row(fault: str, scale: Scale, says: str) -> None:
    outcome = measure(Faulty(fault), ONE, scale)
    assert outcome.error is not None
    assert says in outcome.error or scale is not TINY  # which a slow machine may be late for
    assert outcome.rate is None


# ---- the check of each message ----------------------------------------------------------------------------


def columns_of(messages: list[bytes]) -> tuple[bytes, array.array[int]]:
    return b"".join(messages), array.array("q", accumulate(map(len, messages), initial=0))


def test_checker_looks_at_columns_as_at_messages() -> None:
    sent = [payload.message(publisher, number, 16) for number in range(4) for publisher in range(2)]
    for messages in (sent, sent[:3] + sent[5:], sent[::-1], [*sent[:3], b"short", b""]):
        one, other = _floors.Checker(16, 2, 100), _floors.Checker(16, 2, 100)
        assert one.accept_many(messages)
        assert other.accept_columns(*columns_of(messages))
        seen = [(c.received_by, c.damaged, c.disordered, c.order, c.ended) for c in (one, other)]
        assert seen[0] == seen[1]
    checker = _floors.Checker(16, 1, 100)
    assert checker.accept_columns(*columns_of([payload.message(0, 0, 16)]))
    assert not checker.accept_columns(*columns_of([]))
    assert not checker.accept_columns(*columns_of([payload.last(0, 16)]))
    assert checker.ended
    checker.accept_columns(bytes(32), array.array("q", [16, 0, 48, -1]))  # outside: damaged, and not looked at
    assert checker.damaged == 3
    with pytest.raises(TypeError):
        checker.accept_columns(bytes(16), [0, 16])


def test_checker_sees_the_end_of_each_publisher() -> None:
    checker = _floors.Checker(64, 2, 100)
    assert checker.accept_many([payload.message(0, 0, 64), payload.last(0, 64)])
    assert not checker.ended
    assert checker.accept(payload.message(1, 0, 64))
    assert not checker.accept(payload.last(1, 64))
    assert checker.ended
    assert (checker.received_by, checker.disordered, checker.damaged) == ([1, 1], 0, 0)


def test_checker_takes_nothing_for_nothing() -> None:
    checker = _floors.Checker(8, 1, 100)
    assert not checker.accept(None)
    assert not checker.accept_many([])
    assert not checker.ended
    checker.accept_many(["text", b"short", payload.message(7, 0, 8), 5])
    assert (checker.damaged, checker.received_by) == (4, [0])
    with pytest.raises(TypeError):
        checker.accept_many(5)
    with pytest.raises(ValueError, match="8 bytes"):
        _floors.Checker(7, 1, 100)


def test_checker_follows_numbers_round_and_round() -> None:
    def check(*numbers: int) -> tuple[int, int, list[int]]:
        checker = _floors.Checker(8, 1, 10)
        checker.accept_many([payload.message(0, number, 8) for number in numbers])
        return checker.disordered, checker.damaged, checker.received_by

    assert check(*range(10), *range(10), 0) == (0, 0, [21])
    assert check(8, 9, 0) == (2, 0, [3])  # more than half a cycle after the beginning, or before it
    assert check(0, 3, 7, 1, 5) == (0, 0, [5])  # some are missing, which is told by their number
    assert check(0, 1, 1, 2, 0) == (2, 0, [5])
    assert check(0, 10) == (0, 1, [1])
    with pytest.raises(ValueError, match="cycle"):
        _floors.Checker(8, 1, 0)


def test_checker_tells_orders_apart() -> None:
    ab, ba = _floors.Checker(8, 2, 100), _floors.Checker(8, 2, 100)
    a, b = payload.message(0, 0, 8), payload.message(1, 0, 8)
    ab.accept_many([a, b])
    ba.accept_many([b, a])
    assert (ab.disordered, ba.disordered) == (0, 0)
    assert ab.order != ba.order


# ---- workloads and figures --------------------------------------------------------------------------------


def test_workloads_are_chosen_by_name() -> None:
    assert workloads.chosen([]) == list(workloads.WORKLOADS)
    assert [one.name for one in workloads.chosen(["l1", "T5"])] == [
        *("T5-8B", "T5-1KiB", "T5-64KiB", "T5-1MiB"),
        "L1",
        "L1-apart",
        "L1-together",
    ]
    with pytest.raises(ValueError, match="no workload is named 'T9'"):
        workloads.chosen(["T9"])


def test_percentiles() -> None:
    assert percentile([5], 0.99) == 5
    assert percentile(list(range(100, 0, -1)), 0.5) == 51
    assert percentile(list(range(100, 0, -1)), 0.99) == 100


def test_summary_is_of_the_worst_loss_and_the_median_rate() -> None:
    rounds = [Outcome(rate=1.0), Outcome(rate=9.0, loss=0.5, disordered=2), Outcome(rate=2.0), Outcome(error="hangs")]
    summary = summarize(rounds)
    assert (summary.rate, summary.rate_range, summary.loss) == (2.0, (1.0, 9.0), 0.5)
    assert report.faults(summary) == ["lost 50 %", "error"]
    assert report.faults(replace(summary, loss=0.0)) == ["2 out of order", "error"]


def test_ratios_compare_like_with_like() -> None:
    def row(name: str, rate: float, batches: bool = False, polls: bool = False) -> tuple[Entry, Outcome]:
        return Entry(name, name.startswith("toroni"), batches, polls, ""), Outcome(rate=rate)

    rows = [row("toroni", 30.0), row("toroni, batches", 100.0, batches=True), row("blocks", 10.0)]
    rows += [
        row("polls", 60.0, polls=True),
        row("many", 50.0, batches=True),
        row("toroni, columns", 150.0, batches=True),
    ]
    found = {one.kind: (one.peer, one.ratio) for one in compare((entry, summarize([one])) for entry, one in rows)}
    batches, columns = ("polls", 100 / 60), ("polls", 150 / 60)
    assert found == {COLUMNS: columns, BATCHES: batches, BLOCKING: ("blocks", 3.0), POLLING: ("polls", 0.5)}
    latencies = [(rows[0][0], Outcome(p50=10.0, p99=20.0)), (rows[2][0], Outcome(p50=25.0, p99=30.0))]
    assert [one.ratio for one in compare((entry, summarize([one])) for entry, one in latencies)] == [2.5]


# ---- whole runs -------------------------------------------------------------------------------------------


@pytest.fixture
def result() -> Result:
    libraries: list[Library] = [ToroniBus(batches=False), Faulty("loses"), Faulty("reorders")]
    made = empty_result(libraries, [ONE, MANY, Workload("L1", "one way", Kind.ONE_WAY)])
    made.outcomes = {
        "toroni": {
            "T1": [Outcome(rate=2e6, rates=[2e6], sent=[9], lost=[0]), Outcome(rate=4e6)],
            "T4": [Outcome(rate=1e6, one_order=True)],
            "L1": [Outcome(p50=9.5, p99=48.0)],
        },
        "loses": {"T1": [Outcome(rate=2e6, loss=0.1)], "T4": [Outcome(error="publisher hangs")]},
        "reorders": {"T1": [Outcome(rate=1e6)]},
    }
    made.floors = [[Floor("waking", "us", 8.0, 40.0)], [Floor("waking", "us", 10.0, 44.0)]]
    return made


def test_json_has_everything(result: Result) -> None:
    document = json.loads(result.to_json())
    assert [one["name"] for one in document["libraries"]] == ["toroni", "loses", "reorders"]
    assert document["libraries"][0]["version"]
    assert document["outcomes"]["toroni"]["T1"][0]["rate"] == 2e6
    assert document["summaries"]["toroni"]["T1"]["rate_range"] == [2e6, 4e6]
    assert document["comparisons"]["T1"] == [{"kind": BLOCKING, "ours": "toroni", "peer": "reorders", "ratio": 3.0}]
    assert document["median_floors"] == [{"name": "waking", "unit": "us", "value": 9.0, "p99": 42.0}]
    assert document["machine"]["cores"] == len(os.sched_getaffinity(0))
    again = Outcome(**document["outcomes"]["toroni"]["T1"][0])
    assert again == result.outcomes["toroni"]["T1"][0]


def test_table_shows_everything(result: Result) -> None:
    console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 - the console's
    report.show(result, console)
    text = console.export_text()
    console.file.close()
    for part in ("3000", "2000-4000", "lost 10 %", "yes", "9.5 / 48.0", "3.00", "waking", "9.00", "42.00"):
        assert part in text
    assert "loses, T4: publisher hangs" in text
    assert result.machine.processor in text


def test_plots_are_files(result: Result, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="of the extra `plots`")
    files = plots.plot(result, tmp_path / "new")
    assert [file.name for file in files] == ["T1.svg", "T4.svg", "L1.svg"]
    assert all("<svg" in file.read_text() for file in files)


@pytest.mark.usefixtures("leaves_nothing")
def test_libraries_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries: list[Library] = [ToroniBus(batches=False), ToroniBus(batches=True)]
    columns = [ONE, Workload("L1", "one way", Kind.ONE_WAY)]
    monkeypatch.setattr("toroni.bench.run.measure", lambda *_: Outcome())
    monkeypatch.setattr("toroni.bench.run.measure_floors", lambda _: [])
    made = empty_result(libraries, columns)
    steps = [step.text.partition(": ")[2] for step in run(libraries, columns, 2, True, made)]
    assert steps == ["floors", "T1 toroni", "T1 toroni, batches", "L1 toroni"] * 2
    assert [len(rounds) for row in made.outcomes.values() for rounds in row.values()] == [2, 2, 2]


@pytest.mark.parametrize(
    ("option", "says"), [({"libraries": ["nobody"]}, "no library is named"), ({"workloads": ["T9"]}, "no workload")]
)
def test_what_cannot_be_is_refused(option: dict[str, list[str]], says: str) -> None:
    given = {"libraries": list[str](), "workloads": list[str](), **option}
    with pytest.raises(CommandError, match=says):
        bench(Options(suite="libraries", quick=True, rounds=1, json=None, plots=None, **given))


# ---- the command ------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )


def finished(*arguments: str) -> tuple[int, str, str]:
    process = command(*arguments)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("suite", "library", "workload"),
    [
        ("libraries", "toroni, batches", "T1"),
        ("burst", "toroni core, one batch", "throughput-1x1"),
        ("growth", "toroni, batches", "topics-10"),
    ],
)
def test_command_measures_and_writes(suite: str, library: str, workload: str, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="of the extra `cli`")
    file = tmp_path / "result.json"
    status, output, errors = finished(
        *("-m", "toroni", "bench", "--suite", suite, "--quick", "--library", library, "--workload", workload),
        *("--json", str(file)),
    )
    assert (status, errors) == (0, "")
    assert library in output
    document = json.loads(file.read_text())
    assert document["suite"] == suite
    assert len(document["outcomes"][library][workload]) == 1
    assert len(document["floors"][0]) == 10
    assert all(floor["value"] > 0 for floor in document["floors"][0])


def test_command_explains_itself() -> None:
    pytest.importorskip("typer", reason="of the extra `cli`")
    status, output, errors = finished("-m", "toroni", "bench", "--help")
    assert (status, errors) == (0, "")
    assert "--quick" in output
    status, output, errors = finished("-m", "toroni", "bench", "--workload", "T9")
    assert (status, output) == (2, "")
    assert errors.startswith("toroni: no workload is named 'T9'; ")
    assert errors.count("\n") == 1
    status, output, errors = finished("-m", "toroni", "demo", "--help")
    assert status == 0
    assert "--writers" in output


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_command_says_what_it_needs(module: str) -> None:
    hide = f"import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == {module!r} else f(n)"
    status, output, errors = finished(
        "-c",
        f"{hide}; import sys; sys.modules[{module!r}] = None; from toroni.cli import main; sys.exit(main(['bench']))",
    )
    assert (status, output) == (2, "")
    assert errors.endswith("pip install 'toroni[cli]'\n")
    assert module in errors


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_command_is_ended_cleanly(number: signal.Signals, status: int) -> None:
    pytest.importorskip("typer", reason="of the extra `cli`")
    process = command("-m", "toroni", "bench", "--library", "toroni", "--quick", "--rounds", "1000")
    deadline = time.monotonic() + PATIENCE
    while not (files := [name for name in os.listdir("/dev/shm") if f"bench-{process.pid}-" in name]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    errors = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == status
    assert "Traceback" not in errors
    assert not [name for name in os.listdir("/dev/shm") if f"bench-{process.pid}-" in name], files
