"""The adapters, one file each."""

from __future__ import annotations

import importlib.util

from toroni.bench.libraries.toroni_bus import ToroniBus
from toroni.bench.library import Library


def all_libraries() -> list[Library]:
    """All that can be measured, ours first."""
    return [ToroniBus(batches=False), ToroniBus(batches=True)]


def is_installed(library: Library) -> bool:
    """Whether its module can be imported here."""
    return library.module is None or importlib.util.find_spec(library.module) is not None
