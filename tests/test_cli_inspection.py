"""`toroni ls`, `info`, `rm` and `gc`."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from command_line import fail, run, started, succeed
from namespaces import needs_root, with_shared_memory
from pipe_notifier import PipeNotifier
from toroni import Bus, buses, unlink

pytest.importorskip("typer", reason="of the extra `cli`")

from toroni.cli.attached import hides_processes


@contextmanager
def process(bus: str, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has opened the bus, done something, and waits."""
    program = f"""
import sys, toroni
bus = toroni.Bus({bus!r}, create=False)
{code}
print("done", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "done\n"
            yield child
        finally:
            child.kill()


def alone(*commands: list[str]) -> str:
    """What these commands print where /dev/shm has nothing else."""
    script = f"""
        import subprocess, sys
        for arguments in {commands!r}:
            subprocess.run([sys.executable, "-m", "toroni", *arguments], check=True)
    """
    return with_shared_memory(script, "size=64m")


def read_until(descriptor: int, words: bytes) -> None:
    """Reads on until that has come."""
    read = b""
    while words not in read:
        more = os.read(descriptor, 4096)
        assert more, read
        read += more


def listed(bus: str) -> dict[str, object]:
    """Its entry in `toroni ls --json`."""
    (found,) = [one for one in json.loads(succeed("ls", "--json")) if one["name"] == bus]
    return dict(found)


# ---- ls


def test_a_bus_and_who_uses_it(bus_name: str) -> None:
    with Bus(bus_name, capacity="64 KiB") as bus:
        bus.post("/t", bytes(1000))
        reading = "reader = bus.subscribe('/t', label='here [red]')"
        with process(bus_name, reading) as reader, process(bus_name, "") as writer, process(bus_name, reading) as dead:
            dead.kill()
            dead.wait()
            bus.post("/t", bytes(32 << 10))
            found = listed(bus_name)
            assert (found["capacity"], found["messages"], found["in_use"], found["problem"]) == (65536, 2, True, None)
            processes = found["processes"]
            assert isinstance(processes, list)
            assert {one["pid"] for one in processes} == {os.getpid(), reader.pid, writer.pid}
            readers = found["readers"]
            assert isinstance(readers, list)
            assert {(one["pid"], one["label"], one["alive"]) for one in readers} == {
                (reader.pid, "here [red]", True),
                (dead.pid, "here [red]", False),
            }
            (line,) = [line for line in succeed("ls").splitlines() if line.startswith(bus_name)]
            assert line.split()[1:10] == ["64.0", "KiB", "2", "50", "%", "1", "+", "1", "dead"]
            assert line.split()[-1] == "yes"
    found = listed(bus_name)
    assert (found["in_use"], found["processes"]) == (False, [])


def test_no_bus_at_all() -> None:
    shown = alone(["ls"], ["ls", "--json"], ["gc"])
    assert shown == "there is no bus on this machine\n[]\nthere is no bus that nobody has open\n"


def test_what_cannot_be_opened_is_listed_with_the_reason(bus_name: str) -> None:
    Bus(bus_name).close()
    Path(f"/dev/shm/toroni-{bus_name}-rb").write_bytes(b"nonsense" * 100)
    found = listed(bus_name)
    assert "not a usable Toroni segment" in str(found["problem"])
    assert found["capacity"] is None
    assert f"{bus_name}: " in succeed("ls")
    assert "not a usable Toroni segment" in fail(1, "info", bus_name)
    succeed("rm", bus_name)
    assert bus_name not in buses()


@pytest.mark.parametrize("command", ["ls", "gc"])
def test_a_bus_that_goes_while_it_is_looked_at(command: str) -> None:
    """As another process's does; here it is there for who lists the names, and not for who opens it."""
    script = f"""
        import sys
        from toroni.cli import listing, main, removal
        listing.buses = removal.buses = lambda: ["was-here"]
        sys.exit(main(["{command}", "--json"]))
    """
    nothing = {"ls": "[]", "gc": '{"unused": [], "removed": [], "kept": {}}'}
    assert with_shared_memory(script, "size=64m") == f"{nothing[command]}\n"


def test_a_file_whose_name_is_no_text_stops_nothing() -> None:
    script = """
        import json, subprocess, sys
        from pathlib import Path
        def run(*arguments, status=0):
            done = subprocess.run([sys.executable, "-m", "toroni", *arguments], capture_output=True, text=True)
            assert done.returncode == status, done
            return done
        Path(os.fsdecode(b"/dev/shm/toroni-bad\\xff-rb")).touch()
        Bus("good").close()
        bad, good = json.loads(run("ls", "--json").stdout)
        assert "UTF-8" in bad["problem"]
        print(bad["name"] == os.fsdecode(b"bad\\xff"), good["name"], good["problem"])
        assert "bad" in run("ls").stdout
        assert run("info", os.fsdecode(b"bad\\xff"), status=1).stderr.count("\\n") == 1
        done = run("gc", "--yes", status=1)  # it is left
        assert done.stderr.count("\\n") == done.stderr.count("UTF-8") == 1, done
        print(json.loads(run("ls", "--json").stdout)[1:])
    """
    assert with_shared_memory(script, "size=64m") == "True good None\n[]\n"


def test_half_a_bus_is_garbage(bus_name: str) -> None:
    Bus(bus_name).close()
    Path(f"/dev/shm/toroni-{bus_name}-rb").unlink()
    assert "only half of one" in str(listed(bus_name)["problem"])
    assert json.loads(succeed("gc", bus_name, "--yes", "--json"))["removed"] == [bus_name]
    assert bus_name not in buses()


@needs_root
def test_somebody_elses_bus(bus_name: str) -> None:
    # First each command as root, so that all that is imported later has been imported.
    code = """
import contextlib, io, os, sys
from toroni.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for arguments in (["ls"], ["ls", "--json"], ["info", "no bus"], ["rm", "no bus"], ["gc", "--dry-run", "--json"]):
        main(arguments)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""

    def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    with Bus(bus_name):
        (found,) = [one for one in json.loads(as_nobody("ls", "--json").stdout) if one["name"] == bus_name]
        assert "Permission denied" in found["problem"]
        assert found["in_use"] is None
        assert "cannot be seen" in json.loads(as_nobody("gc", bus_name, "--yes", "--json").stdout)["kept"][bus_name]
        for command, words in (
            (["info"], "Permission denied"),
            (["rm"], "cannot be seen; --force "),
            (["rm", "--force"], "Permission denied"),
        ):
            failed = as_nobody(*command, bus_name)
            assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
            assert failed.stderr.startswith("toroni: ")
            assert words in failed.stderr
        assert bus_name in buses()


@pytest.mark.parametrize(
    ("options", "hides"),
    [("rw", False), ("rw,hidepid=0", False), ("rw,gid=5,hidepid=2", True), ("rw,hidepid=off", False)],
)
def test_processes_that_are_not_even_listed(options: str, hides: bool) -> None:
    line = "22 28 0:21 {} {} rw,nosuid shared:5 - proc proc {}\n"
    mounts = line.format("/", "/proc", options) + line.format("/", "/elsewhere", "rw,hidepid=2")
    assert hides_processes(mounts) is hides


def test_where_there_is_no_terminal_nothing_is_cut() -> None:
    name = "long" * 50
    shown = alone(["pub", name, "/t", "x"], ["ls"]).splitlines()
    assert shown[1].startswith(f"{name}  4.0 MiB ")
    assert shown[1].rstrip().endswith("  no")


def test_the_reference_has_all_keys(bus_name: str) -> None:
    reference = (Path(__file__).parent.parent / "docs/reference/cli.md").read_text()
    tables = reference.split("| key |")[1:]
    explained = [
        {
            key
            for row in table.splitlines()[2:]
            if row.startswith("| ")
            for key in re.findall("`(\\w+)`", row.split("|")[1])
        }
        for table in tables
    ]
    with Bus(bus_name) as bus, bus.subscribe("/t"):
        said = json.loads(succeed("info", bus_name, "--json"))
    assert explained == [set(said), set(said["readers"][0]), set(said["processes"][0])]


# ---- info


def test_everything_about_a_bus(bus_name: str) -> None:
    subscribe = "reader = bus.subscribe('/t', label='slow\\x1b one')"
    with (
        Bus(bus_name, capacity="4 KiB", backpressure=lambda slow: "overwrite") as bus,
        process(bus_name, subscribe) as reader,
    ):
        for _ in range(60):
            bus.post("/t", bytes(100))
        shown = succeed("info", bus_name)
        for words in (
            bus_name,
            "4.0 KiB",
            "futex",
            "-rw-------",
            "60; ",
            "writer lock",
            f"{reader.pid}",
            "slow? one",
        ):
            assert words in shown
        said = json.loads(succeed("info", bus_name, "--json"))
        assert said["messages"] == 60
        assert said["overwritten"] > 0
        (only,) = said["readers"]
        assert (only["pid"], only["label"], only["alive"]) == (reader.pid, "slow? one", True)
        assert only["program"].startswith("python")
        reader.kill()
        reader.wait()
        (line,) = [line for line in succeed("info", bus_name).splitlines() if line.startswith(f"{reader.pid}")]
        assert "dead" in line


def test_info_makes_nothing(bus_name: str) -> None:
    assert fail(1, "info", bus_name) == f"toroni: there is no bus '{bus_name}'\n"
    assert "slash" in fail(1, "info", "a/b")
    assert bus_name not in buses()


def test_a_bus_with_a_notifier_of_the_applications_own(bus_name: str, tmp_path: Path) -> None:
    with closing(PipeNotifier(str(tmp_path))) as own, Bus(bus_name, notifier=own):
        assert "custom" in succeed("info", bus_name)
        assert listed(bus_name)["notifier"] == "custom"


def test_a_multicast_bus(bus_name: str) -> None:
    Bus(bus_name, notifier="multicast").close()
    assert "multicast 224.1.1.1:3334 on 127.0.0.1" in succeed("info", bus_name)
    assert json.loads(succeed("info", bus_name, "--json"))["notifier"] == "multicast 224.1.1.1:3334 on 127.0.0.1"


# ---- rm, gc


def test_a_bus_in_use_is_not_removed_unless_forced(bus_name: str) -> None:
    with Bus(bus_name):
        said = fail(1, "rm", bus_name)
        assert f"process {os.getpid()} (" in said
        assert bus_name in buses()
        succeed("rm", bus_name, "--force")
        assert bus_name not in buses()


def test_who_only_looks_is_no_user(bus_name: str) -> None:
    Bus(bus_name).close()
    with Bus(bus_name, role="observer"):
        assert listed(bus_name)["processes"] == []
        succeed("rm", bus_name)


def test_several_at_once_of_which_one_does_not_exist(bus_name: str) -> None:
    Bus(bus_name).close()
    assert "there is no bus" in fail(1, "rm", f"{bus_name}-other", bus_name)
    assert bus_name not in buses()


def test_garbage_is_what_nobody_has_open(bus_name: str) -> None:
    other = f"{bus_name}-other"
    try:
        Bus(other).close()
        with Bus(bus_name):
            assert "nobody to ask" in fail(2, "gc", bus_name, other)
            said = json.loads(succeed("gc", bus_name, other, "--dry-run", "--json"))
            assert (said["unused"], said["removed"], list(said["kept"])) == ([other], [], [bus_name])
            shown = succeed("gc", bus_name, other, "--yes")
            assert f"left alone: {bus_name}: in use by process {os.getpid()}" in shown
            assert "removed 1, which frees 4.0 MiB" in shown
        assert (bus_name in buses(), other in buses()) == (True, False)
        assert "there is no bus" in fail(1, "gc", other)
    finally:
        unlink(other)


@pytest.mark.parametrize(("answer", "removed"), [("y", True), ("n", False)])
def test_it_asks(bus_name: str, answer: str, removed: bool) -> None:
    Bus(bus_name).close()
    leader, terminal = pty.openpty()
    with started("gc", bus_name, stdin=terminal) as asking:
        os.close(terminal)
        os.write(leader, answer.encode() + b"\n")
        shown = asking.communicate(timeout=30)[0].decode()
        assert "Remove it?" in shown
        assert asking.returncode == 0
    os.close(leader)
    assert (bus_name not in buses()) is removed


def test_it_asks_where_only_programs_read_its_output(bus_name: str) -> None:
    Bus(bus_name).close()
    leader, terminal = pty.openpty()
    with started("gc", bus_name, "--json", stdin=terminal) as asking:
        os.close(terminal)
        os.write(leader, b"y\n")
        output, asked = asking.communicate(timeout=30)
        assert json.loads(output) == {"unused": [bus_name], "removed": [bus_name], "kept": {}}
        assert f"  {bus_name}  4.0 MiB, 0 messages" in asked.decode()
        assert "Remove it?" in asked.decode()
    os.close(leader)


def test_everything_that_is_garbage() -> None:
    shown = alone(["pub", "a", "/t", "x"], ["pub", "b", "/t", "x"], ["gc", "--yes"], ["ls"])
    assert "removed 2, which frees 8.0 MiB" in shown
    assert shown.endswith("there is no bus on this machine\n")


def test_interrupted_while_it_asks(bus_name: str) -> None:
    Bus(bus_name).close()
    leader, terminal = pty.openpty()
    with started("gc", bus_name, stdin=terminal) as asking:
        os.close(terminal)
        assert asking.stdout is not None
        read_until(asking.stdout.fileno(), b"Remove it?")
        asking.send_signal(signal.SIGINT)
        said = asking.communicate(timeout=30)[1]
        assert (asking.returncode, said) == (130, b"")
    os.close(leader)
    assert bus_name in buses()


def test_no_answer_is_no(bus_name: str) -> None:
    Bus(bus_name).close()
    leader, terminal = pty.openpty()
    with started("gc", bus_name, stdin=terminal) as asking:
        os.close(terminal)
        os.write(leader, b"\x04")
        shown, said = asking.communicate(timeout=30)
        assert (asking.returncode, said) == (0, b"")
        assert b"Remove it?" in shown
    os.close(leader)
    assert bus_name in buses()


def test_what_cannot_be_removed() -> None:
    """Each bus is tried, and each reason is said."""
    script = """
        import subprocess, sys
        def run(*arguments, status=0):
            done = subprocess.run([sys.executable, "-m", "toroni", *arguments], capture_output=True, text=True)
            assert done.returncode == status, done
            return done
        for name in ("a", "b"):
            Bus(name).close()
        subprocess.run(["mount", "-o", "remount,ro", "/dev/shm"], check=True)
        for command in (["gc", "--yes"], ["rm", "a", "b"]):
            done = run(*command, status=1)
            assert done.stderr.count("\\n") == done.stderr.count("Read-only file system") == 2, done
        import json
        said = json.loads(run("gc", "--yes", "--json", status=1).stdout)
        print(said["unused"], said["removed"], list(said["kept"]))
    """
    assert with_shared_memory(script, "size=64m") == "['a', 'b'] [] ['a', 'b']\n"


@pytest.mark.parametrize("arguments", [["ls"], ["pub", "--help"], []])
def test_output_that_nobody_reads(bus_name: str, arguments: list[str]) -> None:
    with Bus(bus_name):
        reading, writing = os.pipe()
        os.close(reading)
        with started(*arguments, stdout=writing) as listing:
            os.close(writing)
            said = listing.communicate(timeout=30)[1]
        assert (listing.returncode, said) == (141, b"")


def test_a_name_that_no_bus_can_have() -> None:
    assert run("rm", "a/b").returncode == 1


def test_wrong_options_are_one_sentence() -> None:
    hint = "; `toroni sub --help` shows how it is used\n"
    for arguments, words in [
        (
            ["--format", "foo", "a"],
            "Invalid value for '--format' / '-f': 'foo' is not one of 'text', 'hex', 'json', 'raw', 'length'",
        ),
        (["--zzz"], "No such option: --zzz"),
        ([], "Missing argument 'bus'"),
    ]:
        said = fail(2, "sub", *arguments)
        assert said.endswith(words + hint), said
