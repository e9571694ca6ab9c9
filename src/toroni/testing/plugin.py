"""The fixtures for pytest. In the conftest.py at the root of your tests:

    pytest_plugins = ["toroni.testing.plugin"]

or `pytest -p toroni.testing.plugin`. Not an entry point, which would load Toroni in every test run of its environment.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from toroni import Bus
from toroni.testing import temporary_bus, temporary_name


@pytest.fixture
def toroni_bus() -> Iterator[Bus]:
    """An open bus of this test's own; `toroni_bus.name` is for the code under test. Removed afterwards."""
    with temporary_bus() as bus:
        yield bus


@pytest.fixture
def toroni_bus_name() -> Iterator[str]:
    """A name that no bus has, for code that makes its bus itself. What it made is removed afterwards."""
    with temporary_name() as name:
        yield name
