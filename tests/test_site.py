"""The documentation site: built strictly, complete, without a broken link, and without anything from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import toroni
import toroni.testing
from toroni import rmp, tp
from toroni.cli import app as cli

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/toroni/toroni-python"
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data"), ("video", "src")}


@dataclass
class Document(HTMLParser):
    """What a page of the site defines, leads to and loads."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") != "canonical":
            self.loads.append(values["href"])
        self.loads += [values[name] for of, name in LOADS if of == tag and name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Document]:
    """Every page, by its path in the site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return {path: Document(path) for path in folder.rglob("*.html")}


def test_no_link_is_broken(site: dict[Path, Document]) -> None:
    broken = []
    for path, page in site.items():
        if path.name == "404.html":  # is served for any address, and so has absolute links
            continue
        for link in page.links:
            address, anchor = urldefrag(link)
            if address.startswith(f"{REPOSITORY}/"):
                if not ROOT.joinpath(*address.removeprefix(f"{REPOSITORY}/").split("/")[2:]).exists():
                    broken.append((path.name, link))
            elif not address.startswith(("https://", "mailto:")):
                target = (path.parent / unquote(address)).resolve() if address else path
                target = target / "index.html" if target.is_dir() else target
                if not target.exists() or (anchor and target in site and unquote(anchor) not in site[target].ids):
                    broken.append((path.name, link))
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Document]) -> None:
    for path, page in site.items():
        for source in page.loads:
            if path.name != "404.html" and not source.startswith("data:"):
                assert (path.parent / unquote(source.split("?")[0].split("#")[0])).exists(), f"{path.name}: {source}"


def test_every_page_is_in_the_navigation(site: dict[Path, Document]) -> None:
    home = next(path for path in site if path.name == "index.html" and (path.parent / "search").exists())
    linked = {(home.parent / urldefrag(link)[0]).resolve() for link in site[home].links}
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 30
    for page in [*pages, Path("changelog.html")]:
        assert (home.parent / page).resolve() in linked | {home.resolve()}, page


@pytest.mark.parametrize("module", [toroni, rmp, tp, toroni.testing], ids=lambda module: str(module.__name__))
def test_every_public_name_is_in_the_reference(site: dict[Path, Document], module: object) -> None:
    described = {identity for path, page in site.items() if path.parent.name == "reference" for identity in page.ids}
    for name in module.__all__:  # type: ignore[attr-defined]
        value = getattr(module, name)
        public = f"{module.__name__}.{name}"  # type: ignore[attr-defined]
        elsewhere = f"toroni.{name}" if getattr(toroni, name, None) is value else public
        assert {public, elsewhere} & described, public
        if isinstance(value, type):
            for member in dir(value):
                if not member.startswith("_") and module is toroni and member not in dir(Exception) + dir(Sequence):
                    assert f"{public}.{member}" in described or not callable(getattr(value, member)), member


def test_every_error_has_its_row(site: dict[Path, Document]) -> None:
    text = (ROOT / "docs" / "reference" / "errors.md").read_text()
    for name in toroni.__all__:
        value = getattr(toroni, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert f"| [`{name}`][toroni.{name}] |" in text, name


def test_every_command_is_in_the_reference(site: dict[Path, Document]) -> None:
    page = next(page for path, page in site.items() if path.name == "cli.html")
    assert cli._COMMANDS
    for name in [*cli._COMMANDS, "demo"]:
        assert f"toroni-{name}" in page.ids, name
