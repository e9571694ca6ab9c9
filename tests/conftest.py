"""What all tests share: buses of their own, removed afterwards whatever happened."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipe_notifier import PipeNotifier
from toroni import rmp


def pytest_configure() -> None:
    """Ctrl-C works in the tests also where they run in the background of a shell, which makes it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long `make model` and others go on."""
    parser.addoption("--model-seconds", type=float, default=0.0)
    parser.addoption("--idle-seconds", type=float, default=3.0)
    parser.addoption("--keep-instructions", action="store_true")
    parser.addoption("--kill-seconds", type=float, default=5.0)
    parser.addoption("--hostile-seconds", type=float, default=9.0)
    parser.addoption("--hostile-seed", type=int, default=0)
    parser.addoption("--fuzz-seconds", type=float, default=10.0)
    parser.addoption("--kill-sample", type=int, default=40)
    parser.addoption("--kill-seed", type=int, default=0)


_numbers = itertools.count()


@pytest.fixture
def bus_name() -> Iterator[str]:
    """The name of a bus that does not exist yet and does not exist afterwards."""
    name = f"pytest-{os.getpid()}-{next(_numbers)}"
    yield name
    rmp.unlink(name)


@pytest.fixture(params=["futex", "multicast", "poll", "own"])
def notifier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Each way of notification, the application's own included."""
    if request.param == "own":
        with closing(PipeNotifier(str(tmp_path))) as own:
            yield own
    else:
        yield request.param
