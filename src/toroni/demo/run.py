"""One run: makes the bus, tells the story, and says how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable

from toroni import rmp
from toroni.demo.coordinator import Coordinator
from toroni.demo.corpus import Corpus, shares
from toroni.demo.crew import DemoError
from toroni.demo.display import Display, readable
from toroni.demo.options import Options
from toroni.demo.verdict import pronounce
from toroni.demo.watch import StopError, Watch


def run(bus: str, options: Options, files: Corpus, stop_signal: Callable[[], int | None]) -> int:
    """Runs the demo on a new bus, and removes it. Returns the exit status."""
    display = Display()
    display.note(
        f"{options.writers} writers and {options.readers} readers move {readable(files.size)}, "
        f"{files.parcels:,} files from {files.root}, through a ring of {options.capacity:,} bytes "
        f"in /dev/shm/toroni-{bus}-rb. The seed is {options.seed}."
    )
    digests = files.digests()
    dealt = shares(files, options.writers, options.seed)
    try:
        with rmp.Stream(bus, capacity=options.capacity) as stream:
            watch = Watch(stream, files, display, options.patience, stop_signal)
            try:
                with display:
                    Coordinator(bus, watch, options, dealt).run()
                proved = pronounce(watch, digests, display)
            finally:
                watch.close()
                rmp.unlink(bus)
    except DemoError as failure:
        display.note(f"FAILED: {failure}", "bold red")
        return 1
    except StopError as interrupted:
        display.note("Stopped on request; all processes are ended and the bus is removed.")
        return 128 + int(interrupted.args[0])
    left = [name for name in os.listdir("/dev/shm") if name.startswith(f"toroni-{bus}-")]
    display.note("Nothing is left in /dev/shm." if not left else f"FAILED: {left} is left in /dev/shm.")
    return 0 if proved and not left else 1
