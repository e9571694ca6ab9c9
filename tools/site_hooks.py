"""What the site has beyond the files in docs/: links to other files of the repository, the commands, the changelog."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
COMMANDS = "<!-- commands -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The changelog becomes a page; its links are relative to the root, as those of a page in docs/ beside it."""
    text = (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link that leaves docs/ works in the repository; on the site it leads to the repository."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    return re.sub(
        r"(?<=\]\()(\.\./[^)#\s]+)",
        lambda match: outside(posixpath.normpath(posixpath.join(folder, match[1])), match[1], str(config.repo_url)),
        markdown,
    )


def outside(path: str, link: str, repository: str) -> str:
    """The address of a file that is not in docs/; any other link stays as it is, for MkDocs to judge."""
    target = ROOT / path
    if path.split("/")[0] in {"docs", ".."} or not target.exists():
        return link
    return f"{repository.rstrip('/')}/{'tree' if target.is_dir() else 'blob'}/main/{path}"


def commands() -> str:
    """The help of every command, as typer writes it, one level deeper than a page's own title."""
    typer = [sys.executable, "-m", "typer", "toroni.cli.app", "utils", "docs", "--name", "toroni"]
    text = subprocess.run(typer, check=True, capture_output=True, text=True).stdout
    text = text.split("\n", 2)[2]  # the title
    text = re.sub(r"^\*\*(Usage|Arguments|Options|Commands)\*\*:$", r"\1:", text, flags=re.MULTILINE)
    # The list of commands cuts their first sentences short; it has room for them, and leads to the commands.
    for name, says in re.findall(r"^## `toroni ([\w-]+)`\n\n(.+?)\n\n", text, flags=re.MULTILINE | re.DOTALL):
        line = f"* [`{name}`](#toroni-{name}): {says}"
        text = re.sub(rf"^\* `{name}`: .*$", lambda _, line=line: line, text, count=1, flags=re.MULTILINE)
    return text
