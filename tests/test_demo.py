"""The demo, run as its users run it; and that its proof can fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from toroni.demo import proof, protocol
from toroni.demo.corpus import Corpus, File, shares
from toroni.demo.reader import Pending, Seen
from toroni.demo.record import Record

SMALL = ("--files", "200")
PATIENCE = 60.0  # seconds; only a failing test waits so long


@dataclass
class Demo:
    """A running demo."""

    process: subprocess.Popen[str]

    def wait(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors

    def wait_for_line(self, part: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"the demo ended without a line with {part!r}")

    def files(self) -> list[str]:
        return [name for name in os.listdir("/dev/shm") if f"toroni-demo-{self.process.pid}-" in name]

    def children(self, kind: str = "") -> list[int]:
        """Pids of its writers and readers, of zombies not."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().decode()
                if f"toroni.demo.{kind}" in command and f'"demo-{self.process.pid}-' in command:
                    found.append(int(folder.name))
        return found

    def wait_until_nothing_is_left(self) -> None:
        deadline = time.monotonic() + 10.0
        while self.files() or self.children():
            assert time.monotonic() < deadline, f"left: {self.files()}, processes {self.children()}"
            time.sleep(0.02)


def start(*arguments: str, **environment: str) -> Demo:
    process = subprocess.Popen(
        [sys.executable, "-m", "toroni.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, **environment},
    )
    return Demo(process)


@pytest.fixture
def endless() -> Iterator[Demo]:
    """A demo in the middle of more than a test would wait for."""
    demo = start("--rounds", "40", "--patience", "1.5")
    try:
        while " 0%" in demo.wait_for_line("%"):
            pass
        yield demo
    finally:
        demo.process.kill()
        demo.process.communicate()
        for pid in demo.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in demo.files():
            Path("/dev/shm", name).unlink()


@pytest.mark.parametrize("arguments", [(), ("--writers", "5", "--readers", "2"), ("--capacity", "4 KiB")])
def test_proves_order_and_bytes_and_leaves_nothing(arguments: tuple[str, ...]) -> None:
    demo = start(*SMALL, *arguments)
    status, output, errors = demo.wait()
    assert (status, errors) == (0, ""), output + errors
    assert output.count("PROVED: ") == 5
    assert output.count("SIGKILL for ") == 2
    assert "PROVED: 200 files arrived (200 different ones), every byte as on disk." in output
    assert output.endswith("Nothing is left in /dev/shm.\n")
    assert demo.files() == []
    assert demo.children() == []


@pytest.mark.parametrize("label", ["reader-1", "reader-4"])
def test_one_wrong_byte_makes_it_fail(label: str) -> None:
    demo = start(*SMALL, TORONI_DEMO_CORRUPT=label)
    status, output, errors = demo.wait()
    assert status == 1, output + errors
    assert "PROVED" not in output
    assert "FAILED: readers did not see what was sent" in output
    assert f"  {label}: the message at position" in output
    assert demo.files() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(endless: Demo, number: signal.Signals) -> None:
    endless.process.send_signal(number)
    status, output, errors = endless.wait()
    assert (status, errors) == (128 + number, ""), output
    assert endless.files() == []
    assert endless.children() == []


@pytest.mark.parametrize("kind", ["writer", "reader"])
def test_a_death_that_was_not_planned_is_told(endless: Demo, kind: str) -> None:
    os.kill(endless.children(kind)[0], signal.SIGKILL)
    status, output, errors = endless.wait()
    assert status == 1, output + errors
    assert f"FAILED: {kind}-" in output
    assert "was ended by SIGKILL" in output
    assert endless.files() == []
    assert endless.children() == []


@pytest.mark.parametrize("kind", ["writer", "reader"])
def test_a_standstill_is_told_with_what_is_known(endless: Demo, kind: str) -> None:
    for pid in endless.children(kind):
        os.kill(pid, signal.SIGSTOP)
    status, output, errors = endless.wait()
    assert status == 1, output + errors
    assert "FAILED: nothing has moved for 1.5 s" in output
    assert "reader-1" in output
    assert endless.files() == []
    assert endless.children() == []


def test_a_reader_that_is_stopped_for_a_while_loses_nothing() -> None:
    demo = start("--rounds", "3")
    demo.wait_for_line("%")
    stopped = demo.children("reader")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.2)  # longer than writers wait by default
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    status, output, errors = demo.wait()
    assert (status, errors) == (0, ""), output + errors


def test_children_of_a_killed_coordinator_leave_and_clean_up(endless: Demo) -> None:
    endless.process.kill()
    endless.process.communicate()
    endless.wait_until_nothing_is_left()


def test_without_rich_it_says_so() -> None:
    code = "import sys; sys.modules['rich'] = None; from toroni.demo.__main__ import main; sys.exit(main([]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "the demo needs rich, which is not installed: pip install 'toroni[cli]'\n"


@pytest.mark.parametrize(
    "arguments", [("--writers", "1"), ("--capacity", "3 MiB"), ("--capacity", "1 GiB"), ("--files", "1")]
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...]) -> None:
    demo = start(*arguments)
    status, output, errors = demo.wait()
    assert (status, output) == (2, "")
    assert "error: " in errors


# ---- the proof, on a stream that is only a list -----------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    random = Random(1)
    sizes = [0, 1, 300, 3000, 6000]
    for size in sizes:
        (tmp_path / f"file{size}").write_bytes(random.randbytes(size))
    return Corpus(tmp_path, tuple(File(f"file{size}", size) for size in sizes), rounds=2)


def messages_of(corpus: Corpus, capacity: int = 4096) -> list[tuple[int, bytes]]:
    messages, position, sequence = [], 0, 0
    for number in range(corpus.parcels):
        path, size = corpus.file(number)
        data, offset = (corpus.root / path).read_bytes(), 0
        for length in protocol.cut(size, capacity, Random(number)):
            part = data[offset : offset + length]
            chunk = protocol.Chunk(1, sequence, number, offset, size, path.encode(), part)
            messages.append((position, chunk.head() + part))
            position, sequence, offset = position + 5 + len(messages[-1][1]), sequence + 1, offset + length
    return [*messages, (position, protocol.END)]


def witness_of(corpus: Corpus) -> proof.Witness:
    record = Record()
    for position, message in messages_of(corpus):
        record.add(position, message)
    return proof.Witness(record, corpus, corpus.digests())


def seen_of(messages: list[tuple[int, bytes]]) -> Seen:
    """What the coordinator hears of a reader that got these."""
    record, pending, seen = Record(), Pending(), Seen()
    seen.take({"kind": "joined", "position": messages[0][0]})
    for position, message in messages:
        record.add(position, message)
        seen.take(pending.report(record, seconds=1.0))
    return seen


def complaints(corpus: Corpus, messages: list[tuple[int, bytes]], killed: bool = False) -> list[str]:
    return proof.complaints_of_reader(witness_of(corpus), "reader-1", seen_of(messages), killed)


def test_proof_accepts_what_is_right(corpus: Corpus) -> None:
    messages = messages_of(corpus)
    assert proof.complaints_of_witness(witness_of(corpus)) == []
    for start_index in range(len(messages)):
        assert complaints(corpus, messages[start_index:]) == []
    for end_index in range(1, len(messages)):
        assert complaints(corpus, messages[:end_index], killed=True) == []


def test_proof_refuses_another_order(corpus: Corpus) -> None:
    messages = messages_of(corpus)
    (first, one), (second, other) = messages[3:5]
    assert complaints(corpus, [*messages[:3], (first, other), (second, one), *messages[5:]]) != []


def test_proof_refuses_a_lost_a_repeated_and_a_late_message(corpus: Corpus) -> None:
    messages = messages_of(corpus)
    assert complaints(corpus, messages[:-1]) != []
    assert complaints(corpus, [*messages[:4], *messages[5:]]) != []
    assert complaints(corpus, [*messages[:4], messages[3], *messages[4:]]) != []
    assert complaints(corpus, [*messages, (messages[-1][0] + 100, protocol.END)]) != []


def test_proof_refuses_any_wrong_byte(corpus: Corpus) -> None:
    messages = messages_of(corpus)
    position, message = messages[3]
    for index in range(len(message)):
        wrong = message[:index] + bytes([message[index] ^ 0x40]) + message[index + 1 :]
        assert complaints(corpus, [*messages[:3], (position, wrong), *messages[4:]]) != []


def test_proof_refuses_a_writer_that_is_not_heard_from_its_start(corpus: Corpus) -> None:
    record = Record()
    for position, message in messages_of(corpus)[1:]:
        record.add(position, message)
    witness = proof.Witness(record, corpus, corpus.digests())
    text = "not all messages of writer 1 came, from its first to its last"
    assert text in proof.complaints_of_witness(witness)


def test_proof_refuses_files_that_are_not_as_on_disk(corpus: Corpus) -> None:
    witness = witness_of(corpus)
    path = corpus.root / "file300"
    path.write_bytes(b"!" + path.read_bytes()[1:])
    changed = proof.Witness(witness.record, corpus, corpus.digests())
    assert (
        proof.complaints_of_witness(changed)
        == ["the coordinator: file300 arrived with other bytes than are on disk"] * 2
    )
    more = Corpus(corpus.root, corpus.files, rounds=3)
    assert "5 of 15 files never came, such as file0" in proof.complaints_of_witness(
        proof.Witness(witness.record, more, corpus.digests())
    )


def test_shares_hold_every_parcel_once_and_are_even(corpus: Corpus) -> None:
    dealt = shares(corpus, 3, seed=1)
    assert sorted(number for share in dealt for number in share) == list(range(corpus.parcels))
    assert max(sum(corpus.file(number).size for number in share) for share in dealt) <= 9301
