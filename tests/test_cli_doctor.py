"""`toroni doctor`: each thing that can be wrong is made wrong, and it says so."""

from __future__ import annotations

import array
import fcntl
import json
import mmap
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from command_line import fail, run, shown_on, started, succeed
from namespaces import in_namespaces, needs_root, with_shared_memory
from processes import in_child, peers
from test_deaths import copy_until_the_source_is_there, wait_until
from test_surroundings import LO_UP
from toroni import Bus, Drop, rmp, unlink

pytest.importorskip("typer", reason="of the extra `cli`")

OF_MACHINE = [
    *("python", "libc", "kernel", "shared-memory", "free-memory", "limits", "remove-ipc", "namespaces"),
    *("making-a-bus", "messages", "deaths", "multicast"),
]
OF_BUS = [
    *("existence", "rights", "opening", "maker", "name", "writers", "slots", "dead-readers", "stopped-readers"),
    *("slow-readers", "sleeping-readers", "notifier"),
]
DOCTOR = """
import json
from toroni.cli import main
status = main(["doctor", "--json", *{arguments!r}])
print(status)
"""
NOBODY = 65534

Findings = dict[str, dict[str, str]]


def findings_in(output: str) -> Findings:
    found = json.loads(output)
    assert all(set(one) == {"check", "result", "text", "remedy"} for one in found)
    assert all(one["text"] for one in found)
    assert all(bool(one["remedy"]) is (one["result"] != "OK") for one in found)
    return {one["check"]: one for one in found}


def doctor(*arguments: str, status: int = 0) -> Findings:
    result = run("doctor", "--json", *arguments)
    assert (result.returncode, result.stderr) == (status, b""), result
    return findings_in(result.stdout.decode())


def doctor_there(output: str, status: int) -> Findings:
    """Of what DOCTOR prints."""
    text, _, ended = output.rstrip().rpartition("\n")
    found = findings_in(text)
    assert int(ended) == status, found
    return found


def of_result(found: Findings, result: str) -> set[str]:
    return {name for name, one in found.items() if one["result"] == result}


# ---- the machine


def test_the_checks_have_names_that_stay(bus_name: str) -> None:
    with Bus(bus_name):
        found = doctor(bus_name)
    assert list(found) == OF_MACHINE + OF_BUS
    assert not of_result(found, "problem")
    assert "answered after" in found["messages"]["text"]
    assert found["python"]["text"].split()[1] == sys.version.split()[0]


def test_in_lines() -> None:
    lines = succeed("doctor").splitlines()
    assert lines[0] == "this machine"
    assert lines[-1].startswith(f"{len(OF_MACHINE)} checks: no problems, ")
    checks = [line.split()[1] for line in lines[1:-1] if not line.startswith(" ")]
    assert checks == OF_MACHINE


def test_on_a_terminal_everything_is_seen(bus_name: str) -> None:
    leader, terminal = pty.openpty()
    with started("doctor", bus_name, stdout=terminal) as process:
        os.close(terminal)
        screen = shown_on(leader)
        assert process.wait(timeout=30) == 1
    os.close(leader)
    lines = re.sub(r"\x1b\[[\d;]*m", "", screen).splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in screen
    words = " ".join(" ".join(lines).split())
    assert "the first process that opens it makes it" in words
    assert "problem existence there is no such bus" in words


def test_interrupted() -> None:
    """While it writes into a full pipe, so that it cannot have ended."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
    head = len("this machine\n")
    os.write(writing, bytes(size - head))

    def filled() -> bool:
        number = array.array("i", [0])
        fcntl.ioctl(reading, termios.FIONREAD, number)
        return number[0] == size

    with started("doctor", stdout=writing) as process:
        os.close(writing)
        wait_until(filled, "it has begun to write")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (130, b"")
    os.close(reading)


@pytest.mark.parametrize(
    ("mount", "status", "wrong", "words"),
    [
        ("size=32m", 0, "free-memory", "only 32.0 MiB of 32.0 MiB"),
        ("size=1m", 1, "free-memory", "less than a bus of the usual size"),
        ("size=1g,nr_inodes=8", 0, "free-memory", "7 more files"),
        ("size=1g,mode=777", 0, "shared-memory", "any user may remove"),
    ],
)
def test_a_shared_memory_that_will_do_for_little(mount: str, status: int, wrong: str, words: str) -> None:
    script = DOCTOR.format(arguments=[]) + "assert os.listdir('/dev/shm') == []\n"  # nothing is left
    found = doctor_there(with_shared_memory(script, mount), status)
    assert found[wrong]["result"] == ("problem" if status else "warning")
    assert words in found[wrong]["text"]
    assert of_result(found, "problem") == ({wrong} if status else set())
    assert found["making-a-bus"]["result"] == found["messages"]["result"] == found["deaths"]["result"] == "OK"


def test_a_full_shared_memory() -> None:
    script = "open('/dev/shm/other', 'wb').write(bytes((1 << 20) - 4096))\n" + DOCTOR.format(arguments=[])
    found = doctor_there(with_shared_memory(script, "size=1m"), 1)
    assert of_result(found, "problem") == {"free-memory", "making-a-bus"}
    assert "--shm-size" in found["free-memory"]["remedy"]
    assert "shared memory is full" in found["making-a-bus"]["text"]
    assert list(found) == [name for name in OF_MACHINE if name not in {"messages", "deaths"}]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("mount -t tmpfs -o ro none /dev/shm", {"shared-memory": "problem", "making-a-bus": "problem"}),
        ("mount -t tmpfs none /dev", {"shared-memory": "problem", "making-a-bus": "problem", "free-memory": "warning"}),
        ("mount -t tmpfs none /proc", {"making-a-bus": "problem", "limits": "warning", "namespaces": "warning"}),
        ("mount -t sysfs none /dev/shm", {"shared-memory": "warning", "making-a-bus": "problem"}),
    ],
)
def test_what_is_not_there(before: str, expected: dict[str, str]) -> None:
    script = DOCTOR.format(arguments=["some-bus"])
    found = doctor_there(in_namespaces(script, "--mount", "--net", before=before), 1)
    for name, result in expected.items():
        assert found[name]["result"] == result, found[name]


def test_multicast_where_the_loopback_interface_is_down(bus_name: str) -> None:
    """No harm to this machine's other buses, but to one that uses it."""
    found = doctor_there(in_namespaces(DOCTOR.format(arguments=[]), "--net"), 0)
    assert found["multicast"]["result"] == "warning"
    assert "127.0.0.1" in found["multicast"]["text"]
    assert found["multicast"]["remedy"] == "ip link set lo up"
    with Bus(bus_name, notifier="multicast"):
        found = doctor_there(in_namespaces(DOCTOR.format(arguments=[bus_name]), "--net"), 1)
        assert of_result(found, "problem") == {"notifier"}
        assert found["notifier"]["remedy"] == "ip link set lo up"
        found = doctor_there(in_namespaces(LO_UP + DOCTOR.format(arguments=[bus_name]), "--net"), 0)
        assert found["multicast"]["result"] == found["notifier"]["result"] == "OK"


def test_a_reader_in_another_network(bus_name: str) -> None:
    with Bus(bus_name, notifier="multicast") as bus, bus.subscribe("/t", label="far away"):
        script = LO_UP + DOCTOR.format(arguments=[bus_name])
        found = doctor_there(in_namespaces(script, "--net", user=False), 0)
        assert of_result(found, "warning") >= {"notifier"}
        assert f"pid {os.getpid()} (far away, " in found["notifier"]["text"]
        assert doctor(bus_name)["notifier"]["result"] == "OK"


@pytest.mark.parametrize(
    ("limit", "status", "words"),
    [
        ("-n 40", 0, "40 descriptors"),
        ("-f 1000", 1, "too small for a bus of the usual size"),
    ],
)
def test_limits(limit: str, status: int, words: str) -> None:
    command = f'ulimit {limit}; exec "$0" -m toroni doctor --json'
    done = subprocess.run(["bash", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    found = findings_in(done.stdout)
    assert done.returncode == status, done
    assert words in found["limits"]["text"]
    assert "ulimit " + limit[:2] in found["limits"]["remedy"]
    assert found["deaths"]["result"] == "OK"


def test_little_address_space() -> None:
    """As much as is in use, and a little."""
    script = """
import resource
from pathlib import Path
from toroni.cli import app, main
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20),) * 2)
raise SystemExit(main(["doctor", "--json"]))
"""
    found = findings_in(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout)
    assert found["limits"]["result"] == "warning"
    assert "of memory, of which" in found["limits"]["text"]


def test_what_systemd_removes(tmp_path: Path) -> None:
    from toroni.cli.checks_machine import remove_ipc

    def result(user: int = NOBODY) -> str:
        return remove_ipc(tmp_path, user).result

    def configure(file: str, text: str) -> None:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert result() == "OK"  # no logind
    (tmp_path / "run/systemd/seats").mkdir(parents=True)
    assert result() == "warning"  # its default
    assert result(user=33) == result(user=0) == "OK"
    configure("etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n")
    assert result() == "warning"
    configure("etc/systemd/logind.conf", "[Login]\n RemoveIPC = no\n")
    assert result() == "OK"
    configure("usr/lib/systemd/logind.conf.d/50-x.conf", "[Login]\nRemoveIPC=yes\n")
    assert result() == "warning"
    configure("etc/systemd/logind.conf.d/50-x.conf", "")  # instead of the other
    assert result() == "OK"
    configure("run/systemd/logind.conf.d/60-x.conf", "[Login]\nRemoveIPC=true\n")
    assert result() == "warning"
    configure("etc/systemd/logind.conf.d/70-x.conf", "[Login]\nRemoveIPC=0\n")
    assert result() == "OK"
    configure("etc/systemd/logind.conf.d/70-x.conf", "[Login]\nRemoveIPC=on\n")
    configure("var/lib/systemd/linger/nobody", "")
    assert result() == "OK"


ANSWER = """
import sys, time
from toroni import Bus
with Bus(sys.argv[1], create=False) as bus, bus.subscribe("/question") as reader:
    print("ready", flush=True)
    while (message := reader.recv(timeout=5)) is not None:
        {do}
"""


@pytest.mark.parametrize(
    ("command", "do", "expected", "words"),
    [
        ("echo no interpreter >&2; false", "", {"making-a-bus": "problem"}, "could not open the bus: no interpreter"),
        ("exec", "pass", {"messages": "problem", "deaths": "OK"}, "no answer from another process within 1 s"),
        (
            "exec",
            "time.sleep(0.6); bus.post('/answer', message.data)",
            {"messages": "warning", "deaths": "OK"},
            "a sleeping process is not woken: it answered only after 0.6 s",
        ),
        (
            "",  # what is killed is the shell, so that the reader lives
            "bus.post('/answer', message.data)",
            {"messages": "OK", "deaths": "problem"},
            "a killed reader still counted as alive",
        ),
    ],
)
def test_trials_that_fail(tmp_path: Path, command: str, do: str, expected: dict[str, str], words: str) -> None:
    """With another process that does not behave, as where the machine does not let it."""
    interpreter = tmp_path / "python"
    (tmp_path / "answer.py").write_text(ANSWER.format(do=do))
    # Its arguments are -m, the module, and the name of the bus.
    interpreter.write_text(f"#!/bin/sh\n{command} {sys.executable} {tmp_path}/answer.py $3\nexit 1\n")
    interpreter.chmod(0o755)
    script = f"""
import sys
from toroni.cli import main, trials
sys.executable = {str(interpreter)!r}
trials._PATIENCE_SECONDS = {20.0 if not do else 1.0}
trials._DEATH_SECONDS = 0.2
print(main(["doctor", "--json"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    found = doctor_there(done.stdout, 1 if "problem" in expected.values() else 0)
    for name, result in expected.items():
        assert found[name]["result"] == result
    assert any(words in one["text"] for one in found.values()), found


# ---- a bus


def test_no_bus(bus_name: str) -> None:
    found = doctor(bus_name, status=1)
    assert list(found) == [*OF_MACHINE, "existence"]
    assert found["existence"]["text"] == "there is no such bus"
    assert not unlink(bus_name)  # nothing was made


def test_half_a_bus(bus_name: str) -> None:
    with Bus(bus_name):
        os.unlink(f"/dev/shm/toroni-{bus_name}-rb")
        found = doctor(bus_name, status=1)["existence"]
        assert f"/dev/shm/toroni-{bus_name}-rb is missing" in found["text"]


@pytest.mark.parametrize("name", ["a/b", "", "x" * 246])
def test_a_name_that_cannot_be(name: str) -> None:
    assert "1 to 245 bytes" in fail(2, "doctor", name)


def test_a_damaged_bus(bus_name: str) -> None:
    Bus(bus_name).close()
    Path(f"/dev/shm/toroni-{bus_name}-rb").write_bytes(b"not a bus" * 1000)
    found = doctor(bus_name, status=1)
    assert list(found)[-1] == "opening"
    assert "not a usable Toroni segment" in found["opening"]["text"]
    assert f"`toroni rm {bus_name}` removes it" in found["opening"]["remedy"]


def test_a_bus_of_another_pid_namespace(bus_name: str) -> None:
    with Bus(bus_name):
        script = DOCTOR.format(arguments=[bus_name])
        found = doctor_there(in_namespaces(script, "--pid", "--fork", "--mount-proc"), 1)
        assert "another PID namespace" in found["opening"]["text"]
        assert "--pid=container" in found["opening"]["remedy"]
        assert "pid:[" in found["namespaces"]["text"]


@needs_root
@pytest.mark.parametrize(
    ("mode", "result", "words"),
    [
        (0o600, "problem", "we may not use it; of mode 0o600: user root may read and post, group root may nothing"),
        (0o604, "OK", "we may read;"),
        (0o606, "OK", "we may read and post;"),
    ],
)
def test_rights(bus_name: str, mode: int, result: str, words: str) -> None:
    from toroni.cli.checks_files import rights

    def look_as_nobody() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        found = rights(bus_name)
        assert found.result == result
        assert words in found.text

    with Bus(bus_name, mode=mode):
        assert in_child(look_as_nobody) == 0


@needs_root
def test_who_may_not_use_the_bus_is_told_by_whom_it_is(bus_name: str) -> None:
    """This user may have no right to the interpreter's own files: what is needed of them is loaded before."""
    script = f"""
import contextlib, io, os
from toroni.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["doctor", "--json"])
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
print(main(["doctor", "--json", {bus_name!r}]))
"""
    with Bus(bus_name):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        found = doctor_there(done.stdout, 1)
        assert list(found)[-1] == "rights"
        assert found["rights"]["remedy"].startswith("run as root; ")


def read_one(pipe: Connection, name: str, label: str) -> None:
    with Bus(name) as bus, bus.subscribe("/t", label=label) as reader:
        pipe.send("ready")
        reader.recv()
        pipe.send("read")
        pipe.recv()


def test_readers_that_are_dead_stopped_or_slow(bus_name: str) -> None:
    with Bus(bus_name, capacity="4 KiB", max_readers=4) as bus, peers() as start:
        readers = [start(read_one, bus_name, label) for label in ("dead", "stopped", "slow\x1b[31m[red]", "fourth")]
        for reader in readers:
            reader.receive()
        found = doctor(bus_name)
        assert found["slots"]["text"] == "4 of 4 reader slots are taken"
        assert found["slots"]["result"] == "warning"
        assert found["slow-readers"]["text"] == "no reader is far behind, the slowest 0 % of the ring"
        for _ in range(2):
            bus.post("/t", bytes(1000))
        for reader in readers:
            reader.receive()
        for _ in range(3):  # three fifths of the ring, however many of the two a reader had taken at once
            bus.post("/t", bytes(800), backpressure=Drop())
        dead, stopped, slow, fourth = readers
        for reader in (dead, fourth):
            reader.kill()
        os.kill(stopped.pid, signal.SIGSTOP)
        found = doctor(bus_name)
        assert of_result(found, "warning") >= {"stopped-readers", "slow-readers"}
        assert f"pid {dead.pid} (dead)" in found["dead-readers"]["text"]
        assert f"pid {fourth.pid} (fourth)" in found["dead-readers"]["text"]
        assert "harmless" in found["dead-readers"]["text"]
        assert found["dead-readers"]["result"] == found["slots"]["result"] == "OK"
        assert f"pid {stopped.pid} (stopped, " in found["stopped-readers"]["text"]
        assert f"kill -CONT {stopped.pid} " in found["stopped-readers"]["remedy"]
        assert str(slow.pid) not in found["stopped-readers"]["text"]
        assert re.match(rf"far behind: pid {slow.pid} \(slow\W+31m\[red\], ", found["slow-readers"]["text"])
        assert re.search(r"\), ([5-9]\d|100) % of the ring behind$", found["slow-readers"]["text"])
        (line,) = [line for line in succeed("info", bus_name).splitlines() if line.startswith(str(stopped.pid))]
        assert line.split()[-7] == "stopped"
        said = json.loads(succeed("info", bus_name, "--json"))["readers"]
        assert [one["pid"] for one in said if one["stopped"]] == [stopped.pid]
        shown = run("doctor", bus_name)
        assert b"\x1b" not in shown.stdout
        assert b"[red]" in shown.stdout


class Deaf:
    """A notifier that wakes nobody."""

    def notify(self) -> None:
        pass

    def wait(self, timeout: float | None) -> bool:
        time.sleep(1000)
        return False

    def fileno(self) -> int:
        return -1


def sleep_for_ever(pipe: Connection, name: str) -> None:
    with Bus(name, notifier=Deaf()) as bus, bus.subscribe("/t", label="deaf") as reader:
        pipe.send("ready")
        reader.recv()


def test_a_reader_that_is_not_woken(bus_name: str) -> None:
    with Bus(bus_name, notifier=Deaf()) as bus, peers() as start:
        reader = start(sleep_for_ever, bus_name)
        reader.receive()
        wait_until(lambda: any(one.waiting for one in bus.readers()), "it sleeps")
        assert doctor(bus_name)["sleeping-readers"]["result"] == "OK"
        bus.post("/t", b"x")
        found = doctor(bus_name)
        assert found["sleeping-readers"]["result"] == "warning"
        assert f"pid {reader.pid} (deaf, " in found["sleeping-readers"]["text"]
        assert "cannot be tried" in found["notifier"]["text"]


def test_readers_that_sleep_and_have_read_everything(bus_name: str) -> None:
    with Bus(bus_name) as bus, started("sub", bus_name) as subscriber:
        wait_until(lambda: any(one.waiting for one in bus.readers()), "it sleeps")  # it has subscribed, too
        bus.post("/t", b"x")
        assert subscriber.stdout is not None
        assert subscriber.stdout.readline() == b"/t x\n"
        assert doctor(bus_name)["sleeping-readers"]["result"] == "OK"


def test_a_writer_that_is_stuck_or_stopped_with_the_mutex(bus_name: str, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.touch()
    with rmp.Stream(bus_name, capacity="4 KiB") as stream, peers() as start:
        assert doctor(bus_name)["writers"]["text"] == "nobody holds the writer mutex at the moment"
        holder = start(copy_until_the_source_is_there, bus_name, str(path))
        holder.receive()
        wait_until(lambda: stream.stats().lock_holder == holder.pid, "it holds the mutex")
        found = doctor(bus_name)["writers"]
        assert found["result"] == "warning"
        assert f"pid {holder.pid} (" in found["text"]
        assert "for more than 1 s" in found["text"]
        os.kill(holder.pid, signal.SIGSTOP)
        wait_until(lambda: ") T " in Path(f"/proc/{holder.pid}/stat").read_text(), "it is stopped")
        found = doctor(bus_name, status=1)["writers"]
        assert found["result"] == "problem"
        assert f"pid {holder.pid} (" in found["text"]
        assert f"kill -CONT {holder.pid} " in found["remedy"]
        assert f"), stopped: kill -CONT {holder.pid} " in succeed("info", bus_name)
        holder.kill()
        assert doctor(bus_name)["writers"]["result"] == "OK"


def test_users_of_an_earlier_bus_of_this_name(bus_name: str) -> None:
    # An observer, such as `toroni top`, is none.
    with Bus(bus_name), Bus(bus_name, role="observer"), peers() as start:
        users = [start(read_one, bus_name, ""), start(open_to_write, bus_name)]
        for user in users:
            user.receive()
        assert doctor(bus_name)["name"]["result"] == "OK"
        unlink(bus_name)
        with Bus(bus_name):
            found = doctor(bus_name)["name"]
            assert found["result"] == "warning"
            assert found["text"].endswith(": pid " + ", ".join(str(pid) for pid in sorted(user.pid for user in users)))


def open_to_write(pipe: Connection, name: str) -> None:
    with Bus(name, role="writer"):
        pipe.send("ready")
        pipe.recv()


def test_a_foreign_bus(bus_name: str) -> None:
    golden = Path(__file__).parent / "golden"
    for kind, file in (("ri", "ri-2-new.bin"), ("rb", "rb-4096-new.bin")):
        Path(f"/dev/shm/toroni-{bus_name}-{kind}").write_bytes((golden / file).read_bytes())
    assert "made by a C++ or Java process" in doctor(bus_name)["maker"]["text"]
