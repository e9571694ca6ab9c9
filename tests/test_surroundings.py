"""What /dev/shm, the namespaces and the number of processes can do to a bus: an error that says what to do, or nothing.

Rights are in test_security.py, limits of a process in test_limits.py, signals and clocks in test_interruptions.py,
deaths in test_deaths.py.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import toroni
from messages import is_whole, make_message, mixed_size, seed_of
from namespaces import in_namespaces, with_shared_memory
from processes import PATIENCE, Peer, peers
from test_deaths import wait_until
from toroni import Bus, Fail, Wait, rmp

GOLDEN = Path(__file__).parent / "golden"
LO_UP = """
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
"""

# ---- /dev/shm


def test_a_full_shared_memory_is_an_error_with_the_numbers() -> None:
    lines = with_shared_memory(
        """
        try: rmp.Stream("full", capacity="4 MiB")
        except toroni.SharedMemoryFull as error: print(error, error.errno == errno.ENOSPC)
        print(os.listdir("/dev/shm"))
        with rmp.Stream("full", capacity="512 KiB") as stream: stream.write(b"x" * 500_000); print("fits")
        """,
        "size=1m",
    ).splitlines()
    assert "4195328 bytes are needed in /dev/shm" in lines[0]
    free = re.search(r"(\d+) are free; ask for a smaller capacity, .* remount,size=.*\) True$", lines[0])
    assert free
    assert 1_000_000 < int(free[1]) <= 2**20
    assert lines[1:] == ["[]", "fits"]  # and nothing half made is left


def test_a_tiny_shared_memory_holds_what_it_can() -> None:
    """A container's usual 64 MiB: buses until it is full; then all of them work to their last byte."""
    lines = with_shared_memory(
        """
        buses = []
        try:
            while True: buses.append(Bus(f"bus-{len(buses)}"))
        except toroni.SharedMemoryFull as error: print(error)
        for bus in buses:
            with bus.subscribe("/a") as reader:
                for number in range(8):  # twice around
                    bus.post("/a", bytes([number]) * 2**20)
                    assert reader.recv().data == bytes([number]) * 2**20
        assert toroni.unlink("bus-0")
        buses.pop(0).close()
        Bus("another")
        print(len(buses), len(toroni.buses()))
        """,
        "size=64m",
    ).splitlines()
    assert "4195328 bytes are needed" in lines[0] or "9" in lines[0]  # the ring, or the slots before it
    assert lines[1] == "14 15"


def test_a_bus_goes_on_when_others_fill_the_shared_memory() -> None:
    """Its pages are its own since it was made: no SIGBUS, for old and new processes, readers and writers."""
    lines = with_shared_memory(
        """
        bus = Bus("bus", capacity="256 KiB")
        with open("/dev/shm/other", "wb", buffering=0) as other:
            try:
                while True: other.write(bytes(4096))
            except OSError as error: print(error.errno == errno.ENOSPC)
        def use():
            with Bus("bus") as again, again.subscribe("/a") as reader:
                for number in range(100):
                    again.post("/a", bytes([number]) * 9999)
                    assert reader.recv().data == bytes([number]) * 9999
        use()
        if (child := os.fork()) == 0:
            use()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        try: Bus("another")
        except toroni.SharedMemoryFull as error: print(error)
        """,
        "size=1m",
    ).splitlines()
    assert lines[:2] == ["True", "0"]
    assert " 0 are free" in lines[2]


def test_a_sparse_bus_of_others_in_a_full_shared_memory() -> None:
    """C++ and Java makers leave holes, which would be SIGBUS when somebody writes there: refused instead."""
    header = bytearray((GOLDEN / "rb-4096-new.bin").read_bytes()[:80])
    header[:8] = (4 << 20).to_bytes(8, "little")
    printed = with_shared_memory(
        f"""
        with open("/dev/shm/toroni-sparse-rb", "wb") as ring:
            ring.write({bytes(header)!r})
            ring.truncate(80 + (4 << 20))
        with open("/dev/shm/toroni-sparse-ri", "wb") as info: info.write({(GOLDEN / "ri-2-new.bin").read_bytes()!r})
        try: Bus("sparse")
        except toroni.SharedMemoryFull as error: print(error)
        """,
        "size=1m",
    )
    assert "4194384 bytes are needed in /dev/shm" in printed


@pytest.mark.parametrize(("inodes", "left"), [(2, 0), (3, 2)])  # the directory takes one
def test_no_inode_for_either_file(inodes: int, left: int) -> None:
    lines = with_shared_memory(
        f"""
        for name in range({left // 2 + 1}):
            try: Bus(str(name), capacity=64)
            except toroni.SharedMemoryFull as error: print(error, error.errno == errno.ENOSPC)
        print(len(os.listdir("/dev/shm")))
        """,
        f"size=1m,nr_inodes={inodes}",
    ).splitlines()
    assert len(lines) == 2
    assert "/dev/shm may hold no more files; remove unused ones, or allow more (mount -o remount,nr_inodes" in lines[0]
    assert lines[0].endswith("True")
    assert lines[1] == str(left)


@pytest.mark.parametrize("limit", ["block_hardlimit=1m", "inode_hardlimit=2"])
def test_a_used_up_quota(limit: str) -> None:
    lines = with_shared_memory(
        """
        try: Bus("quota")
        except toroni.SharedMemoryFull as error: print(error, error.errno == errno.EDQUOT)
        print(os.listdir("/dev/shm"))
        """,
        f"usrquota,usrquota_{limit}",
        user=False,
    ).splitlines()
    assert lines[0].startswith("the quota of this user in /dev/shm is used up")
    assert lines[0].endswith("True")
    assert lines[1] == "[]"


def test_a_read_only_shared_memory() -> None:
    """Nothing can be made, used or removed, but looked at."""
    lines = with_shared_memory(
        """
        import subprocess
        with Bus("bus", capacity=4096) as bus: bus.post("/a", b"x")
        subprocess.run(["mount", "-o", "remount,ro", "/dev/shm"], check=True)
        for name, role in (("new", "both"), ("bus", "both"), ("bus", "reader"), ("bus", "writer")):
            try: Bus(name, role=role)
            except toroni.PermissionDenied as error: print(error, error.errno == errno.EROFS)
        try: toroni.unlink("bus")
        except toroni.PermissionDenied as error: print(error, error.errno == errno.EROFS)
        with Bus("bus", role="observer") as bus: print(bus.stats().messages)
        """,
        "size=1m",
    ).splitlines()
    assert len(lines) == 6
    for line in lines[:5]:
        assert "Read-only file system; mount it writable (mount -o remount,rw) True" in line
    assert lines[5] == "1"


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("mount -t sysfs none /dev/shm", "make a file in /dev/shm: Operation not supported; mount a tmpfs there"),
        ("mount -t tmpfs none /dev", "make a file in /dev/shm: No such file or directory; mount a tmpfs there"),
        ("mount -t tmpfs none /proc", "it is made by way of /proc, which must be mounted"),
    ],
)
def test_what_is_not_there(bus_name: str, before: str, words: str) -> None:
    printed = in_namespaces(
        f"""
        try: Bus("{bus_name}")
        except toroni.OperatingSystemError as error: print(error)
        """,
        "--mount",
        "--net",  # whose owner may mount sysfs
        before=before,
    )
    assert words in printed
    assert not list(Path("/dev/shm").glob(f"*{bus_name}*"))


def open_and_use(pipe: Connection, name: str, number: int) -> None:
    pipe.send("ready")
    seed = number
    while not pipe.poll():
        with Bus(name, capacity="16 KiB", max_readers=4) as bus, bus.subscribe("/a") as reader:
            seed += 256
            bus.post("/a", make_message(seed, 8 + seed % 400))
            while (message := reader.recv(timeout=PATIENCE)) is not None and seed_of(message.data) != seed:
                assert is_whole(message.data)
            assert message is not None
    pipe.send("done")


def test_removed_again_and_again_while_others_open_it(bus_name: str) -> None:
    """Each opening is on a whole bus, and gets what is posted there, wherever its name leads by then."""
    with peers() as start:
        users = [start(open_and_use, bus_name, number) for number in range(2)]
        for user in users:
            user.receive()
        removals = 0
        while removals < 100:
            removals += toroni.unlink(bus_name)
        for user in users:
            user.send("enough")
            assert user.receive() == "done"
            user.join()


# ---- namespaces


@pytest.mark.parametrize("options", [(), ("--mount-proc",)])
def test_another_pid_namespace_is_refused_with_the_reason(bus_name: str, options: tuple[str, ...]) -> None:
    """In every role, and from both sides: a thread id means another thread there. It can still be removed."""
    with Bus(bus_name):
        lines = in_namespaces(
            f"""
            for role in ("both", "reader", "writer", "observer"):
                try: Bus("{bus_name}", role=role)
                except toroni.BusMismatch as error: print(error)
            print(toroni.unlink("{bus_name}"))
            Bus("{bus_name}").close()
            """,
            "--pid",
            "--fork",
            *options,
        ).splitlines()
    assert len(lines) == 5
    for line in lines[:4]:
        assert re.search(r"made in another PID namespace \(pid:\[\d+\], ours is pid:\[\d+\]\)", line)
        assert "--pid=container" in line
    assert lines[4] == "True"
    with pytest.raises(toroni.BusMismatch, match="another PID namespace"):
        Bus(bus_name)


def test_containers_that_share_process_ids_and_shared_memory_and_nothing_else(bus_name: str) -> None:
    """What the error asks for works: wake-ups, turns and deaths go through the wall."""
    with Bus(bus_name, capacity=4096, backpressure=Wait(None)) as bus, bus.subscribe("/out") as reader:

        def ask() -> None:
            # Before it sleeps it may have its slot, and not yet its subscription.
            wait_until(lambda: any(info.waiting for info in bus.readers()), "the other one waits")
            for number in range(200):
                bus.post("/in", bytes([number]) * (8 + number * 13))
                answer = reader.recv(timeout=PATIENCE)
                assert answer is not None
                assert answer.data == bytes([number])

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            printed = in_namespaces(
                f"""
                bus = Bus("{bus_name}", backpressure=toroni.Wait(None))
                reader = bus.subscribe("/in")
                for number in range(200):
                    assert reader.recv().data == bytes([number]) * (8 + number * 13)
                    bus.post("/out", bytes([number]))
                print([info.pid for info in bus.readers() if info.alive] == [{os.getpid()}, os.getpid()], flush=True)
                print(time.monotonic() > {time.monotonic() + 900_000}, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
                """,
                *("--mount", "--net", "--ipc", "--uts", "--cgroup"),
                *("--time", "--monotonic", "1000000", "--boottime", "1000000"),  # clocks may differ, too
                status=128 + signal.SIGKILL,
            )
            asking.result(PATIENCE)
        assert printed == "True\nTrue\n"
        assert [info.alive for info in bus.readers()] == [True, False]
        for number in range(100):  # the dead one holds nobody back
            bus.post("/in", bytes(number * 13), backpressure=Fail())
            reader.recv(timeout=0)


def test_multicast_does_not_reach_another_network_but_its_readers_look_once_a_second(bus_name: str) -> None:
    """Where the interface is down, the error says so: test_notifiers.py."""
    with Bus(bus_name, notifier="multicast") as bus, ThreadPoolExecutor(1) as pool:

        def post() -> None:
            wait_until(lambda: any(info.waiting for info in bus.readers()), "it sleeps")
            bus.post("/a", b"unheard")

        posting = pool.submit(post)
        script = f"""
with Bus("{bus_name}") as bus, bus.subscribe("/a") as reader:
    print(reader.recv(timeout={PATIENCE}))
"""
        assert "b'unheard'" in in_namespaces(LO_UP + script, "--net")
        posting.result(PATIENCE)


# ---- many processes


def write_mixed(pipe: Connection, bus: str, writer: int, messages: int) -> None:
    chooser = random.Random(writer)
    with rmp.Stream(bus, backpressure=Wait(None)) as stream:
        pipe.send("ready")
        pipe.recv()
        for number in range(messages):
            stream.write(make_message(writer << 32 | number, mixed_size(chooser, stream.capacity)))


def read_all(pipe: Connection, bus: str, messages: int) -> None:
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("ready")
        sequence = hashlib.blake2b()
        for _ in range(messages):
            message = reader.read(timeout=PATIENCE)
            assert message is not None
            assert is_whole(message)
            sequence.update(b"%d %d " % (seed_of(message), len(message)))
        pipe.send((sequence.hexdigest(), reader.position, reader.lost))


def be_many(pipe: Connection, bus: str, writers: int, readers: int, messages: int) -> None:
    """Forks: forty interpreters would take longer to start than to do their work."""
    children = []
    for number in range(writers + readers):
        ours, theirs = Pipe()
        if (child := os.fork()) == 0:
            status = 1
            try:
                if number < readers:
                    read_all(theirs, bus, writers * messages)
                else:
                    write_mixed(theirs, bus, number, messages)
                status = 0
            finally:
                os._exit(status)
        assert ours.recv() == "ready"
        children.append((child, ours))
    for _, ours in children[readers:]:
        ours.send("go")
    pipe.send([ours.recv() for _, ours in children[:readers]])
    pipe.send([os.waitpid(child, 0)[1] for child, _ in children])


def test_forty_processes_on_few_cores_see_everything_in_one_order(bus_name: str) -> None:
    writers = readers = 20
    with rmp.Stream(bus_name, capacity="32 KiB") as stream, peers() as start:
        many: Peer = start(be_many, bus_name, writers, readers, 100)
        results = many.receive()
        assert results == [results[0]] * readers
        assert results[0][1:] == (stream.position, 0)
        assert stream.stats().messages == writers * 100
        assert many.receive() == [0] * (writers + readers)
