"""One suite that every notifier passes, and what is special to each."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import toroni
from messages import is_whole, make_message, seed_of
from pipe_notifier import PipeNotifier
from processes import PATIENCE, peers
from toroni import Bus, Multicast, Notifier, Wait, rmp


def echo(pipe: Connection, there: str, notifier: Any) -> None:
    with Bus(there, notifier=notifier) as bus, bus.subscribe("/there") as reader:
        pipe.send("ready")
        for message in reader:
            bus.post("/back", message.data)
            if not message.data:
                break
        pipe.send("done")


def test_every_message_wakes_a_reader_that_sleeps(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/back") as reader, peers() as start:
        other = start(echo, bus_name, notifier)
        other.receive()
        slow = 0
        for number in range(500):
            message = make_message(number, 8 + number * 7 % 900)
            before = time.monotonic()
            bus.post("/there", message)
            answer = reader.recv(timeout=PATIENCE)
            assert answer is not None
            assert answer.data == message
            slow += time.monotonic() - before > 0.9
        assert slow == 0
        bus.post("/there")
        other.receive()


def test_the_descriptor_tells_when_there_is_something(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
        bus.post("/a", b"before")
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        assert poll.poll(PATIENCE * 1000)  # also for what was there before anybody asked
        for number in range(100):
            while reader.recv(timeout=0) is not None:
                pass
            if notifier != "poll":
                assert poll.poll(0) == []
            bus.post_many([("/a", b"%d" % number)] * (1 + number % 3))
            for _ in range(1 + number % 3):
                assert poll.poll(PATIENCE * 1000)  # level-triggered: one message a look is fine
                message = reader.recv(timeout=0)
                assert message is not None
                assert message.data == b"%d" % number
        reader.close()
        with pytest.raises(toroni.Closed):
            reader.fileno()


def test_timeouts_and_close(bus_name: str, notifier: Any) -> None:
    with Bus(bus_name, notifier=notifier) as bus, bus.subscribe("/a") as reader:
        for timeout in (0, 0.05, 0.2):
            before = time.monotonic()
            assert reader.recv(timeout=timeout) is None
            assert reader.wait(timeout) is False
            assert 2 * timeout <= time.monotonic() - before < 2 * timeout + 0.5
        closing = threading.Timer(0.05, reader.close)
        closing.start()
        before = time.monotonic()
        with pytest.raises(toroni.Closed):
            reader.recv()
        assert time.monotonic() - before < 1.5
        closing.join()
        assert bus.readers() == []


def write(pipe: Connection, name: str, notifier: Any, writer: int, count: int) -> None:
    with Bus(name, notifier=notifier, backpressure=Wait(None)) as bus:
        pipe.send("ready")
        pipe.recv()
        for number in range(count):
            bus.post(f"/w/{writer}", make_message(number, 8 + number * 31 % 700))


def test_nothing_is_lost_under_load(bus_name: str, notifier: Any) -> None:
    count = 1000 if notifier == "poll" else 3000
    with (
        Bus(bus_name, notifier=notifier, capacity="16 KiB") as bus,
        bus.subscribe("/w", descendants=True) as reader,
        peers() as start,
    ):
        writers = [start(write, bus_name, notifier, writer, count) for writer in range(2)]
        for writer in writers:
            writer.receive()
            writer.send("go")
        numbers: dict[str, list[int]] = {"/w/0": [], "/w/1": []}
        while sum(map(len, numbers.values())) < 2 * count:
            message = reader.recv(timeout=PATIENCE)
            assert message is not None
            assert is_whole(message.data)
            numbers[message.topic].append(seed_of(message.data))
        assert list(numbers.values()) == [list(range(count))] * 2
        for writer in writers:
            writer.join()


def test_the_bus_records_it_and_all_agree(bus_name: str, notifier: Any) -> None:
    recorded = {"futex": "futex", "poll": "poll", "multicast": Multicast()}.get(notifier, "custom")
    with Bus(bus_name, notifier=notifier) as bus:
        assert bus.notifier == recorded
        Bus(bus_name, notifier=notifier).close()
        if isinstance(notifier, PipeNotifier):
            with pytest.raises(toroni.BusMismatch, match="application's own; pass one"):
                Bus(bus_name)
        else:
            with Bus(bus_name) as other:
                assert other.notifier == recorded
        for wrong in ("futex", "poll", Multicast(port=4444)):
            if wrong != recorded:
                with pytest.raises(toroni.BusMismatch, match=r"exists with notifier .*, not "):
                    Bus(bus_name, notifier=wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("carrier pigeon", "'futex', 'multicast', 'poll' or an object"),
        (5, "notify"),
        (Multicast(group="10.0.0.1"), "not a multicast group"),
        (Multicast(group="here"), "not an IPv4 address"),
        (Multicast(interface="lo"), "not an IPv4 address"),
        (Multicast(port=0), "1 to 65535"),
        (Multicast(port=70000), "1 to 65535"),
    ],
)
def test_notifiers_that_cannot_be(bus_name: str, wrong: Any, words: str) -> None:
    with pytest.raises(toroni.InvalidArgument, match=words):
        Bus(bus_name, notifier=wrong)
    assert not list(Path("/dev/shm").glob(f"toroni-{bus_name}-*"))


def test_an_interface_that_is_not_there(bus_name: str) -> None:
    with pytest.raises(toroni.OperatingSystemError, match=r"the interface of 192\.0\.2\.77"):
        Bus(bus_name, notifier=Multicast(interface="192.0.2.77"))
    Bus(bus_name).close()  # nothing half made is left


def test_many_datagrams_are_drained_at_once(bus_name: str) -> None:
    with Bus(bus_name, notifier="multicast") as bus, bus.subscribe("/a") as reader:
        reader.fileno()
        assert reader.recv(timeout=0) is None
        for _ in range(300):
            bus.post("/a", b"x")
        assert len(reader.recv_many()) == 300
        assert reader.recv(timeout=0) is None
        assert select.select([reader], [], [], 0) == ([], [], [])


def test_a_multicast_bus_calls_nobody_who_is_awake(bus_name: str) -> None:
    with Bus(bus_name, notifier="multicast") as bus, bus.subscribe("/a"):
        bus.post_many([("/a", b"x")] * 10)
        bus.post("/a", b"x")
        assert bus.stats().notifications == 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs unshare and its rights")
def test_where_lo_has_no_multicast_route(bus_name: str) -> None:
    script = f"""
import fcntl, socket, struct, threading, toroni
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
with toroni.Bus("{bus_name}", notifier="multicast") as bus, bus.subscribe("/a") as reader:
    threading.Timer(0.1, bus.post, ("/a", b"x")).start()
    print(reader.recv(timeout=0.9))
"""
    command = ["unshare", "-n", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "data=b'x'" in done.stdout, done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs unshare and its rights")
def test_where_multicast_cannot_be_the_error_says_so(bus_name: str) -> None:
    script = f"import toroni; toroni.Bus({bus_name!r}, notifier='multicast')"
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "OperatingSystemError: cannot" in done.stderr
    assert "is it there, and up, in this network namespace?" in done.stderr


def test_a_user_made_notifier_that_raises(bus_name: str) -> None:
    class Broken:
        def notify(self) -> None:
            raise RuntimeError("cannot notify")

        def wait(self, timeout: float) -> None:
            raise RuntimeError("cannot wait")

        def fileno(self) -> int:
            raise RuntimeError("no descriptor")

    assert isinstance(Broken(), Notifier)
    with Bus(bus_name, notifier=Broken()) as bus, bus.subscribe("/a") as reader:
        with pytest.raises(RuntimeError, match="cannot wait"):
            reader.recv(timeout=5)
        with pytest.raises(RuntimeError, match="no descriptor"):
            reader.fileno()
        bus.post("/a", b"nobody waits")
        assert next(reader).data == b"nobody waits"
        assert [info.waiting for info in bus.readers()] == [False]


def test_a_raw_stream_has_them_too(bus_name: str) -> None:
    with rmp.Stream(bus_name, notifier="poll") as stream, stream.reader() as reader:
        assert stream.notifier == "poll"
        threading.Timer(0.05, stream.write, [b"x"]).start()
        assert reader.read(timeout=PATIENCE) == b"x"


@pytest.mark.parametrize("group", ["10.1.2.3", "8.8.8.8", "240.0.0.1", "0.0.0.0"])
def test_a_ring_that_names_no_multicast_group_makes_nobody_send_there(bus_name: str, group: str) -> None:
    Bus(bus_name, capacity=4096, notifier="multicast").close()
    with open(f"/dev/shm/toroni-{bus_name}-rb", "r+b") as ring:
        ring.seek(4224 + 44)  # the extension's notifier
        assert ring.read(4) == bytes([224, 1, 1, 1])
        ring.seek(4224 + 44)
        ring.write(bytes(map(int, group.split("."))))
    with pytest.raises(toroni.BusDamaged, match=f"multicast {group}:3334 on 127.0.0.1, which is no multicast group"):
        Bus(bus_name)
