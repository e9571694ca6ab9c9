"""What the documents show is run as it stands."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import toroni
from documents import BUS, PAGES, ROOT, Block, Session, blocks, commands, is_named_in, reason_not_to_type
from spin_models import VARIANTS

WITH_CONSOLES = [page for page in PAGES if blocks(page, "console")]
EXAMPLES = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "python"), 1)
    if not block.title
]
# Languages of blocks that are not run: drawings and output, and files for other programs.
SHOWN_ONLY = {"text", "dockerfile", "yaml", "ini", "cpp"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WITH_CONSOLES, ids=name_of)
def test_consoles_show_what_happens(page: Path, tmp_path: Path, bus_name: str) -> None:
    session = Session(tmp_path, bus_name)
    try:
        for block in blocks(page):
            if block.language == "python" and block.title:
                session.save(block)
            elif block.language == "console":
                session.type(block)
        session.finish()
    finally:
        session.abandon()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_run(page: Path) -> None:
    consoles = blocks(page, "console")
    for block in blocks(page):
        assert block.language in {"python", "console", *SHOWN_ONLY}, block
        if block.language == "python" and block.title:
            assert any(is_named_in(block.title, console) for console in consoles), f"nothing runs {block.title}"


def test_the_first_message_is_on_the_first_screen_of_the_readme() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:50])
    assert "bus.post(" in first_screen
    first, second = list(commands(blocks(ROOT / "README.md", "console")[0]))[:2]
    assert (first[0].split()[:2], second[0].split()[:2]) == (["make", "demo"], ["make", "test"])


@pytest.mark.parametrize("block", EXAMPLES)
def test_the_examples_run(block: Block, bus_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = BUS.sub(bus_name, block.text)
    assert bus_name in code or "temporary_bus(" in code
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    # What a comment behind a print says, or in the line below it, but for process ids.
    for shown in re.findall(r"print\([^\n]*\)(?:  |\n *)# (.+)$", block.text, re.MULTILINE):
        pattern = re.escape(shown).replace("4711", r"\d+")
        assert re.search(f"^{pattern}$", printed, re.MULTILINE), printed


def test_every_promise_names_tests_that_exist() -> None:
    table = (ROOT / "docs" / "promises.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 12
    for row in rows:
        named = re.findall(r"\[(\w+)\]\(\.\./(tests/\w+\.py)\)", row)
        assert named, row
        for test, file in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for test, file in re.findall(r"\[(test_\w+)\]\((?:\.\./)+(tests/\w+\.py)\)", page.read_text()):
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Of the files of the repository; test_site.py looks at those of the site, and at what is behind a #."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        is_of_the_site = target == "changelog.md"  # made from CHANGELOG.md
        assert target.startswith("https://") or is_of_the_site or page.parent.joinpath(target).exists(), target


def test_every_command_of_the_documents_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text()):
            assert target in targets, target


def test_commands_that_are_not_typed_are_few() -> None:
    typed = [
        reason_not_to_type(command) is None
        for page in WITH_CONSOLES
        for block in blocks(page, "console")
        for command, _ in commands(block)
    ]
    assert sum(typed) >= 12


def test_memory_ordering_names_every_variant_of_the_models_and_what_is_there() -> None:
    page = (ROOT / "docs" / "explanation" / "memory-ordering.md").read_text()
    for case in VARIANTS:
        assert f"`{case.variant}`" in page, case
    source = "\n".join(path.read_text() for path in (ROOT / "core").rglob("*.[ch]pp"))
    for place, function in re.findall(r"`(\w+)::(\w+)`", page):
        assert re.search(rf"\b(class|struct|namespace) {place}\b", source), place
        assert re.search(rf"\b{function}\(", source), function


def test_memory_layout_has_the_offsets_of_the_core() -> None:
    asserted = re.findall(
        r"offsetof\(\w+, (\w+)\) == (\d+)", (ROOT / "core/include/toroni/base/layout.hpp").read_text()
    )
    page = (ROOT / "docs" / "explanation" / "memory-layout.md").read_text()
    rows = re.findall(r"^\| (\d+) \|[^`\n]*`(\w+)`", page, re.MULTILINE)
    assert len(rows) > 10
    for offset, name in rows:
        assert offset in {at for field, at in asserted if field == name}, name


def test_only_one_version() -> None:
    assert f"## {toroni.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert toroni.__version__ == importlib.metadata.version("toroni")
