"""Whether an installed toroni works: a message from one process to another."""

import os
import subprocess
import sys

import toroni

NAME = f"smoke-{os.getpid()}"

with toroni.Bus(NAME) as bus, bus.subscribe("/t") as reader:
    try:
        subprocess.run(
            [sys.executable, "-c", f"import toroni; toroni.Bus({NAME!r}).post('/t', b'hello')"], check=True, timeout=60
        )
        message = reader.recv(timeout=10)
        assert message is not None, "nothing came"
        assert message.data == b"hello", message
    finally:
        toroni.unlink(NAME)
print(f"toroni {toroni.__version__}: a message came through, with {sys.version.split()[0]}")
