"""Chaos, run as its users run it; and that its checker finds what is wrong, in logs made by hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from processes import PATIENCE
from toroni import MessagesLost
from toroni.testing.chaos.checker import Findings, check
from toroni.testing.chaos.log import ALL_LANES, UNKNOWN, Fate, Kind, Log, LogFile, Record, Role, load, to_bytes
from toroni.testing.chaos.reader import ReaderProcess

# ---- a reader's log ----------------------------------------------------------------------------------------


def test_what_a_reader_that_skips_has_noted_as_its_gap_is_not_noted_again() -> None:
    """A borrowed message was overwritten; its run began with padding, before which the reader had skipped."""
    records: list[Record] = []
    reader = ReaderProcess.__new__(ReaderProcess)
    reader.number, reader._on_loss, reader._covered, reader._skipped = 6, "skip", 100, 0
    reader.log = SimpleNamespace(add=lambda *added: records.extend(added))  # type: ignore[assignment]
    reader._reader = SimpleNamespace(lost_messages=3)  # type: ignore[assignment]
    reader._note_skipped(1137)
    reader.lose(MessagesLost(5000, 2, 1130, 6130, ""))
    assert [(one.kind, one.position, one.other) for one in records] == [(Kind.GAP, 100, 1137), (Kind.GAP, 1137, 6130)]


# ---- the run ----------------------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "toroni.testing.chaos", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_of(pid: int) -> list[str]:
    """What a run with this pid has in /dev/shm."""
    return [name for name in os.listdir("/dev/shm") if re.match(rf"toroni-temporary-\d+-{pid}-", name)]


def descendants(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(pid):
                found.append(int(folder.name))
    return found


def start_endless(seed: int) -> tuple[subprocess.Popen[str], list[int]]:
    """A run of which some processes are there; and they."""
    process = start("--seconds", "1000", "--seed", str(seed))
    assert process.stdout is not None
    assert process.stdout.readline() == f"seed {seed}\n"
    end = time.monotonic() + PATIENCE
    while len(children := descendants(process.pid)) < 4:
        assert time.monotonic() < end
        time.sleep(0.01)
    return process, children


def run(*arguments: str) -> str:
    process = start(*arguments)
    output, errors = process.communicate(timeout=2 * PATIENCE)
    assert (process.returncode, errors) == (0, ""), output + errors
    assert left_of(process.pid) == []
    assert output.endswith("All is right: one order, each message whole and once, each gap announced.\n")
    return output


def test_chaos_of_a_fixed_seed() -> None:
    summary = run("--seconds", "20", "--seed", "7").splitlines()[-2]
    numbers = re.fullmatch(
        r"\d+ rounds: ([\d,]+) messages, seen ([\d,]+) times; (\d+) kills, (\d+) stops, (\d+) forks, .*", summary
    )
    assert numbers, summary
    assert all(int(number.replace(",", "")) > 0 for number in numbers.groups()), summary


def test_chaos_of_a_random_seed(capsys: pytest.CaptureFixture[str]) -> None:
    output = run("--seconds", "15")
    with capsys.disabled():
        print(f"\n{output}")


def test_ctrl_c_leaves_nothing() -> None:
    process, children = start_endless(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, ""), output
    assert output.endswith("Stopped on request; all processes are ended and the bus is removed.\n")
    assert left_of(process.pid) == []
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_processes_of_a_killed_driver_leave_and_remove_the_bus() -> None:
    process, _ = start_endless(2)
    process.kill()
    process.communicate(timeout=PATIENCE)
    end = time.monotonic() + PATIENCE
    while left_of(process.pid):
        assert time.monotonic() < end, left_of(process.pid)
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [("--seconds", "0"), ("--seconds", "x"), ("--seed", "x")])
def test_what_cannot_be_is_refused(arguments: tuple[str, ...]) -> None:
    process = start(*arguments)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "error: " in errors


# ---- the log ----------------------------------------------------------------------------------------------


def test_a_log_that_ends_in_the_middle_of_a_record(tmp_path: Path) -> None:
    file = LogFile(tmp_path, Role.READER)
    second = LogFile(tmp_path, Role.WRITER, parent=1)
    records = [Record(Kind.SEEN, 3, 1, 2, 4, 5, 6, 7), Record(Kind.GAP, 1, 0, UNKNOWN, 2**63, 2**64 - 1)]
    file.add(*records)
    file.close()
    second.close()
    path = tmp_path / "1.log"
    path.write_bytes(path.read_bytes() + to_bytes(records)[:20])
    first, other = load(tmp_path, {1: 99})
    assert (first.number, first.death, first.records[1:]) == (1, 99, records)
    assert other.records == [Record(Kind.BEGIN, 2, Role.WRITER, os.getpid(), other=1)]


# ---- the checker, on logs made by hand --------------------------------------------------------------------

SIZE = 20  # of each message in the stream
COUNT = 8  # messages: writer 1 posts the even ones, writer 2 the odd ones
END = COUNT * SIZE


def number_of(index: int) -> tuple[int, int]:
    """Writer and sequence of the message at position SIZE * index."""
    return 1 + index % 2, index // 2


def writing(writer: int, fate: Fate = Fate.POSTED, placed: bool = True) -> list[Record]:
    records = [Record(Kind.BEGIN, writer, Role.WRITER)]
    for index in range(writer - 1, COUNT, 2):
        _, sequence = number_of(index)
        records.append(Record(Kind.INTENT, writer, writer, sequence, SIZE * index, 1, index, 0xC0DE + index))
        position = SIZE * index if placed else UNKNOWN
        records.append(Record(Kind.OUTCOME, writer, fate, sequence, position, SIZE * (index + 1), 1, 1))
    return [*records, Record(Kind.END, writer)]


def begin(reader: int, position: int = 0, lane: int = ALL_LANES, history: int = 1, parent: int = 0) -> list[Record]:
    start = Record(Kind.START, reader, lane, 1, position, 0, history)
    return [Record(Kind.BEGIN, reader, Role.READER, other=parent), start]


def seen(index: int, position: int | None = None) -> Record:
    at = SIZE * index if position is None else position
    return Record(Kind.SEEN, number_of(index)[0], 0, number_of(index)[1], at, 0, index, 0xC0DE + index)


def gap(first: int, last: int, count: int) -> Record:
    return Record(Kind.GAP, 9, 0, count, SIZE * first, SIZE * last)


def reading(reader: int, *records: Record, history: int = 1) -> Log:
    up_to = Record(Kind.UPTO, reader, position=END)
    return Log(reader, [*begin(reader, history=history), *records, up_to, Record(Kind.END, reader)])


ALL = [seen(index) for index in range(COUNT)]
WRITERS = [Log(1, writing(1)), Log(2, writing(2))]


def violations(*logs: Log, writers: Iterable[Log] = WRITERS, posted: int | None = COUNT, lose: bool = True) -> str:
    return "\n".join(check([*writers, *logs], END, posted, lose).violations)


def test_what_is_right_is_accepted() -> None:
    late = [*begin(6, position=SIZE * 3), *ALL[3:]]
    lane = [*begin(7, lane=2), *ALL[1::2], Record(Kind.UPTO, 7, position=END), Record(Kind.END, 7)]
    logs = [
        reading(3, *ALL),
        reading(4, *ALL[:2], gap(2, 5, 3), *ALL[5:]),
        Log(5, [*begin(5), *ALL[:4]], death=SIZE * 6),
        Log(6, late, death=END),
        Log(7, lane),
    ]
    found = check([*WRITERS, *logs], END, COUNT)
    assert found.violations == []
    assert (found.messages, found.seen, found.gaps, found.exact_gaps, found.lost) == (8, 8 + 5 + 4 + 5 + 4, 1, 1, 3)
    assert found.checks > 50
    assert violations(reading(3, *ALL), lose=False) == ""


def test_another_order_is_found() -> None:
    swapped = [*ALL[:2], seen(3, position=SIZE * 2), seen(2, position=SIZE * 3), *ALL[4:]]
    assert "is at position 60, and at 40 as process 4 says" in violations(reading(3, *ALL), reading(4, *swapped))
    assert "position 40 came after everything up to 61" in violations(reading(3, *ALL[:2], ALL[3], ALL[2], *ALL[4:]))


def test_two_messages_at_one_position_are_found() -> None:
    unplaced = [Log(1, writing(1, placed=False)), Log(2, writing(2))]
    other = seen(2, position=SIZE * 3)
    assert "at position 60 are" in violations(reading(3, *ALL[:2], other, *ALL[4:]), writers=unplaced)


def test_a_message_that_comes_twice_is_found() -> None:
    assert "position 40 came after everything up to 41" in violations(reading(3, *ALL[:3], ALL[2], *ALL[3:]))


def test_a_silent_gap_is_found() -> None:
    text = "reader 3: message 1 of writer 1 (2 bytes) at position 40 did not come, and no loss was announced"
    assert violations(reading(3, *ALL[:2], *ALL[3:])) == text
    assert "did not come" in violations(reading(3, *ALL[:-1]))  # at the end
    assert "did not come" in violations(reading(3, *ALL[1:]))  # at the beginning
    assert "did not come" in violations(reading(3, ALL[0], ALL[1], gap(3, 5, 2), *ALL[5:]))  # before a gap
    assert "did not come" in violations(reading(3, ALL[0], ALL[1], gap(2, 4, 2), *ALL[5:]))  # behind one


def test_a_silent_gap_of_what_nobody_has_seen_is_found() -> None:
    unplaced = [Log(1, writing(1, placed=False)), Log(2, writing(2))]
    assert "was posted between 40 and 60 and did not come" in violations(
        reading(3, *ALL[:2], *ALL[3:]), writers=unplaced
    )
    unsure = [Log(1, writing(1, Fate.UNSURE, placed=False)), Log(2, writing(2))]
    assert violations(reading(3, *ALL[:2], *ALL[3:]), writers=unsure, posted=7) == ""


@pytest.mark.parametrize("wrong", [0, 1, 2, 4, UNKNOWN - 1])
def test_a_gap_of_another_size_is_found(wrong: int) -> None:
    text = f"a gap from 40 to 100 was announced as {wrong} messages; there are 3"
    assert text in violations(reading(3, *ALL[:2], gap(2, 5, wrong), *ALL[5:]), reading(4, *ALL))


def test_a_gap_whose_messages_nobody_has_seen_has_a_least_and_a_most() -> None:
    unsure = [Log(1, writing(1)), Log(2, writing(2, Fate.UNSURE, placed=False))]
    for count, is_right in ((1, False), (2, True), (3, True), (4, False)):
        text = violations(reading(3, *ALL[:2], gap(2, 5, count), *ALL[5:]), writers=unsure, posted=None)
        assert (text == "") is is_right, text


def test_a_gap_of_what_had_come_is_found() -> None:
    assert "after everything up to 61 had come" in violations(reading(3, *ALL[:4], gap(2, 5, 3), *ALL[5:]))


def test_a_gap_that_no_writer_makes_is_found() -> None:
    records = [*ALL[:2], gap(2, 5, 3), *ALL[5:]]
    text = "though no writer overtakes"
    assert text in violations(reading(3, *records, history=0), lose=False)
    assert violations(reading(3, *records), lose=False) == ""  # began in the past
    forked = Log(3, [*begin(3, history=0, parent=9), *records, Record(Kind.END, 3)])
    assert violations(forked, lose=False) == ""


def test_torn_content_is_found() -> None:
    for torn in (ALL[2]._replace(checksum=1), ALL[2]._replace(size=1)):
        assert "reader 3, position 40: message 1 of writer 1 (2 bytes) came torn" in violations(
            reading(3, *ALL[:2], torn, *ALL[3:])
        )


def test_what_was_not_posted_and_what_was_dropped_is_found() -> None:
    stray = Record(Kind.SEEN, 1, 0, 99, SIZE * 2, 0, 1, 1)
    assert "message 99 of writer 1, which was never posted" in violations(reading(3, *ALL[:2], stray, *ALL[3:]))
    dropped = [Log(1, writing(1, Fate.DROPPED, placed=False)), Log(2, writing(2))]
    assert "of which its writer was told that it was dropped" in violations(reading(3, *ALL), writers=dropped)


def test_a_writer_that_is_not_in_its_order_is_found() -> None:
    records = writing(1)
    first, second = records[2], records[4]
    records[2] = first._replace(position=second.position, other=END)
    records[3] = records[3]._replace(position=0)
    records[4] = second._replace(position=first.position)
    assert "message 1 of writer 1 (2 bytes) is at position 0, before message 0" in violations(
        writers=[Log(1, records), Log(2, writing(2))]
    )


def test_a_position_where_the_stream_was_not_is_found() -> None:
    assert "and was posted while the stream went from 40 to 60" in violations(
        reading(3, *ALL[:2], ALL[3], seen(2, position=SIZE * 4)), writers=[Log(1, writing(1, placed=False)), WRITERS[1]]
    )


def test_what_is_not_for_a_reader_is_found() -> None:
    old = Record(Kind.START, 3, ALL_LANES, 5, 0, 4, size=0)
    text = violations(Log(3, [Record(Kind.BEGIN, 3, Role.READER), old, *ALL, Record(Kind.END, 3)]))
    assert text.count("which was created before this reader subscribed") == COUNT
    text = violations(Log(3, [*begin(3, lane=1), *ALL, Record(Kind.END, 3)]))
    assert text.count("to which this reader has not subscribed") == COUNT // 2


def test_a_death_that_was_not_planned_is_found() -> None:
    assert violations(Log(3, [*begin(3), *ALL])) == "process 3 ended by itself, before its time"
    assert violations(Log(3, [*begin(3), *ALL], death=END)) == ""


def test_another_count_of_the_bus_is_found() -> None:
    assert violations(posted=7) == "the bus counts 7 messages; there are 8"


def test_findings_of_rounds_add_up() -> None:
    whole = Findings(["a"], messages=1, growth=5)
    whole.add(Findings(["b"], messages=2, growth=3, gaps=1))
    assert whole == Findings(["a", "b"], messages=3, growth=5, gaps=1)
