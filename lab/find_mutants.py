"""`make kill-mutants`: whether `make kill-sweep` would notice. Builds the core with one fault at a time, and has a
sample of the kills during one operation find it. Takes the folder to build in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutants import MUTANTS

ROOT = Path(__file__).parent.parent
PARTS = ["core", "bindings", "lab", "CMakeLists.txt", "CMakePresets.json"]


def build(source: Path, folder: Path) -> Path:
    """The program."""
    flags = "-DCMAKE_CXX_FLAGS=-g1 -Wno-error"  # what a mutant no longer uses is not what is looked for
    configure = ["cmake", "--preset", "lab", "-S", str(source), "-B", str(folder), flags]
    make = ["cmake", "--build", str(folder), "--target", "kill_sweep"]
    for command in (configure, make):
        done = subprocess.run(command, cwd=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "lab" / "kill_sweep"


def failures(program: Path, operation: str) -> list[dict[str, str]]:
    """What a sample shows."""
    command = [str(program), "--sample", "200", "--seed", "1", "--operation", operation]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode in {0, 1}
    return [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "failure"]


def main(name: str) -> int:
    """0 if all were found, and nothing in the core as it is."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("mutant", "found", "when killed during", "at", title="Faults and kills")
    folder = Path(name).resolve()
    source = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)  # all of it: what was built of the last mutant is newer than the sources
    source.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part)
        else:
            shutil.copy2(ROOT / part, source / part)
    program = build(source, folder / "build")
    assert not any(failures(program, operation) for operation in {mutant.operation for mutant in MUTANTS})
    missed = 0
    for mutant in MUTANTS:
        genuine = (source / mutant.file).read_text()
        (source / mutant.file).write_text(mutant.of(source))
        found = failures(build(source, folder / "build"), mutant.operation)
        (source / mutant.file).write_text(genuine)
        missed += not found
        first = found[0] if found else {"what": "not found", "operation": "", "where": ""}
        console.print(f"{mutant.name}: {first['what']}", soft_wrap=True, highlight=False)
        where = first["where"].replace(f"{source}/", "")
        table.add_row(mutant.name, first["what"][:60], first["operation"], where.rsplit(" at ", 1)[-1])
    console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
