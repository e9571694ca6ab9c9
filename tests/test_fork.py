"""A stream and its readers across fork and multiprocessing: the child has its own, the parent's is left alone."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import sys
import threading

import pytest

import toroni
from processes import PATIENCE, in_child
from toroni import Overwrite, Wait, rmp


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: the very subject
def test_a_forked_child_takes_a_slot_of_its_own(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader(label="family") as reader:
        stream.write(b"before")

        def child() -> None:
            assert reader.read(timeout=PATIENCE) == b"before"  # from where the parent stood
            readers = stream.readers()
            assert sorted(info.pid for info in readers) == sorted([os.getpid(), os.getppid()])
            stream.write(b"from the child")
            assert reader.read(timeout=PATIENCE) == b"from the child"
            reader.close()
            stream.close()

        assert in_child(child) == 0
        assert [info.pid for info in stream.readers()] == [os.getpid()]
        assert reader.read() == b"before"
        assert reader.read() == b"from the child"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_that_does_nothing_harms_nothing(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, max_readers=1) as stream, stream.reader() as reader:

        def child() -> None:
            nonlocal reader, stream
            with pytest.raises(toroni.NoFreeSlot):
                reader.read(timeout=0)
            del reader, stream
            gc.collect()

        assert in_child(child) == 0
        assert in_child(sys.exit) == 1
        assert [info.alive for info in stream.readers()] == [True]
        stream.write(b"still there")
        assert reader.read() == b"still there"


def _child_of_multiprocessing(stream: rmp.Stream) -> None:
    stream.write(b"hello")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_stream_passes_to_multiprocessing(bus_name: str, method: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, backpressure=Wait(3)) as stream, stream.reader() as reader:
        copy = pickle.loads(pickle.dumps(stream))
        assert (copy.name, copy.capacity) == (stream.name, 4096)
        copy.close()
        process = multiprocessing.get_context(method).Process(  # type: ignore[attr-defined]
            target=_child_of_multiprocessing, args=(stream,)
        )
        process.start()
        assert reader.read(timeout=PATIENCE) == b"hello"
        process.join(PATIENCE)
        assert process.exitcode == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_in_on_loss_leaves_the_parents_slot_alone(bus_name: str) -> None:
    children = []

    def fork(_: toroni.MessagesLost) -> None:
        children.append(os.fork())

    with rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream:
        reader = stream.reader(on_loss=fork)
        stream.write_many([bytes(1000)] * 10)
        message = reader.read(timeout=0.2)
        if children == [0]:
            ok = message is None and sorted(info.slot for info in stream.readers()) == [0, 1]
            os._exit(0 if ok else 1)
        assert message is None
        assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
        assert [(info.slot, info.position) for info in stream.readers() if info.alive] == [(0, stream.position)]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_while_another_thread_makes_readers_and_buses(bus_name: str) -> None:
    """The child never waits for a lock that a thread held which does not exist there, nor keeps one."""
    stop = threading.Event()
    with rmp.Stream(bus_name) as stream:

        def make() -> None:
            while not stop.is_set():
                stream.reader().close()
                rmp.Stream(bus_name + "-other", capacity="64 KiB").close()
                rmp.unlink(bus_name + "-other")

        thread = threading.Thread(target=make)
        thread.start()
        try:
            for _ in range(40):
                assert in_child(lambda: stream.reader().close()) == 0
        finally:
            stop.set()
            thread.join()
    assert rmp.unlink(bus_name + "-other") is False
