"""`make fuzz`: builds the fuzz targets with clang and runs them, two at a time, with bars and a table at the end.

    python fuzz/run.py --seconds 1800        as long for all together
    python fuzz/run.py --replay              only what is in the corpora
    python fuzz/run.py --merge               takes what was found interesting into the corpora, as little of it as does

What a target failed with is written to build/fuzz/found; `build/fuzz/fuzz/fuzz_reader FILE` shows it again. Mended, it
belongs into the corpus under a name that tells what it was, beginning with "failed-".
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "fuzz"
CORPUS = ROOT / "fuzz" / "corpus"
TARGETS = ["reader", "writer", "open", "topic"]
AT_A_TIME = 2
SLOWEST = 10  # seconds for one input; far more than any takes

ENVIRONMENT = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}


class Missing(Exception):
    """What this machine lacks, and how to get it."""


def build() -> None:
    """All targets, of what is there now."""
    if shutil.which("clang++") is None:
        raise Missing(
            "Fuzzing needs clang and its libFuzzer; install them (Debian: apt install clang libclang-rt-dev)."
        )
    trial = "int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) { return 0; }"
    linked = subprocess.run(
        ["clang", "-x", "c", "-fsanitize=fuzzer,address", "-", "-o", "/dev/null"],
        input=trial,
        capture_output=True,
        text=True,
    )
    if linked.returncode != 0:
        raise Missing(
            "This clang has no libFuzzer; install it (Debian: apt install libclang-rt-dev).\n" + linked.stderr
        )
    for command in (["cmake", "--preset", "fuzz"], ["cmake", "--build", "build/fuzz"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)


@dataclass
class Result:
    """How one target ended."""

    target: str
    code: int
    executions: int
    seconds: float
    coverage: int
    inputs: int
    report: str


def number(pattern: str, text: str) -> int:
    """The last one that stands behind `pattern`; 0 if none does."""
    found = re.findall(pattern + r"\s*(\d+)", text)
    return int(found[-1]) if found else 0


def corpora(target: str) -> list[str]:
    """Where the target's inputs are: what it finds goes to the first."""
    found = BUILD / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    kept = CORPUS / target
    kept.mkdir(parents=True, exist_ok=True)
    return [str(found), str(kept)]


def run(target: str, seconds: float, progress: Progress) -> Result:
    """One target, until the time is over or it fails. No time at all: what is in the repository, once."""
    artifacts = BUILD / "found"
    artifacts.mkdir(parents=True, exist_ok=True)
    folders = corpora(target)
    command = [
        str(BUILD / "fuzz" / f"fuzz_{target}"),
        f"-artifact_prefix={artifacts}/{target}-",
        f"-timeout={SLOWEST}",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-close_fd_mask=1",
        *([f"-max_total_time={int(seconds)}", *folders] if seconds > 0 else ["-runs=0", folders[1]]),
    ]
    bar = progress.add_task(target, total=seconds or 1, done="")
    lines: list[str] = []
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", env=ENVIRONMENT) as process:
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            if found := re.match(r"#(\d+)\s", line):
                shown = f"{int(found[1]):,} executions"
                progress.update(bar, completed=min(time.monotonic() - began, seconds), done=shown)
    took = time.monotonic() - began
    text = "".join(lines)
    executions = number("stat::number_of_executed_units:", text)
    progress.update(bar, completed=seconds or 1, done=f"{executions:,} executions")
    report = text[max(text.find("ERROR:"), 0) :] if process.returncode != 0 else ""
    return Result(
        target,
        process.returncode,
        executions,
        took,
        number("cov:", text),
        number(r"corp:", text),
        report,
    )


def merge() -> None:
    """The corpora of the repository, made anew of what they had and what was found, as small as covers the same."""
    for target in TARGETS:
        found, kept = map(Path, corpora(target))
        fresh = BUILD / "merged" / target
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        program = BUILD / "fuzz" / f"fuzz_{target}"
        subprocess.run(
            [program, "-merge=1", f"-timeout={SLOWEST}", fresh, kept, found], check=True, capture_output=True
        )
        for path in kept.iterdir():
            if not path.name.startswith("failed-"):
                path.unlink()
        for path in fresh.iterdir():
            shutil.copy(path, kept / path.name[:16])


def table_of(results: list[Result]) -> Table:
    """A line for each target."""
    table = Table("target", "executions", "a second", "seconds", "edges", "inputs kept", "result", title="Fuzzing")
    for column in table.columns[1:6]:
        column.justify = "right"
    for result in results:
        table.add_row(
            result.target,
            f"{result.executions:,}",
            f"{result.executions / result.seconds:,.0f}",
            f"{result.seconds:.0f}",
            f"{result.coverage:,}",
            f"{result.inputs:,}",
            "[red]failed[/]" if result.code else "nothing found",
        )
    return table


def main() -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--replay", action="store_true", help="only the inputs in the repository")
    parser.add_argument("--merge", action="store_true", help="keep what was found interesting, then end")
    options = parser.parse_args()
    try:
        build()
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    if options.merge:
        merge()
        return 0
    each = 0.0 if options.replay else max(1.0, options.seconds * AT_A_TIME / len(TARGETS))
    console = Console(width=None if sys.stdout.isatty() else 120)
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TextColumn("{task.fields[done]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(AT_A_TIME) as pool:
        results = list(pool.map(lambda target: run(target, each, progress), TARGETS))
    console.print(table_of(results))
    for result in results:
        if result.code:
            print(f"fuzz_{result.target} failed:\n{result.report}", file=sys.stderr)
    return 1 if any(result.code for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
