"""The examples run as they stand, and are well typed for both of the common checkers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import toroni
from processes import PATIENCE
from toroni import Bus

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "asyncio_fan_out": "5 consumers saw the same 1000 messages",
    "camera_frames": "100 frames of 480x640x3 bytes, brightness 0 to 99",
    "other_loops": "hello\ntrio",
    "process_pool": "120 of 120 steps\n1 result, the same from all",
    "telemetry": "13 alarms, the first from /plant/machine9/sensor9\n5000 messages, 0 bytes lost",
    "worker_pool": "200 results from 3 workers, of which one was killed",
}


def renamed(example: str, folder: Path, bus: str) -> Path:
    """The example on a bus of its own, so that no two runs meet."""
    text = (EXAMPLES / f"{example}.py").read_text()
    assert text.count("Bus(") == 1
    copy = folder / f"{example}.py"
    copy.write_text(text.replace('Bus("', f'Bus("{bus}-'))
    return copy


@pytest.mark.parametrize("example", SAYS)
def test_an_example_runs(example: str, tmp_path: Path, bus_name: str) -> None:
    path = renamed(example, tmp_path, bus_name)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", path], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip().endswith(SAYS[example])
    finally:
        for file in Path("/dev/shm").glob(f"toroni-{bus_name}-*-rb"):
            toroni.unlink(file.name.removeprefix("toroni-").removesuffix("-rb"))


def test_publisher_and_subscriber(tmp_path: Path, bus_name: str) -> None:
    for example in ("publisher", "subscriber"):
        code = (EXAMPLES / f"{example}.py").read_text().split('"""')[2]
        assert sum(bool(line.strip()) for line in code.splitlines()) < 10
    bus = f"{bus_name}-clock"
    subscriber = subprocess.Popen(
        [sys.executable, renamed("subscriber", tmp_path, bus_name)], stdout=subprocess.PIPE, text=True
    )
    try:
        with Bus(bus) as opened:
            end = time.monotonic() + PATIENCE
            while not any(info.waiting for info in opened.readers()):
                assert time.monotonic() < end
                time.sleep(0.01)
        with subprocess.Popen([sys.executable, renamed("publisher", tmp_path, bus_name)]) as publisher:
            assert subscriber.stdout
            lines = [subscriber.stdout.readline().split() for _ in range(3)]
            publisher.kill()
        assert [line[1] for line in lines] == ["/time"] * 3
        assert lines[0][0] == "0"
    finally:
        subscriber.kill()
        subscriber.communicate()
        toroni.unlink(bus)


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == SAYS.keys() | {"publisher", "subscriber"}


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["basedpyright", "--level", "error"]], ids=lambda c: c[0])
def test_examples_are_well_typed(checker: list[str], tmp_path: Path) -> None:
    """Copied away, so that the checkers see the installed package and their own defaults."""
    for path in EXAMPLES.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingTypeStubs": false}')
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*checker, "."], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
