"""Buses for tests: of one's own, removed whatever happens, and who still has them open is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from processes import PATIENCE, peers
from toroni import Bus, InvalidArgument, unlink
from toroni.testing import BusLeftWarning, remove, temporary_bus, temporary_name, unused_name

SUITE = """
import os
import pytest
from toroni import Bus

def test_an_open_bus(toroni_bus):
    with toroni_bus.subscribe("/a") as reader, Bus(toroni_bus.name) as same:
        same.post("/a", b"1")
        assert reader.recv(timeout=10).data == b"1"

def test_a_name(toroni_bus_name):
    assert not exists(toroni_bus_name)
    Bus(toroni_bus_name, capacity="4 KiB").close()
    assert exists(toroni_bus_name)

def exists(name):
    return os.path.exists(f"/dev/shm/toroni-{name}-rb")
"""
NAMES = """
@pytest.fixture(autouse=True)
def note(toroni_bus, toroni_bus_name):
    yield
    print("names", toroni_bus.name, toroni_bus_name)
"""


def files(name: str) -> list[str]:
    return [file for file in os.listdir("/dev/shm") if file.startswith(f"toroni-{name}-")]


def start_pytest(folder: Path, suite: str, *arguments: str) -> subprocess.Popen[str]:
    (folder / "conftest.py").write_text('pytest_plugins = ["toroni.testing.plugin"]\n')
    (folder / "test_suite.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *arguments, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)


def test_the_fixtures_in_two_runs_at_once(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        runs.append(start_pytest(tmp_path / name, SUITE + NAMES))
    names = []
    for run in runs:
        output, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, output
        assert "2 passed" in output
        assert "warning" not in output
        names += [word for line in output.splitlines() if "names " in line for word in line.split()[-2:]]
    assert len(set(names)) == 8
    assert not any(files(name) for name in names)


def test_the_fixtures_of_a_failing_test(tmp_path: Path) -> None:
    suite = """
from toroni import Bus

def test_fails(toroni_bus, toroni_bus_name):
    other = Bus(toroni_bus_name)
    reader = other.subscribe("/a", label="forgotten")
    print("names", toroni_bus.name, toroni_bus_name)
    assert False
"""
    run = start_pytest(tmp_path, suite)
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 1
    assert "1 failed, 1 warning" in output
    assert "is removed, but still open: this process has readers 'forgotten'" in output
    names = next(line for line in output.splitlines() if "names " in line).split()[-2:]
    assert not any(files(name) for name in names)


def test_a_temporary_bus_has_the_options_of_a_bus() -> None:
    with temporary_bus(capacity="4 KiB", max_readers=3, notifier="poll") as bus:
        assert (bus.capacity, bus.max_readers, bus.notifier) == (4096, 3, "poll")
        assert files(bus.name)
    assert bus.closed
    assert not files(bus.name)
    with pytest.raises(InvalidArgument), temporary_bus(capacity=5):
        pass


def test_it_is_removed_after_an_error() -> None:
    with pytest.raises(KeyError), temporary_bus() as bus:
        raise KeyError
    assert bus.closed
    assert not files(bus.name)


def _hold(pipe: Connection, name: str, as_reader: bool) -> None:
    with Bus(name) as bus:
        if as_reader:
            reader = bus.subscribe("/a", label="worker")
            assert reader.label == "worker"
        pipe.send("open")
        pipe.poll(PATIENCE)


@pytest.mark.parametrize(("as_reader", "says"), [(True, "has readers 'worker'"), (False, "has it without a reader")])
def test_a_process_that_still_has_it_open_is_told(as_reader: bool, says: str) -> None:
    with peers() as start:
        with pytest.warns(BusLeftWarning, match=says) as told, temporary_bus() as bus:
            peer = start(_hold, bus.name, as_reader)
            assert peer.receive() == "open"
        assert f"process {peer.pid} (" in str(told[0].message)
        assert not files(bus.name)
        peer.send("end")
        peer.join()


def test_a_killed_process_has_nothing_open() -> None:
    with peers() as start, warnings.catch_warnings():
        warnings.simplefilter("error")
        with temporary_bus() as bus:
            peer = start(_hold, bus.name, True)
            assert peer.receive() == "open"
            peer.kill()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_remove_it() -> None:
    class InChildError(Exception):
        pass

    try:
        with temporary_name() as name:
            Bus(name).close()
            child = os.fork()
            if child == 0:
                raise InChildError
            assert os.waitpid(child, 0)[1] == 0
            assert files(name)
    except InChildError:
        os._exit(0)
    assert not files(name)


def test_what_a_killed_test_process_left_goes_with_the_next_one() -> None:
    code = "import os; from toroni.testing import temporary_bus; context = temporary_bus(); bus = context.__enter__()"
    code += f"; print(bus.name, flush=True); os.kill(os.getpid(), {int(signal.SIGKILL)})"
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    left = killed.stdout.strip()
    with temporary_name():
        assert not files(left)


def test_a_name_is_used_once_and_removing_it_twice_is_no_error() -> None:
    names = {unused_name() for _ in range(1000)}
    assert len(names) == 1000
    name = names.pop()
    Bus(name).close()
    assert remove(name) == []
    assert remove(name) == []
    assert unlink(name) is False
