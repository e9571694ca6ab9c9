"""Prints the requirements of the named extras of pyproject.toml, so that they are written down once."""

import re
import sys
from pathlib import Path


def requirements(text: str, extra: str) -> list[str]:
    """The strings in the list named `extra`; Python 3.10 has no TOML reader."""
    match = re.search(rf"^{re.escape(extra)} = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if match is None:
        sys.exit(f"pyproject.toml has no extra {extra!r}")
    return re.findall(r'"([^"]+)"', match[1])


if __name__ == "__main__":
    pyproject = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    print(*(name for extra in sys.argv[1:] for name in requirements(pyproject, extra)), sep="\n")
