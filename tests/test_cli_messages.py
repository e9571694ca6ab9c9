"""`toroni pub`, `sub`, `tail`, `hz` and `bw`."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import fail, run, shown_on, started, succeed
from toroni import Bus, unlink

pytest.importorskip("typer", reason="of the extra `cli`")

AWKWARD = "grün \t\x1b[31m\\ \N{SNOWMAN}"


def wait_until(met: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.005)


def history(bus: Bus) -> list[tuple[str, bytes]]:
    with bus.subscribe("", descendants=True, start="oldest") as reader:
        return [(one.topic, one.data) for one in reader.recv_many(100_000, timeout=0)]


# ---- pub


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        (["-f", "-"], b"a\nb\r\n\nc", [b"a", b"b\r", b"", b"c"]),
        ([], b"", []),
        (["--records", "nul"], b"a\nb\0\0c\0", [b"a\nb", b"", b"c"]),
        (["--records", "whole"], b"a\nb\0", [b"a\nb\0"]),
        (["--records", "whole"], b"", [b""]),
        (["--records", "length"], struct.pack("<I2sII1s", 2, b"\n\0", 0, 1, b"x"), [b"\n\0", b"", b"x"]),
        (["-n", "2"], b"1\n2\n3\n", [b"1", b"2"]),
    ],
)
def test_records_of_standard_input(bus_name: str, options: list[str], given: bytes, expected: list[bytes]) -> None:
    succeed("pub", bus_name, "/t", *options, input=given)
    with Bus(bus_name, create=False) as bus:
        assert history(bus) == [("/t", data) for data in expected]


def test_an_argument_and_its_repetition(bus_name: str) -> None:
    said = json.loads(succeed("pub", bus_name, "/t", AWKWARD, "--repeat", "3", "--rate", "100", "--json"))
    assert said == {"messages": 3, "bytes": 3 * len(AWKWARD.encode()), "dropped": 0}
    with Bus(bus_name, create=False) as bus:
        assert history(bus) == [("/t", AWKWARD.encode())] * 3


def test_an_argument_of_any_bytes(bus_name: str) -> None:
    subprocess.run([sys.executable, "-m", "toroni", "pub", bus_name, "/t", b"\xff\xfe"], check=True)
    with Bus(bus_name, create=False) as bus:
        assert history(bus) == [("/t", b"\xff\xfe")]


def test_a_file_is_one_message_or_many(bus_name: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    content = b"".join(b"%d\n" % number for number in range(100_000))
    file.write_bytes(content)
    succeed("pub", bus_name, "/whole", "--file", str(file), "--capacity", "16 MiB")
    succeed("pub", bus_name, "/lines", "--file", str(file), "--records", "lines", "--repeat", "2", "-n", "150000")
    with Bus(bus_name, create=False) as bus, bus.subscribe("/whole", "/lines", start="oldest") as reader:
        first = reader.recv(timeout=0)
        assert first is not None
        assert first.data == content
        lines = []
        while batch := reader.recv_many(timeout=0):
            lines += batch
        assert [one.data for one in lines] == (content.split(b"\n")[:-1] * 2)[:150_000]


def test_descendants(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/a/b") as below, bus.subscribe("/a/b/c") as further:
        succeed("pub", bus_name, "/a", "only there")
        succeed("pub", bus_name, "/a", "all", "--descendants")
        assert [one.data for reader in (below, further) for one in reader.recv_many(timeout=0)] == [b"all"] * 2


def test_lines_are_posted_as_they_come(bus_name: str) -> None:
    with Bus(bus_name) as bus, bus.subscribe("/t") as reader, started("pub", bus_name, "/t") as publisher:
        assert publisher.stdin is not None
        for line in (b"one", b"two"):
            publisher.stdin.write(line + b"\n")
            publisher.stdin.flush()
            message = reader.recv(timeout=30)
            assert message is not None
            assert message.data == line


def test_rate(bus_name: str) -> None:
    before = time.monotonic()
    succeed("pub", bus_name, "/t", "--rate", "50", input=b"x\n" * 26)
    assert time.monotonic() - before >= 0.5
    with Bus(bus_name, create=False) as bus:
        assert len(history(bus)) == 26


def test_slow_readers(bus_name: str) -> None:
    with Bus(bus_name, capacity="4 KiB") as bus, bus.subscribe("/t") as reader:
        lines = b"".join(b"%0100d\n" % number for number in range(100))
        result = run("pub", bus_name, "/t", "--backpressure", "drop", "--json", input=lines)
        said = json.loads(result.stdout)
        assert said["messages"] + said["dropped"] == 100
        assert said["messages"] == len(reader.recv_many(timeout=0)) < 100
        assert result.returncode == 1
        assert result.stderr.decode() == f"toroni: {said['dropped']} messages were dropped: readers are slow\n"
        result = run("pub", bus_name, "/t", "--backpressure", "fail", input=lines)
        posted = len(reader.recv_many(timeout=0))
        assert result.returncode == 1
        assert f"{posted} messages had been posted" in result.stderr.decode()
        assert f"pid {os.getpid()}" in result.stderr.decode()
        assert run("pub", bus_name, "/t", "--backpressure", "overwrite", input=lines).returncode == 0
        with pytest.raises(Exception, match="missed"):
            reader.recv(timeout=0)


def test_a_message_too_large_loses_nothing_before_it(bus_name: str) -> None:
    with Bus(bus_name, capacity="4 KiB") as bus:
        said = fail(1, "pub", bus_name, "/t", input=b"first\nsecond\n" + bytes(5000) + b"\nlast\n").splitlines()
        assert said[0] == "toroni: 2 messages had been posted when it ended"
        assert "does not fit this ring" in said[1]
        assert history(bus) == [("/t", b"first"), ("/t", b"second")]
        lengths = struct.pack("<I5sI", 5, b"first", 2**32 - 1)
        assert "a record of 4294967295 bytes" in fail(2, "pub", bus_name, "/t", "--records", "length", input=lengths)
        most = bus.max_message - len("/t") - 10
        succeed("pub", bus_name, "/t", "--records", "whole", input=bytes(most))
        assert history(bus)[-1] == ("/t", bytes(most))
        assert "does not fit" in fail(1, "pub", bus_name, "/t", "--records", "whole", input=bytes(most + 1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/t", "data", "--file", "x"], "--file"),
        (["/t", "--repeat", "2"], "standard input"),
        (["/t", "--file", "/nonexistent/x"], "No such file"),
        (["/t", "--rate", "0"], "--rate"),
        (["/t", "--records", "words"], "lines"),
        ([], "--help"),
    ],
)
def test_what_cannot_be_posted(bus_name: str, arguments: list[str], words: str) -> None:
    assert words in fail(2, "pub", bus_name, *arguments)
    assert not unlink(bus_name)  # nothing was made


def test_an_input_that_ends_within_a_record(bus_name: str) -> None:
    assert "ends within a record" in fail(2, "pub", bus_name, "/t", "--records", "length", input=b"\5\0\0\0abc")


def test_interrupted(bus_name: str) -> None:
    with started("pub", bus_name, "/t", "x", "--repeat", "0", "--rate", "1000") as publisher:
        wait_until(lambda: os.path.exists(f"/dev/shm/toroni-{bus_name}-rb"))
        with Bus(bus_name) as bus:
            wait_until(lambda: bus.stats().messages)
            publisher.send_signal(signal.SIGINT)
            _, said = publisher.communicate(timeout=30)
            assert publisher.returncode == 130
            posted = bus.stats().messages
            assert said.decode() == f"toroni: {posted} messages had been posted when it ended\n"


# ---- sub


def test_everything_in_lines(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        bus.post("/a", b"one")
        bus.post("relative", AWKWARD.encode())
        bus.post("/b", b"\xff\x00")
        bus.post("/new\nline", b"")
        shown = succeed("sub", bus_name, "--start", "oldest", "-n", "4")
        assert shown.splitlines() == [
            "/a one",
            "relative grün \\t\\x1b[31m\\ \N{SNOWMAN}",
            "/b \\xff\\x00",
            "/new\\nline ",
        ]


def test_some_topics(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        for topic in ("/a", "/a/b", "/c"):
            bus.post(topic, topic.encode())
        assert succeed("sub", bus_name, "/a", "/c", "--start", "oldest", "-n", "2") == "/a /a\n/c /c\n"
        assert succeed("sub", bus_name, "/a", "-d", "--start", "oldest", "-n", "2") == "/a /a\n/a/b /a/b\n"
        position = str(bus.post("/a", b"last"))
        assert succeed("sub", bus_name, "/a", "--start", position, "-n", "1") == "/a last\n"


def test_formats(bus_name: str) -> None:
    payloads = [b"21.5", b"\xff\x00\n", b""]
    with Bus(bus_name) as bus:
        positions = [bus.post("/t", one) for one in payloads]

        def shown(*options: str) -> bytes:
            result = run("sub", bus_name, "--start", "oldest", "-n", "3", *options)
            assert (result.returncode, result.stderr) == (0, b"")
            return result.stdout

        assert shown("--format", "hex") == b"/t 32 31 2e 35\n/t ff 00 0a\n/t \n"
        assert shown("--format", "raw") == b"".join(payloads)
        lengths = shown("--format", "length")
        assert lengths == b"".join(struct.pack("<I", len(one)) + one for one in payloads)
        expected = [
            {"position": positions[0], "topic": "/t", "data": "21.5"},
            {"position": positions[1], "topic": "/t", "base64": "/wAK"},
            {"position": positions[2], "topic": "/t", "data": ""},
        ]
        assert [json.loads(line) for line in shown("--json").splitlines()] == expected
        assert shown("--json") == shown("--format", "json")
        for line in shown("--timestamps").splitlines():
            assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} /t ", line)
        # What one writes the other reads.
        succeed("pub", bus_name, "/copy", "--records", "length", input=lengths)
        assert [data for topic, data in history(bus) if topic == "/copy"] == payloads


def test_payloads_are_saved(bus_name: str, tmp_path: Path) -> None:
    directory = tmp_path / "new" / "saved"
    with Bus(bus_name) as bus:
        position = bus.post("/../a b", b"\0payload")
        bus.post("/" + "long" * 100, b"2")
        shown = succeed("sub", bus_name, "--start", "oldest", "-n", "2", "--save", str(directory)).splitlines()
        first, second = sorted(directory.iterdir())
        assert shown[0] == f"/../a b {first}"
        assert first.name == f"{position:020}-%2F..%2Fa%20b"
        assert (first.read_bytes(), second.read_bytes()) == (b"\0payload", b"2")
        said = json.loads(succeed("tail", bus_name, "-n", "1", "--json", "--save", str(directory)))
        assert said["file"] == str(second)
        assert "raw" in fail(2, "sub", bus_name, "--format", "raw", "--save", str(directory))
        assert "cannot make" in fail(2, "sub", bus_name, "--save", str(first / "below"))


def test_as_they_come_and_what_was_missed(bus_name: str) -> None:
    with (
        Bus(bus_name, capacity="4 KiB", backpressure=lambda slow: "overwrite") as bus,
        started("sub", bus_name, "--json", "-n", "3") as subscriber,
    ):
        wait_until(lambda: any(one.waiting for one in bus.readers()))  # then the subscription counts
        bus.post("/t", b"first")
        assert subscriber.stdout is not None
        assert json.loads(subscriber.stdout.readline())["data"] == "first"
        subscriber.send_signal(signal.SIGSTOP)
        for _ in range(100):
            bus.post("/t", bytes(100))
        subscriber.send_signal(signal.SIGCONT)
        gap = json.loads(subscriber.stdout.readline())["lost"]
        assert gap["messages"] == 100
        bus.post("/t", b"then")
        bus.post("/t", b"end")
        rest, said = subscriber.communicate(timeout=30)
        assert [json.loads(line)["data"] for line in rest.splitlines()] == ["then", "end"]
        assert "missed 100 messages" in said.decode()
        assert subscriber.returncode == 0


def test_timeouts(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        bus.post("/t", b"x")
        result = run("sub", bus_name, "--timeout", "0.1")
        assert (result.returncode, result.stdout) == (3, b"")
        assert result.stderr.decode() == "toroni: no message for 0.1 s; 0 came before\n"
        result = run("sub", bus_name, "--timeout", "0.1", "-n", "2", "--start", "oldest")
        assert (result.returncode, result.stdout) == (3, b"/t x\n")
        assert succeed("sub", bus_name, "--timeout", "0.1", "--start", "oldest") == "/t x\n"


@pytest.mark.parametrize("command", [["sub", "--start", "oldest"], ["tail", "-F"]])
def test_who_reads_the_output_goes(bus_name: str, command: list[str]) -> None:
    """Also if nothing comes any more."""
    with Bus(bus_name) as bus:
        bus.post_many([b"%d" % number for number in range(10)], topic="/t")
        reading, writing = os.pipe()
        with started(command[0], bus_name, *command[1:], stdout=writing) as subscriber:
            os.close(writing)
            assert os.read(reading, 5) == b"/t 0\n"
            os.close(reading)
            _, said = subscriber.communicate(timeout=30)
            assert (subscriber.returncode, said) == (141, b"")


def test_a_bus_that_is_removed_meanwhile(bus_name: str) -> None:
    with Bus(bus_name) as bus, started("sub", bus_name, "-n", "1") as subscriber:
        wait_until(lambda: any(one.waiting for one in bus.readers()))  # then the subscription counts
        unlink(bus_name)
        assert subscriber.stderr is not None
        assert "was removed" in subscriber.stderr.readline().decode()
        bus.post("/t", b"still there")
        assert subscriber.communicate(timeout=30)[0] == b"/t still there\n"


def test_interrupted_while_it_waits(bus_name: str) -> None:
    with Bus(bus_name) as bus, started("sub", bus_name) as subscriber:
        wait_until(lambda: any(one.waiting for one in bus.readers()))  # then the subscription counts
        subscriber.send_signal(signal.SIGINT)
        output = subscriber.communicate(timeout=30)
        assert (subscriber.returncode, output) == (130, (b"", b""))
        assert bus.readers() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--format", "xml"], "text"), (["--start", "yesterday"], "oldest"), (["-n", "0"], "--count")],
)
def test_what_sub_cannot_do(bus_name: str, options: list[str], words: str) -> None:
    assert words in run("sub", bus_name, *options).stderr.decode()
    assert run("sub", bus_name, *options).returncode in (1, 2)


# ---- tail


def test_the_last_messages_after_all_have_died(bus_name: str) -> None:
    with started("pub", bus_name, "/t") as publisher:
        assert publisher.stdin is not None
        publisher.stdin.write(b"".join(b"%d\n" % number for number in range(100)))
        publisher.stdin.flush()
        wait_until(lambda: os.path.exists(f"/dev/shm/toroni-{bus_name}-rb"))
        with Bus(bus_name, role="observer") as bus:
            wait_until(lambda: bus.stats().messages == 100)
        publisher.kill()
    assert succeed("tail", bus_name) == "".join(f"/t {number}\n" for number in range(90, 100))
    assert succeed("tail", bus_name, "-n", "2", "--json").splitlines() == [
        json.dumps({"position": position, "topic": "/t", "data": data})
        for position, data in ((98 * 19 - 10, "98"), (99 * 19 - 10, "99"))
    ]
    assert succeed("tail", bus_name, "-n", "0") == ""
    assert len(succeed("tail", bus_name, "-n", "1000").splitlines()) == 100
    assert succeed("tail", bus_name, "/other") == ""


def test_tail_goes_on(bus_name: str) -> None:
    with Bus(bus_name) as bus:
        bus.post_many([b"1", b"2"], topic="/t")
        with started("tail", bus_name, "-n", "1", "--follow") as following:
            assert following.stdout is not None
            assert following.stdout.readline() == b"/t 2\n"
            bus.post("/t", b"3")
            assert following.stdout.readline() == b"/t 3\n"


def test_tail_makes_no_bus(bus_name: str) -> None:
    assert fail(1, "tail", bus_name) == f"toroni: there is no bus '{bus_name}'\n"
    assert not unlink(bus_name)


# ---- hz, bw


def test_rates_are_counts(bus_name: str) -> None:
    """All messages of a burst are counted, each once, whatever the clock says."""
    with Bus(bus_name, capacity="1 MiB") as bus:
        with started("hz", bus_name, "--every", "0.2", "-n", "10", "--json") as counting:
            wait_until(lambda: any(one.waiting for one in bus.readers()))  # then the subscription counts
            for number in range(300):
                bus.post_many([(f"/{number % 3}", bytes(64))] * 100)
            reports = [json.loads(line) for line in counting.communicate(timeout=60)[0].splitlines()]
        assert len(reports) == 10
        for topic in ("/0", "/1", "/2"):
            assert sum(one["topics"].get(topic, {"messages": 0})["messages"] for one in reports) == 10_000
            assert sum(one["topics"].get(topic, {"bytes": 0})["bytes"] for one in reports) == 640_000
        assert sum(one["bus"]["messages"] for one in reports) == 30_000
        assert all(one["missed"] == 0 and one["seconds"] >= 0.2 for one in reports)


@pytest.mark.parametrize(("command", "unit"), [("hz", "messages/s"), ("bw", "B/s")])
def test_rates_in_lines_and_on_a_terminal(bus_name: str, command: str, unit: str) -> None:
    with Bus(bus_name) as bus:
        leader, terminal = pty.openpty()
        with (
            started(command, bus_name, "-n", "2", "--every", "0.3") as lines,
            started(command, bus_name, "-n", "2", "--every", "0.3", stdout=terminal) as table,
        ):
            os.close(terminal)
            wait_until(lambda: sum(one.waiting for one in bus.readers()) == 2)
            bus.post("/loud[bold]", bytes(1000))
            shown = lines.communicate(timeout=30)[0].decode()
            assert lines.returncode == 0
            assert "/loud[bold]  " in shown
            assert f"{unit}, " in shown
            assert "the whole bus: " in shown
            screen = shown_on(leader)
            assert table.wait(timeout=30) == 0
            assert "/loud[bold]" in screen
            assert "the whole bus" in screen
        os.close(leader)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["hz", "BUS", "--every", value] for value in ("nan", "inf", "0")),
        *(["bw", "BUS", "--every", value] for value in ("nan", "inf")),
        *(["pub", "BUS", "/t", "x", option, "nan"] for option in ("--rate", "--patience")),
        ["pub", "BUS", "/t", "x", "--rate", "inf"],
        ["sub", "BUS", "--timeout", "nan"],
    ],
)
def test_numbers_that_are_none(bus_name: str, arguments: list[str]) -> None:
    said = fail(2, *(bus_name if one == "BUS" else one for one in arguments))
    assert said.count("\n") == 1
    assert not unlink(bus_name)


def test_a_progress_bar_for_a_file(bus_name: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"0123456789abcde\n" * 20_000)
    leader, terminal = pty.openpty()
    with started("pub", bus_name, "/t", "-f", str(file), "--records", "lines", stderr=terminal) as publisher:
        os.close(terminal)
        screen = shown_on(leader)
        assert publisher.wait(timeout=30) == 0
    os.close(leader)
    assert "320.0/320.0 kB" in screen
