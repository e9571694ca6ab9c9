"""The agent as the scripts of the C++ and Java implementations see it: environment, output, exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from foreign_peer import ForeignBus, ForeignReader, ForeignWriter, Multicast
from processes import PATIENCE
from toroni import rmp

HERE = Path(__file__).parent
OBJECTS = [Path(f"/dev/shm/toroni-burst-{suffix}") for suffix in ("rb", "ri", "s")]
AGENT = [sys.executable, "-m", "toroni.agent"]


def environment(**options: object) -> dict[str, str]:
    """Nothing but these TORONI_AGENT_... options."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TORONI_AGENT_")}
    return clean | {f"TORONI_AGENT_{name}": str(value) for name, value in options.items()}


def agent(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGENT, *command],
        env=environment(**options),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def start(*command: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*AGENT, *command], env=environment(**options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def succeed(*command: str, **options: object) -> str:
    done = agent(*command, **options)
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


@pytest.fixture(autouse=True)
def burst() -> Iterator[None]:
    """All agents use one bus."""
    succeed("unlink")
    yield
    succeed("unlink")
    assert not any(path.exists() for path in OBJECTS)


def test_the_script_of_all_flavors() -> None:
    done = subprocess.run(
        [HERE / "agents.sh", "2", "3"],
        env=environment(DEFAULT=" ".join(AGENT)),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert len(done.stdout.splitlines()) == 5


def test_init_makes_what_the_older_implementation_makes() -> None:
    succeed("init", RINGBUF_SIZE_KB=4, READERS_MAX=2)
    images = [(HERE / "golden" / name).read_bytes() for name in ("rb-4096-new.bin", "ri-2-new.bin")]
    assert [path.read_bytes() for path in OBJECTS] == [*images, bytes(64)]
    assert [path.stat().st_mode & 0o777 for path in OBJECTS] == [0o600] * 3


@pytest.mark.parametrize("command", ["layout", "waitreaders", "resetiter", "stat", "cmprcved"])
def test_every_command_makes_what_is_missing(command: str) -> None:
    process = start(command, RINGBUF_SIZE_KB=4, READERS_MAX=2)
    end = time.monotonic() + PATIENCE
    while not all(path.exists() for path in OBJECTS):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [path.read_bytes() for path in OBJECTS] == [bytes(4176), bytes(144), bytes(64)]
    process.kill()
    process.communicate()


def test_init_again_over_larger_and_over_smaller_objects() -> None:
    succeed("init", RINGBUF_SIZE_KB=4, READERS_MAX=2)
    with rmp.Stream("burst") as stream:
        stream.write(b"before")
    succeed("init", RINGBUF_SIZE_KB=1, READERS_MAX=1)
    assert OBJECTS[0].read_bytes()[:80] == (1024).to_bytes(8, "little") + OBJECTS[0].read_bytes()[8:48] + bytes(
        24
    ) + b"\1" + bytes(7)
    assert OBJECTS[0].stat().st_size == 4176
    failed = agent("init", RINGBUF_SIZE_KB=8, READERS_MAX=1)
    assert failed.returncode == 1
    assert failed.stderr == (
        "toroni-agent init: the ring of 'burst' has 4176 bytes, and 8272 are needed; remove it first\n"
    )


def test_layout() -> None:
    assert succeed("layout").splitlines() == [
        *("RingBuf", "configBufSizeBytes 0", "writerMtx 8", "freePos 48", "backPressureCount 56"),
        *("notificationCount 64", "initialized 72", "index0 80"),
        *("ReaderInfo", "readerGen 0", "initialized 8", "expiredReaders 16", "slotsInitialized 24"),
        *("configMaxReaders 26", "readersMinMax 28"),
        *("lock 32", "position 72", "isActive 80", "lock 88", "position 128", "isActive 136"),
        *("Stats", "latencyNsSum 0", "firstLastDurationNsSum 8", "writerDurationNsSum 16", "notificationNsSum 24"),
        *("msgCount 32", "readersReady 40", "writersReady 48", "readerRuns 56"),
    ]


def test_one_burst() -> None:
    options = {"MESSAGES_PER_WRITER": 5000, "EXTRESULT": 1}
    succeed("init", **options)
    assert re.fullmatch(r"nan_WT=0.000_WW=nan_WN=nan_E=0.000_N=0.000_B=0.000_R=0.000\n", succeed("result", **options))
    reader = start("read", **options)
    succeed("waitreaders", **options)
    succeed("write", **options)
    assert reader.communicate(timeout=PATIENCE) == ("", "")
    assert reader.returncode == 0
    succeed("cmprcved", "5000", **options)
    assert agent("cmprcved", "4999", **options).returncode == 1
    number = r"\d+\.\d{3}"
    figures = f"WT={number}_WW={number}_WN={number}_E=0.000_N={number}_B=0.000_R=1.000"
    assert re.fullmatch(f"{number}_{figures}\n", succeed("result", **options))
    assert re.fullmatch(f"{number}\n", succeed("result"))
    lines = succeed("stat").splitlines()
    assert "Received messages: 5000" in lines
    assert "Freepos: 150000" in lines  # frames of 5 + 8 + 1 + 8 + 8 bytes
    assert "Readers ready: 1" in lines
    succeed("resetiter")
    assert "Readers ready: 0" in succeed("stat").splitlines()
    assert agent("expired").returncode == 0


def test_latency() -> None:
    options = {"MESSAGES_PER_WRITER": 10, "TEST_FLAVOR": "LATENCY"}
    succeed("init", **options)
    reader = start("read", **options)
    succeed("waitreaders", **options)
    began = time.monotonic()
    succeed("write", **options)
    assert reader.wait(PATIENCE) == 0
    assert 0 < float(succeed("result", **options)) < 1000 * (time.monotonic() - began)
    reader.communicate()


def test_what_other_agents_count_is_added_to() -> None:
    """The counters in the order in which C++ and Java agents have them."""
    succeed("init")
    OBJECTS[2].write_bytes(b"".join(value.to_bytes(8, "little") for value in (3, 10**9, 5, 7, 11000, 13, 17, 19)))
    assert succeed("result") == "11.000\n"
    reader = start("read")
    deadline = time.monotonic() + PATIENCE
    while OBJECTS[2].read_bytes()[40] != 14:
        assert time.monotonic() < deadline
    succeed("write")
    assert reader.wait(PATIENCE) == 0
    reader.communicate()
    counters = OBJECTS[2].read_bytes()
    values = [int.from_bytes(counters[i : i + 8], "little") for i in range(0, 64, 8)]
    assert [values[i] for i in (0, 4, 5, 6, 7)] == [3, 11001, 14, 17, 20]
    assert values[1] >= 10**9
    assert values[2] > 5
    assert values[3] > 7


def test_a_reader_that_expires() -> None:
    options = {"RINGBUF_SIZE_KB": 4, "MESSAGES_PER_WRITER": 1000, "BACKPRESSURE_SLEEP_MS": 0}
    succeed("init", **options)
    reader = start("read", **options)
    succeed("waitreaders", **options)
    reader.send_signal(signal.SIGSTOP)
    succeed("write", **options)
    reader.send_signal(signal.SIGCONT)
    _, error = reader.communicate(timeout=PATIENCE)
    assert reader.returncode == 2
    assert error.startswith("reader expired: ")
    assert agent("expired").returncode == 1
    assert "_E=1.000_" in succeed("result", EXTRESULT=1)
    theirs = ForeignBus("burst", 4096, 1)
    theirs.expired_readers.value = 256
    assert agent("expired").returncode == 255  # and not 0


def test_a_writer_dies_with_the_mutex_where_its_reader_blocks() -> None:
    options = {"TEST_FLAVOR": "ROBUST_WRITER", "RINGBUF_SIZE_KB": 1, "MESSAGE_SIZE_BYTES": 100}
    options |= {"MESSAGES_PER_WRITER": 100}
    succeed("init", **options)
    reader = start("read", **options)
    succeed("waitreaders", **options)
    succeed("write", **options)
    theirs = ForeignBus("burst", 1024, 1)
    assert theirs.ring[8:12] == b"\0\0\0\x40"  # the kernel says that the owner died
    assert theirs.slots[0].position.value == 0  # the reader is in its first message
    assert theirs.slots[0].is_active.value == 1
    assert theirs.free_pos.value > 800
    reader.send_signal(signal.SIGINT)
    assert reader.communicate(timeout=PATIENCE) == ("", "")
    assert reader.returncode == 130
    ForeignWriter(theirs, Multicast()).write(b"the next goes on")


def test_a_reader_dies_with_its_slot() -> None:
    succeed("init", TEST_FLAVOR="ROBUST_READER")
    succeed("read", TEST_FLAVOR="ROBUST_READER")
    theirs = ForeignBus("burst", 4 << 20, 1)
    assert theirs.info[32:36] == b"\0\0\0\x40"
    assert theirs.slots[0].is_active.value == 1
    next_reader = ForeignReader(theirs)
    assert next_reader.slot == 0
    next_reader.close()


def test_nothing_to_send() -> None:
    options = {"MESSAGES_PER_WRITER": 0}
    succeed("init", **options)
    succeed("write", **options)
    succeed("read", **options)
    succeed("cmprcved", "0", **options)


def test_ctrl_c() -> None:
    succeed("init")
    for command in ("read", "waitreaders"):
        process = start(command)
        if command == "read":
            succeed("waitreaders")
            succeed("resetiter")
        time.sleep(0.3)  # waitreaders waits, or has not begun to: it makes no difference
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=PATIENCE)
        assert output == ""
        assert (process.returncode, error) == (130, "") or "KeyboardInterrupt" in error  # while Python starts


@pytest.mark.parametrize("command", [[], [""], ["nonsense"], ["READ"]])
def test_unknown_commands(command: list[str]) -> None:
    done = agent(*command)
    assert (done.returncode, done.stdout, done.stderr) == (1, "unknown cmd\n", "")


def test_help() -> None:
    for option in ("-h", "--help"):
        text = succeed(option)
        assert all(word in text for word in ("waitreaders", "TORONI_AGENT_RINGBUF_SIZE_KB", "4096", "ROBUST_READER"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"READERS": "x"}, "TORONI_AGENT_READERS must be a whole number from 1; got 'x'"),
        ({"READERS_MAX": 0}, "TORONI_AGENT_READERS_MAX must be a whole number from 1; got '0'"),
        ({"READERS_MAX": 5000}, "max_readers must be 1 to 2048"),
        ({"MESSAGES_PER_WRITER": -1}, "TORONI_AGENT_MESSAGES_PER_WRITER must be"),
        ({"RINGBUF_SIZE_KB": 100}, "capacity must be a power of two"),
        ({"TEST_FLAVOR": "SPEED"}, "unknown test flavor 'SPEED'"),
    ],
)
def test_bad_options(options: dict[str, object], words: str) -> None:
    done = agent("init", **options)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("toroni-agent init: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_option_is_not_set() -> None:
    succeed("init", READERS="", TEST_FLAVOR="")


def test_bad_arguments_and_messages() -> None:
    succeed("init", RINGBUF_SIZE_KB=1)
    for arguments in ([], ["x"], ["\u00b2"], ["1", "2"]):
        done = agent("cmprcved", *arguments)
        assert (done.returncode, done.stderr) == (1, "cmprcved takes the number of messages\n")
    done = agent("write", MESSAGE_SIZE_BYTES=2000)
    assert done.returncode == 1
    assert "does not fit this ring" in done.stderr
    reader = start("read", TEST_FLAVOR="LATENCY")
    succeed("waitreaders")
    succeed("write", MESSAGE_SIZE_BYTES=9)
    _, error = reader.communicate(timeout=PATIENCE)
    assert reader.returncode == 1
    assert error == "toroni-agent read: a LATENCY message has 8 bytes; got one of 9\n"


def test_more_readers_than_slots() -> None:
    succeed("init")
    first = start("read")
    succeed("waitreaders")
    second = agent("read")
    assert second.returncode == 1
    assert f"all 1 reader slots are taken, by pid {first.pid}" in second.stderr
    first.kill()
    first.communicate()


@pytest.mark.parametrize("damaged", OBJECTS, ids=lambda path: path.name)
def test_what_a_dead_maker_left_can_be_removed(damaged: Path) -> None:
    succeed("init")
    os.truncate(damaged, 0)
    succeed("unlink", READERS="whatever")
    succeed("init")


def test_nobody_reads_what_it_prints() -> None:
    succeed("init")
    for command in ("stat", "--help", "nonsense"):
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run([*AGENT, command], env=environment(), stdout=theirs, stderr=subprocess.PIPE, check=False)
        os.close(theirs)
        assert (done.returncode, done.stderr) == (1, b""), command
    with open("/dev/full", "w") as full:
        done = subprocess.run([*AGENT, "stat"], env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left" in done.stderr


def test_before_init() -> None:
    done = agent("stat")
    assert done.returncode == 1
    assert "is not initialised" in done.stderr
    assert done.stderr.endswith("; run `init` first\n")


def test_a_bus_that_is_woken_otherwise() -> None:
    rmp.Stream("burst", notifier="futex").close()
    done = agent("write")
    assert done.returncode == 1
    assert "exists with notifier futex, not multicast" in done.stderr


def test_it_is_a_console_script_too() -> None:
    script = Path(sys.executable).parent / "toroni-agent"
    assert subprocess.run([script, "init"], env=environment(), check=False).returncode == 0
