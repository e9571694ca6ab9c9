"""How many instructions of ours a message takes: repeatable, so that a slow-down is noticed without a clock.

Counted by callgrind in our own native code, libraries and the interpreter left out. The figures that are kept, in
instructions.json, are those of the last change that was meant; `make instructions` writes new ones.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import count_instructions

HERE = Path(__file__).parent
KEPT = HERE / "instructions.json"
MARGIN = 1.25  # compilers differ


def own_instructions(dump: Path) -> int:
    """The sum over all functions of our extension module in one file of callgrind's."""
    names: dict[str, str] = {}
    ours = after_call = False
    total = 0
    for line in dump.read_text().splitlines():
        if found := re.match(r"ob=(\(\d+\))(?: (.*))?$", line):
            if found[2]:
                names[found[1]] = found[2]
            ours = "/_core." in names[found[1]]
        elif found := re.match(r"cob=(\(\d+\)) (.*)$", line):
            names[found[1]] = found[2]
        elif line.startswith("calls="):
            after_call = True
        elif found := re.match(r"(?:0x[0-9a-f]+|[+-]\d+|\*|\d+) (\d+)$", line):
            if ours and not after_call:
                total += int(found[1])
            after_call = False
    return total


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts them")
def test_instructions_a_message(bus_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    subprocess.run(
        [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={tmp_path}/dump"),
            *(sys.executable, count_instructions.__file__, bus_name),
        ],
        check=True,
        capture_output=True,
    )
    counted = {}
    for dump in tmp_path.glob("dump.*"):
        label = re.search(r"^desc: Trigger: dump (.*)$", dump.read_text(), re.MULTILINE)
        if label and label[1] != "the beginning":
            counted[label[1]] = round(own_instructions(dump) / count_instructions.MESSAGES)
    if request.config.getoption("--keep-instructions"):
        KEPT.write_text(json.dumps(counted, indent=4, sort_keys=True) + "\n")
    print(counted)
    kept = json.loads(KEPT.read_text())
    assert counted.keys() == kept.keys()
    for what, instructions in counted.items():
        assert 0 < instructions < kept[what] * MARGIN, (
            f"{what}: {instructions} instructions a message, {kept[what]} kept"
        )
