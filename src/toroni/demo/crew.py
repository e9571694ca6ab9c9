"""The child processes, as the coordinator has them: started, listened to, killed, missed."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from toroni.demo import reader, writer

# Children leave within milliseconds; who takes longer is stuck.
_SECONDS_TO_LEAVE = 10.0


class DemoError(Exception):
    """The demo cannot go on; the text says what is known."""


class Child:
    """A process that reports on its standard output, one line of JSON each."""

    def __init__(self, name: str, job: writer.Job | reader.Job) -> None:
        self.name = name
        self.killed = False
        module = type(job).__module__
        command = [sys.executable, "-m", module, json.dumps(asdict(job))]
        pipe = subprocess.PIPE
        # In a session of its own Ctrl-C reaches only the coordinator, which ends all others.
        self.process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        self._unfinished_line = b""

    @property
    def done(self) -> bool:
        """Whether it has said that it did all."""
        raise NotImplementedError

    def take(self, report: dict[str, Any]) -> None:
        """Adds a report to what is known of this process."""
        raise NotImplementedError

    def listen(self) -> bool:
        """Takes what it said; blocks if that is nothing. False if it has left."""
        data = os.read(self.stdout.fileno(), 1 << 16)
        *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
        for line in lines:
            self.take(json.loads(line))
        return data != b""

    def last_words(self) -> str:
        """How it ended, and why, of a child that has left."""
        code = self.process.wait(_SECONDS_TO_LEAVE)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"left with status {code}"
        words = self.stderr.read().decode(errors="replace").strip()
        return f"{self.name} (pid {self.process.pid}) {how}" + (f"; it said:\n{words}" if words else "")


class Writer(Child):
    """A writer process and its share: parcel numbers, those it was told to skip left out."""

    def __init__(self, job: writer.Job, numbers: list[int]) -> None:
        super().__init__(f"writer-{job.writer}", job)
        self.job = job
        self.numbers = numbers
        self.ready = False
        self._done = False

    @property
    def done(self) -> bool:
        """Whether it has sent all of its share."""
        return self._done

    def take(self, report: dict[str, Any]) -> None:
        """It is ready, or done."""
        self.ready = True
        self._done = report["kind"] == "done"

    def go(self) -> None:
        """Lets it begin."""
        with contextlib.suppress(BrokenPipeError):  # it died: that is heard elsewhere
            self.stdin.write(b"go\n")


class Reader(Child):
    """A reader process and what it saw."""

    def __init__(self, job: reader.Job) -> None:
        super().__init__(job.label, job)
        self.seen = reader.Seen()

    @property
    def done(self) -> bool:
        """Whether it has seen the end of everything."""
        return self.seen.done

    def take(self, report: dict[str, Any]) -> None:
        """It joined, or saw something."""
        self.seen.take(report)


class Crew:
    """All children, the dead too."""

    def __init__(self) -> None:
        self.writers: list[Writer] = []
        self.readers: list[Reader] = []
        self._selector = selectors.DefaultSelector()

    def add(self, child: Writer | Reader) -> None:
        """Takes in a child that was just started."""
        self._selector.register(child.stdout, selectors.EVENT_READ, child)
        if isinstance(child, Writer):
            self.writers.append(child)
        else:
            self.readers.append(child)

    def listen(self, timeout: float) -> bool:
        """Takes what the children say, waiting for that at most `timeout` seconds. False if that was nothing.

        Raises:
            DemoError: one of them has left and should not.
        """
        events = self._selector.select(timeout)
        for key, _ in events:
            child: Child = key.data
            if not child.listen():
                self._selector.unregister(child.stdout)
                if not child.done or child.process.wait(_SECONDS_TO_LEAVE) != 0:
                    raise DemoError(child.last_words())
        return bool(events)

    def kill(self, child: Writer | Reader) -> None:
        """SIGKILL, now. Returns when it is dead, and all that it said has been heard."""
        child.killed = True
        child.process.kill()
        child.process.wait()
        self._selector.unregister(child.stdout)
        while child.listen():
            pass

    def dismiss(self) -> None:
        """Ends whoever is left, waits for all, and closes their pipes."""
        children = [*self.writers, *self.readers]
        for child in children:
            child.process.kill()
        for child in children:
            child.process.wait()
            child.stdin.close()
            child.stdout.close()
            child.stderr.close()
        self._selector.close()
