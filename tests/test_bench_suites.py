"""The suites that measure ours by itself: bursts in the core, and cost as it grows. Speed decides no test."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, Group

import toroni
from toroni.bench import _burst, bursts, growth, payload
from toroni.bench.command import CommandError, Options, bench
from toroni.bench.growth import AXES, Axis
from toroni.bench.libraries.toroni_bus import ToroniBus
from toroni.bench.libraries.toroni_core import ONE_BATCH, ONE_BY_ONE, ToroniCore
from toroni.bench.library import Library, Setup
from toroni.bench.measure import measure
from toroni.bench.results import Arrived, Outcome, Written, burst_outcome
from toroni.bench.run import Result, empty_result
from toroni.bench.suites import suite_named
from toroni.bench.workloads import Kind, Scale, Workload

TINY = Scale(messages=500, seconds=20.0, burst=300, bursts=3, timeout=30.0)
THROUGHPUT, LATENCY = bursts.GRIDS


def left_behind() -> list[str]:
    return [name for name in os.listdir("/dev/shm") if f"bench-{os.getpid()}-" in name]


# ---- bursts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize(("writers", "readers"), [(1, 1), (2, 2)])
def test_bursts_arrive(writers: int, readers: int, batches: bool) -> None:
    outcome = measure(ToroniCore(batches), THROUGHPUT.workload(writers, readers), TINY)
    assert (outcome.error, outcome.sent, outcome.lost) == (None, [900] * writers, [0] * writers)
    assert outcome.rate
    assert outcome.cost
    assert outcome.mean is None
    assert left_behind() == []


def test_latency_of_bursts() -> None:
    outcome = measure(ToroniCore(batches=True), LATENCY.workload(2, 2), TINY)
    assert (outcome.error, outcome.rate, outcome.sent) == (None, None, [30, 30])
    assert outcome.mean


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_burst_is_what_any_reader_of_the_bus_gets(bus_name: str, one_by_one: bool) -> None:
    with toroni.Bus(bus_name, capacity="64 KiB") as bus, bus.subscribe("/burst") as reader:
        theirs = _burst.BurstReader(bus_name, 16)
        read: list[tuple[int, int]] = []
        thread = threading.Thread(target=lambda: read.append(theirs.read(100, True)), daemon=True)
        thread.start()
        assert _burst.BurstWriter(bus_name, 16).write(100, one_by_one=one_by_one) > 0
        thread.join(60)
        messages = reader.recv_many(1000, timeout=10)
        assert [len(message.data) for message in messages] == [16] * 100
        times = [int.from_bytes(message.data[:8], "little") for message in messages]
        assert times == sorted(times)
        ((took, latency),) = read
        assert min(took, latency) > 0


def test_a_burst_larger_than_the_ring_waits_for_its_reader(bus_name: str) -> None:
    with toroni.Bus(bus_name, capacity=4096):
        reader, writer = _burst.BurstReader(bus_name, 8), _burst.BurstWriter(bus_name, 8)
        thread = threading.Thread(target=writer.write, args=(5000, False), daemon=True)
        thread.start()
        assert reader.read(5000, False)[1] == 0
        thread.join(60)
        assert not thread.is_alive()


def test_bursts_that_cannot_be_are_refused(bus_name: str) -> None:
    with toroni.Bus(bus_name) as bus:
        with pytest.raises(ValueError, match="at least 8 bytes"):
            _burst.BurstWriter(bus_name, 7)
        reader = _burst.BurstReader(bus_name, 8)
        bus.post("/burst", b"too long for it")
        with pytest.raises(RuntimeError, match="another size"):
            reader.read(1, False)


def test_bursts_are_summed_as_the_agents_do() -> None:
    written = [Written(100, 1000), Written(100, 3000)]
    outcome = burst_outcome(written, [Arrived(200, 1000, 0), Arrived(200, 3000, 0)])
    assert outcome.rate == pytest.approx(1e8)
    assert (outcome.cost, outcome.mean) == (20.0, None)
    assert burst_outcome(written, [Arrived(200, 1000, 400_000)]).mean == 2.0


# ---- growth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", AXES, ids=[axis.name for axis in AXES])
@pytest.mark.parametrize("batches", [True, False])
def test_nothing_is_lost_on_any_axis(axis: Axis, batches: bool) -> None:
    outcome = measure(ToroniBus(batches), axis.workload(axis.values[1]), TINY)
    assert (outcome.error, outcome.loss, outcome.damaged, outcome.disordered) == (None, 0.0, 0, 0)
    assert sum(outcome.sent) > 0
    assert left_behind() == []


def test_axes_change_what_they_say() -> None:
    names = [workload.name for workload in growth.WORKLOADS]
    assert len(set(names)) == len(names) == 5 + 4 + 8 + 6 + 5 + 8
    for axis in AXES:
        assert [axis.value(axis.workload(value)) for value in axis.values] == list(axis.values)
    ring = AXES[-1].workload(1 << 30)
    assert (ring.name, ring.title, ring.setup("x").capacity) == ("ring-1GiB", "1 GiB", 1 << 30)
    topics = AXES[3].workload(100_000)
    assert (topics.name, topics.title, topics.setup("x").topics) == ("topics-100000", "100,000", 100_000)


def test_messages_go_through_the_topics_in_turn() -> None:
    pairs = payload.addressed([b"0", b"1", b"2"], 2)
    assert pairs == [("/bench/0", b"0"), ("/bench/1", b"1"), ("/bench/0", b"2")]


@pytest.mark.parametrize("each", [True, False])
def test_a_reader_gets_all_topics(bus_name: str, each: bool) -> None:
    library = ToroniBus(batches=True)
    setup = Setup(bus_name, 1, 1, 8, topics=3, subscribes_each=each)
    channel = library.open(setup)
    subscriber, publisher = library.subscriber(channel, 0), library.publisher(channel, 0)
    with toroni.Bus(bus_name) as bus:
        bus.post("/bench/9", b"x")  # which is no topic of the setup
    publisher.publish(("/bench/0", b"a"))
    publisher.publish_many([("/bench/1", b"b"), ("/bench/2", b"c")])
    assert list(subscriber.receive_many(10)) == [b"x", b"a", b"b", b"c"][1 if each else 0 :]
    subscriber.close()
    publisher.close()
    library.close(channel)


def test_a_ring_that_cannot_be_is_an_error_of_its_row() -> None:
    outcome = measure(ToroniBus(batches=True), replace(AXES[-1].workload(1 << 30), capacity=1 << 50), TINY)
    assert outcome.error
    assert outcome.error.startswith("no channel: InvalidArgument: capacity must be a power of two")


# ---- suites -----------------------------------------------------------------------------------------------


def test_suites_are_found_by_name() -> None:
    assert suite_named("libraries").chosen([], quick=True) == suite_named("libraries").chosen([], quick=False)
    suite = suite_named("growth")
    ours = ["toroni", "toroni, batches", "toroni, columns", "toroni.rmp, batches", "toroni.rmp, columns"]
    assert [one.name for one in suite.libraries()] == ours
    assert [one.name for one in suite.chosen(["readers"], quick=True)] == ["readers-1", "readers-4", "readers-16"]
    assert [one.name for one in suite.chosen(["readers-2"], quick=True)] == ["readers-2"]
    assert len(suite.chosen(["ring", "writers"], quick=False)) == 12
    assert len(suite_named("burst").chosen([], quick=False)) == 2 * 4 * 5
    options = Options(suite="all", quick=True, rounds=1, libraries=[], workloads=[], json=None, plots=None)
    with pytest.raises(CommandError, match="no suite is named 'all'; there are libraries, burst, growth"):
        bench(options)


def test_only_what_has_topics_goes_through_topics() -> None:
    suite = suite_named("growth")
    (workload,) = suite.chosen(["topics-100"], quick=False)
    assert [workload.suits(library) for library in suite.libraries()] == [True, True, True, False, False]
    batch, single = ToroniCore(batches=True), ToroniCore(batches=False)
    assert [LATENCY.workload(1, 1).suits(library) for library in (batch, single)] == [True, False]


def result_of(suite: str, workloads: list[Workload]) -> Result:
    libraries: list[Library] = suite_named(suite).libraries()
    made = empty_result(libraries, workloads, suite)
    for library in libraries:
        made.outcomes[library.name] = {
            one.name: [Outcome(mean=41.5, cost=2e3) if one.kind is Kind.BURST_LATENCY else Outcome(rate=5e6, cost=62.0)]
            for one in workloads
            if one.suits(library)
        }
    return made


def shown(result: Result) -> str:
    console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 - the console's
    console.print(Group(*suite_named(result.suite).render(result)))
    console.file.close()
    return console.export_text()


def test_bursts_are_shown_as_a_grid(tmp_path: Path) -> None:
    cells = [grid.workload(writers, readers) for grid in bursts.GRIDS for writers, readers in ((1, 1), (2, 4))]
    result = result_of("burst", cells)
    result.outcomes[ONE_BY_ONE]["throughput-2x4"] = [Outcome(error="no room")]
    text = shown(result)
    for part in (ONE_BATCH, ONE_BY_ONE, "writers", "5.0", "62.0 ns", "0.042", "error", "throughput-2x4: no room"):
        assert part in text
    assert text.count("0.042") == 2
    assert json.loads(result.to_json())["suite"] == "burst"
    pytest.importorskip("matplotlib", reason="of the extra `plots`")
    files = suite_named("burst").plot(result, tmp_path)
    assert [file.stem for file in files] == ["throughput-one-batch", "latency-one-batch", "throughput-one-by-one"]


def test_growth_is_a_table_and_a_plot_for_each_axis(tmp_path: Path) -> None:
    result = result_of("growth", list(growth.QUICK_WORKLOADS))
    text = shown(result)
    for axis in AXES:
        assert axis.title in text
    for part in ("5000", "100,000", "8 MiB", "1 GiB", "toroni.rmp, batches"):
        assert part in text
    document = json.loads(result.to_json())
    assert {one["kind"] for one in document["workloads"]} == {"RATE"}
    assert document["summaries"]["toroni"]["ring-1GiB"]["rate"] == 5e6
    pytest.importorskip("matplotlib", reason="of the extra `plots`")
    files = suite_named("growth").plot(result, tmp_path)
    assert [file.name for file in files] == [f"{axis.name}.svg" for axis in AXES]
    assert all("toroni, batches" in file.read_text() for file in files)
