"""The fuzz targets, built of what is there now: what is in their corpora, and a short search for more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = ["open", "reader", "topic", "writer"]
CORPUS = ROOT / "fuzz" / "corpus"

needs_clang = pytest.mark.skipif(shutil.which("clang++") is None, reason="libFuzzer is clang's")


def fuzz(*arguments: str) -> str:
    """What `make fuzz` runs; what it shows."""
    command = [sys.executable, str(ROOT / "fuzz" / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def executions(shown: str) -> dict[str, int]:
    """By target, as the table says."""
    found = re.findall(r"│ (\w+) +│ +([\d,]+) │.*nothing found", shown)
    return {target: int(count.replace(",", "")) for target, count in found}


@needs_clang
def test_what_is_in_the_corpora_finds_nothing() -> None:
    counts = executions(fuzz("--replay"))
    assert sorted(counts) == TARGETS
    for target, count in counts.items():
        assert count >= len(list((CORPUS / target).iterdir()))


@needs_clang
def test_a_short_search_finds_nothing(request: pytest.FixtureRequest) -> None:
    counts = executions(fuzz("--seconds", str(request.config.getoption("--fuzz-seconds"))))
    assert sorted(counts) == TARGETS
    assert all(count > 100 for count in counts.values())


def test_each_target_has_a_small_corpus() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == TARGETS
    assert sorted(path.stem for path in (ROOT / "fuzz").glob("*.cpp")) == TARGETS
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert all(any((CORPUS / target).iterdir()) for target in TARGETS)
    assert sum(path.stat().st_size for path in files) < 1 << 20
    assert len(files) < 4000
