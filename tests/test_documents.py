"""What the documents show is run as it stands."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import toroni
from processes import PATIENCE
from toroni import rmp

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()
INTEROPERABILITY = (ROOT / "docs" / "interoperability.md").read_text()
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def typed(block: str, bus: str) -> str:
    """The command of a console block, with this interpreter and a bus of its own."""
    assert block.startswith("$ ")
    return block[2:].replace(".venv/bin/python", sys.executable).replace('"plant"', f'"{bus}"')


def test_the_first_message_between_two_terminals(bus_name: str) -> None:
    _, reading, writing = blocks(README, "console")
    expected = blocks(README, "text")[0]
    first_screen = README.splitlines()[:50]
    assert "bus.post(" in "\n".join(first_screen)
    reader = subprocess.Popen(
        typed(reading, bus_name),
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    end = time.monotonic() + PATIENCE
    with rmp.Stream(bus_name) as stream:
        while not any(info.waiting for info in stream.readers()):
            assert time.monotonic() < end
            time.sleep(0.01)
    subprocess.run(typed(writing, bus_name), shell=True, check=True, timeout=PATIENCE)
    assert reader.stdout
    assert [reader.stdout.readline() for _ in range(2)] == expected.splitlines(keepends=True)
    os.killpg(reader.pid, signal.SIGINT)
    _, error = reader.communicate(timeout=PATIENCE)
    assert error.strip().endswith("KeyboardInterrupt")
    removing = re.search(r"`(\.venv/bin/python -c '.*?unlink.*?')`", README)
    assert removing
    subprocess.run(typed("$ " + removing[1], bus_name), shell=True, check=True)
    assert rmp.unlink(bus_name) is False


@pytest.mark.parametrize("block", blocks(README + GUIDE + INTEROPERABILITY, "python"))
def test_the_examples_run(block: str, bus_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = block.replace('"readme"', f'"{bus_name}"').replace('"guide"', f'"{bus_name}"')
    assert bus_name in code or "temporary_bus(" in code
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    for line in block.splitlines():  # what a comment behind a print says, but for process ids
        if (shown := re.search(r"print\(.*\)  # (.+)$", line)) is not None:
            expected = re.escape(shown[1].removesuffix(": nothing came")).replace("4711", r"\d+")
            assert re.search(f"^{expected}$", printed, re.MULTILINE), printed


def test_every_promise_names_tests_that_exist() -> None:
    table = (ROOT / "docs" / "promises.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 12
    for row in rows:
        named = re.findall(r"\[(\w+)\]\(\.\./(tests/\w+\.py)\)", row)
        assert named, row
        for test, file in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    for test, file in re.findall(r"\[(test_\w+)\]\(\.\./(tests/\w+\.py)\)", (ROOT / page).read_text()):
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert target.startswith("https://") or (ROOT / page).parent.joinpath(target).exists(), target


def test_every_command_of_the_documents_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", (ROOT / page).read_text()):
            assert target in targets, target


def test_only_one_version() -> None:
    assert f"## {toroni.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert toroni.__version__ == importlib.metadata.version("toroni")
