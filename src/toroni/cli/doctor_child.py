"""The other process of `toroni doctor`: answers messages until it is killed, or forgotten."""

from __future__ import annotations

import sys

from toroni import Bus

_FORGOTTEN_SECONDS = 30.0


def main(name: str) -> None:
    """Says on standard output when it is ready."""
    with Bus(name, create=False) as bus, bus.subscribe("/question", label="toroni doctor") as reader:
        print("ready", flush=True)
        while (message := reader.recv(timeout=_FORGOTTEN_SECONDS)) is not None:
            bus.post("/answer", message.data)


if __name__ == "__main__":
    main(sys.argv[1])
