"""The shape of the project: floors with arrows that only point down, one public door, and rules for the core
that a reviewer would otherwise say twice."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toroni
from toroni import rmp, tp

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core"
FLOORS = ["base", "os", "ring", "topic"]  # each may use itself and those before it


def sources(folder: Path, *patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in folder.rglob(pattern)]
    assert found or folder.name == "topic"
    return found


def floor_of(source: Path) -> str:
    """A header's folder; an implementation belongs to the header that it includes first."""
    if source.suffix == ".hpp":
        return source.parent.name
    floors = re.findall(r'#include "toroni/(\w+)/', source.read_text())
    return max(floors[:1], key=FLOORS.index) if source.stem != "slots" else "ring"


@pytest.mark.parametrize("source", sources(CORE / "include", "*.hpp") + sources(CORE / "src", "*.cpp"), ids=str)
def test_includes_of_the_core_point_down(source: Path) -> None:
    allowed = FLOORS[: FLOORS.index(floor_of(source)) + 1]
    includes = re.findall(r'#include ["<]([^">]+)[">]', source.read_text())
    for include in includes:
        if include.startswith("toroni/"):
            assert include.split("/")[1] in allowed
        else:
            assert include not in {"Python.h", "nanobind/nanobind.h"}
            assert "/" not in include or include.startswith(("sys/", "linux/", "netinet/", "arpa/"))


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules of ours that are imported at run time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "toroni":
            yield from [node.module] if node.module != "toroni" else [f"toroni.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("toroni"))


PYTHON_FLOORS = [
    "_types",
    "_closing",
    "_core",
    "_columns",
    "_errors",
    "_backpressure",
    "_notifiers",
    "_sizes",
    "_opening",
]
PYTHON_FLOORS += ["_asyncio", "_executors", "_async_writer", "_reader", "_bus", "rmp", "tp", "demo", "agent"]
PYTHON_FLOORS += ["testing", "bench", "cli", "__main__"]


@pytest.mark.parametrize("source", sources(ROOT / "src" / "toroni", "*.py"), ids=str)
def test_imports_of_the_package_point_down(source: Path) -> None:
    parts = source.relative_to(ROOT / "src" / "toroni").with_suffix("").parts
    if parts == ("__init__",):
        return
    floor = PYTHON_FLOORS.index(parts[0])
    for module in imports(ast.parse(source.read_text())):
        if module == "toroni" and parts[0] == "bench":
            continue
        name = module.split(".")[1]
        if parts[0] == "demo":
            assert name in {"demo", "rmp", "_sizes"} or name in toroni.__all__  # as any user of the library
        elif parts[0] == "testing":  # likewise
            assert name in {"testing", "tp"} or name in toroni.__all__
        elif parts[0] in {"bench", "cli", "__main__"}:  # likewise; what is native in it is its own
            assert name in {"bench", "demo", "cli"} or name in toroni.__all__
            assert parts[0] != "bench" or name not in {"demo", "cli"}
        elif parts[0] == "agent":  # but for its hooks
            assert name in {"agent", "rmp", "tp", "_core", "_opening"} or name in toroni.__all__
        else:
            assert PYTHON_FLOORS.index(name) < floor


def test_the_library_needs_nothing_at_run_time() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"^dependencies", text, re.MULTILINE)
    for source in (ROOT / "src" / "toroni").glob("*.py"):
        for node in ast.parse(source.read_text()).body:  # not what is under TYPE_CHECKING
            if isinstance(node, ast.ImportFrom):
                assert node.module
                assert node.module.split(".")[0] in {"toroni", *sys.stdlib_module_names}


@pytest.mark.parametrize("module", [toroni, rmp, tp], ids=lambda module: str(module.__name__))
def test_all_is_true(module: object) -> None:
    listed = set(module.__all__)  # type: ignore[attr-defined]
    assert sorted(listed) == sorted(module.__all__)  # type: ignore[attr-defined]
    for name in listed:
        assert getattr(module, name).__doc__ or name in {"Answer", "Backpressure"}
    if module is toroni:
        users = {"demo", "agent", "testing", "bench", "cli"}
        defined = {n for n, value in vars(toroni).items() if not n.startswith("_") and n not in users}
        assert defined <= listed


def test_errors_are_one_tree_and_documented() -> None:
    errors = [value for value in vars(toroni).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(issubclass(error, toroni.ToroniError) for error in errors)
    tree = toroni._errors.__doc__
    assert tree
    for error in errors:
        assert error.__name__ in tree
        assert error.__doc__


def test_fences_stand_in_one_file() -> None:
    for source in sources(CORE, "*.hpp", "*.cpp"):
        if source.name != "fence.hpp":
            assert "atomic_thread_fence" not in source.read_text(), source


def test_ring_bytes_are_copied_in_one_place() -> None:
    for source in sources(CORE / "src", "*.cpp") + sources(CORE / "include", "*.hpp"):
        if source.name in {"racing_copy.hpp", "segments.cpp"}:
            continue
        for line in source.read_text().splitlines():
            assert "memcpy" not in line or "length" in line or "bytes" in line, f"{source}: {line}"


def test_every_atomic_access_names_its_order() -> None:
    bare = re.compile(r"\.(load\(\)|store\([^,()]*(\([^()]*\))?[^,()]*\)|fetch_\w+\([^,()]*\))")
    for source in sources(CORE / "src", "*.cpp") + sources(CORE / "include", "*.hpp"):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            code = line.split("//")[0]
            if "landmarks.store(" in code or "tally::" in code or code.lstrip().startswith("store("):
                continue
            assert not bare.search(code), f"{source.name}:{number}: {line.strip()}"


def test_the_core_never_waits() -> None:
    """Sleeping is the caller's; the keeper's own thread is the exception, and the primitives themselves."""
    for source in sources(CORE / "src", "*.cpp") + sources(CORE / "include", "*.hpp"):
        if source.name in {"futex.hpp", "keeper.cpp", "keeper.hpp", "room.hpp", "robust_mutex.hpp"}:
            continue
        waits = re.compile(r"(futex_wait|\b(?!note_sleep\()\w*sleep|sleep_\w+|poll|pthread_mutex_lock|wait_for)\(")
        lines = [line for line in source.read_text().splitlines() if waits.search(line.split("//")[0])]
        assert not lines, f"{source.name}: {lines}"


def test_files_are_small() -> None:
    native = [source for folder in ("core", "bindings", "lab") for source in sources(ROOT / folder, "*.[ch]pp")]
    for source in sources(ROOT / "src", "*.py") + native:
        assert len(source.read_text().splitlines()) <= 300, source
