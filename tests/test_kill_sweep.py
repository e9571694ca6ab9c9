"""A sample of `make kill-sweep`: processes that are killed at random instructions of each operation, and what their
survivors find. The failing seed and instruction are in the report; `--kill-sample` takes a larger one."""

from __future__ import annotations

import json
import platform
import random
import subprocess
from pathlib import Path

import pytest

from mutants import MUTANTS

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "build" / "lab" / "lab" / "kill_sweep"
NOT_PERMITTED = 3  # its exit code where ptrace is


@pytest.fixture(scope="module")
def program() -> Path:
    """Built from what is there now."""
    if platform.machine() != "x86_64":
        pytest.skip("breakpoints and traps are those of x86-64")
    for command in (["cmake", "--preset", "lab"], ["cmake", "--build", "build/lab", "--target", "kill_sweep"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return PROGRAM


def test_survivors_of_kills_at_a_sample_of_instructions(program: Path, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kill-sample")
    seed = request.config.getoption("--kill-seed") or random.randrange(1, 1 << 32)
    done = subprocess.run(
        [program, "--sample", str(kills), "--seed", str(seed)], capture_output=True, text=True, timeout=600
    )
    if done.returncode == NOT_PERMITTED:
        pytest.skip(done.stderr.strip())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failures = [event for event in events if event["event"] == "failure"]
    assert not failures, f"seed {seed}:\n" + "\n".join(str(failure) for failure in failures)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    ends = [event for event in events if event["event"] == "end"]
    operations = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert [end["operation"] for end in ends] == operations
    assert all(0 < end["kills"] <= kills for end in ends)


def test_mutants_are_made_of_the_core_as_it_is() -> None:
    """What `make kill-mutants` changes is there to be changed."""
    for mutant in MUTANTS:
        assert mutant.of(ROOT) != (ROOT / mutant.file).read_text()
