"""Who can do what to whom: the statements of docs/security.md.

Roles and modes between users are also in test_opening.py, garbage in core/tests/test_garbage.cpp.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import toroni
from namespaces import needs_root
from processes import PATIENCE, in_child, peers
from toroni import Bus, Fail, Overwrite, Wait, rmp

PAGE = (Path(__file__).parent.parent / "docs" / "security.md").read_text()
TEAM, OWNER, STRANGER = 3456, 1234, 4567
RIGHTS = {
    "all": {"both", "reader", "writer", "observer"},
    "read": {"reader", "observer"},
    "nothing": set(),
}
# Offsets in -ri and -rb: base/layout.hpp.
SLOTS, SLOT_SIZE, SLOT_POSITION = 32, 56, 40
FREE_POS, DATA = 48, 80
INIT = 1  # the thread id of a process that never ends


def files(bus: str) -> tuple[Path, Path]:
    return Path(f"/dev/shm/toroni-{bus}-rb"), Path(f"/dev/shm/toroni-{bus}-ri")


def as_user(user: int, groups: list[int], function: Callable[[], object]) -> int:
    def run() -> None:
        os.setgroups(groups)
        os.setgid(user)
        os.setuid(user)
        function()

    return in_child(run)


def scribble(file: Path, offset: int, data: bytes) -> None:
    """What whoever may write a segment can do to it."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(data)


# ---- what the files' modes allow


def rows_of_modes() -> list[tuple[str, ...]]:
    return re.findall(r"^\| `(0o\d+)` \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)


@needs_root
def test_what_each_mode_allows_is_what_the_page_says(bus_name: str) -> None:
    rows = rows_of_modes()
    assert len(rows) >= 7
    for mode, owner, group, others in rows:
        made = lambda mode=mode: Bus(bus_name, mode=int(mode, 8), group=TEAM).close()  # noqa: E731
        assert as_user(OWNER, [TEAM], made) == 0
        for user, groups, rights in ((OWNER, [], owner), (STRANGER, [TEAM], group), (STRANGER, [], others)):
            for role in RIGHTS["all"]:

                def try_it(role: str = role, rights: str = rights) -> None:
                    if role in RIGHTS[rights]:
                        Bus(bus_name, role=role).close()  # type: ignore[arg-type]
                    else:
                        with pytest.raises(toroni.PermissionDenied, match="Permission denied") as denied:
                            Bus(bus_name, role=role)  # type: ignore[arg-type]
                        assert denied.value.errno == errno.EACCES

                assert as_user(user, groups, try_it) == 0, (mode, user, groups, role)
        toroni.unlink(bus_name)


@needs_root
def test_nobody_but_its_owner_removes_a_bus(bus_name: str) -> None:
    """/dev/shm is sticky: not even those who may do everything else."""
    assert Path("/dev/shm").stat().st_mode & stat.S_ISVTX
    Bus(bus_name, mode=0o666).close()

    def remove() -> None:
        with pytest.raises(toroni.PermissionDenied, match=r"cannot remove .*: Operation not permitted"):
            toroni.unlink(bus_name)

    assert as_user(STRANGER, [], remove) == 0
    assert all(file.exists() for file in files(bus_name))


@needs_root
def test_who_comes_first_makes_the_bus(bus_name: str) -> None:
    """Nobody can be kept from taking a name; it can be seen."""
    assert as_user(STRANGER, [], lambda: Bus(bus_name, mode=0o600).close()) == 0

    def refused() -> None:
        with pytest.raises(toroni.PermissionDenied, match="Permission denied"):
            Bus(bus_name)

    assert as_user(OWNER, [], refused) == 0
    toroni.unlink(bus_name)
    assert as_user(STRANGER, [], lambda: Bus(bus_name, mode=0o666).close()) == 0
    assert as_user(OWNER, [], lambda: Bus(bus_name).close()) == 0
    assert {file.stat().st_uid for file in files(bus_name)} == {STRANGER}


@pytest.mark.parametrize("which", ["rb", "ri"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "directory", "pipe", "socket", "other hard link"])
def test_what_is_no_file_of_a_bus_is_not_followed_nor_waited_for(
    bus_name: str, tmp_path: Path, kind: str, which: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious" * 100)
    Bus(bus_name).close()
    trap = Path(f"/dev/shm/toroni-{bus_name}-{which}")
    trap.unlink()
    words = "no regular file; "
    if kind == "link":
        trap.symlink_to(victim)
    elif kind == "dangling link":
        trap.symlink_to(tmp_path / "nothing")
    elif kind == "directory":
        trap.mkdir()
    elif kind == "pipe":
        os.mkfifo(trap)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(trap))
    else:
        victim = Path(f"/dev/shm/{bus_name}-victim")
        victim.write_bytes(b"precious" * 100)
        trap.hardlink_to(victim)
        words = "not a usable Toroni segment: .*"
    try:
        for role in ("both", "reader", "writer", "observer"):
            with pytest.raises(toroni.BusDamaged, match=f"{trap} is {words}remove"):
                Bus(bus_name, role=role)
        assert victim.read_bytes() == b"precious" * 100
        assert not (tmp_path / "nothing").exists()
    finally:
        trap.rmdir() if kind == "directory" else trap.unlink()
        Path(f"/dev/shm/{bus_name}-victim").unlink(missing_ok=True)


# ---- what a role cannot do


def check_that_it_cannot_be_written(file: Path) -> None:
    maps = Path("/proc/self/maps").read_text()
    ranges = re.findall(rf"^(\w+)-(\w+) (....) .* {re.escape(str(file))}$", maps, re.MULTILINE)
    assert ranges
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for begin, end, rights in ranges:
        assert rights == "r--s"
        address, size = int(begin, 16), int(end, 16) - int(begin, 16)
        assert protect(ctypes.c_void_p(address), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE) == -1
        assert ctypes.get_errno() == errno.EACCES


@pytest.mark.parametrize(("role", "kept"), [("reader", [0]), ("writer", [1]), ("observer", [0, 1])])
def test_a_role_maps_no_more_than_it_needs(bus_name: str, role: str, kept: list[int]) -> None:
    """Not by accident, then: not by a wild pointer, nor by mprotect."""
    Bus(bus_name).close()
    with Bus(bus_name, role=role):  # type: ignore[arg-type]
        for index in kept:
            check_that_it_cannot_be_written(files(bus_name)[index])


@needs_root
def test_who_may_only_read_cannot_touch_the_stream_but_sees_all_of_it(bus_name: str) -> None:
    def be_a_reader() -> None:
        ring, info = files(bus_name)
        with rmp.Stream(bus_name, role="reader") as stream, stream.reader(start="oldest") as reader:
            assert b"/secret" in reader.read_many(timeout=0)[0]  # topics are a filter, not a right
            check_that_it_cannot_be_written(ring)
            for spoil in (lambda: ring.open("r+b"), lambda: os.truncate(ring, 0), ring.unlink, info.unlink):
                with pytest.raises(PermissionError):
                    spoil()

    with Bus(bus_name, mode=0o640, group=TEAM) as bus:
        bus.post("/secret", b"for some")
        assert as_user(STRANGER, [TEAM], be_a_reader) == 0


# ---- what malice can do all the same


def pretend_to_read(bus: str, slots: int, position: int = 0) -> None:
    """Slots that look held by a thread that lives, by a reader that never moves."""
    for slot in range(slots):
        scribble(files(bus)[1], SLOTS + slot * SLOT_SIZE, struct.pack("<I", INIT))
        scribble(files(bus)[1], SLOTS + slot * SLOT_SIZE + SLOT_POSITION, struct.pack("<QB", position, 1))


def test_a_malicious_reader_keeps_writers_no_longer_than_their_policy(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, max_readers=4) as stream:
        for number in range(3):
            pretend_to_read(bus_name, 4, stream.position)
            with pytest.raises(toroni.NoRoom):
                stream.write_many([bytes(900)] * 8, backpressure=Fail())
            before = time.monotonic()
            stream.write(bytes(900 + number), backpressure=Wait(0.1))
            assert 0.1 <= time.monotonic() - before < PATIENCE


def test_a_malicious_reader_can_take_all_slots_and_a_new_bus_has_them_again(bus_name: str) -> None:
    with rmp.Stream(bus_name, max_readers=4) as stream, stream.reader() as reader:
        stream.write(b"before")
        pretend_to_read(bus_name, 4)
        with pytest.raises(toroni.NoFreeSlot):
            stream.reader()
        with pytest.raises((toroni.StreamRestarted, toroni.NoFreeSlot)):  # its own was taken from it
            reader.read(timeout=0)
    toroni.unlink(bus_name)
    with rmp.Stream(bus_name, max_readers=4) as stream, stream.reader() as reader:
        stream.write(b"after")
        assert reader.read(timeout=0) == b"after"


def test_a_malicious_reader_can_take_a_slot_whose_owner_takes_another(bus_name: str) -> None:
    with rmp.Stream(bus_name, max_readers=4) as stream, stream.reader() as reader:
        pretend_to_read(bus_name, 1)
        with pytest.raises(toroni.StreamRestarted):
            reader.read(timeout=0)
        stream.write(b"and on", backpressure=Overwrite())
        assert reader.read(timeout=0) == b"and on"


def drain(reader: rmp.Reader) -> None:
    while reader.read(timeout=0) is not None:
        pass


def test_a_malicious_writer_is_an_error_of_its_readers(bus_name: str) -> None:
    ring, _ = files(bus_name)
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:
        for garbage in (b"\xff" * 500, b"\0" * 500, os.urandom(500)):
            end = stream.position
            scribble(ring, DATA + end % 4096, garbage)
            scribble(ring, FREE_POS, struct.pack("<Q", end + 500))
            with pytest.raises(toroni.MessagesLost):  # after messages that look like some
                drain(reader)
            stream.write(b"and on", backpressure=Overwrite())
            assert reader.read(timeout=0) == b"and on"


def test_datagrams_of_strangers_are_only_looks_in_vain(bus_name: str) -> None:
    with (
        Bus(bus_name, notifier="multicast") as bus,
        bus.subscribe("/a") as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ThreadPoolExecutor(1) as pool,
    ):
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))

        def flood() -> None:
            for number in range(5000):
                stranger.sendto(bytes(number % 1000), ("224.1.1.1", 3334))

        flooding = pool.submit(flood)
        before = time.monotonic()
        assert reader.recv(timeout=0.2) is None
        assert time.monotonic() - before >= 0.2
        flooding.result(PATIENCE)
        bus.post("/a", b"wanted")
        message = reader.recv(timeout=PATIENCE)
        assert message is not None
        assert message.data == b"wanted"


def use_for_ever(pipe: Connection, name: str, role: str) -> None:
    with rmp.Stream(name, role=role, backpressure=Overwrite()) as stream:  # type: ignore[arg-type]
        if role == "writer":
            pipe.send("open")
            while True:
                stream.write(bytes(500))
        with stream.reader(on_loss="skip") as reader:
            pipe.send("open")
            while True:
                reader.read()


@pytest.mark.parametrize(("spoiled", "role"), [(0, "reader"), (0, "writer"), (1, "reader"), (1, "writer")])
def test_who_may_write_a_file_can_end_all_who_have_it_open(bus_name: str, spoiled: int, role: str) -> None:
    """By truncating it. The kernel's SIGBUS cannot be told from other faults, and so is not caught."""
    with rmp.Stream(bus_name, capacity="1 MiB"), peers() as start:
        victim = start(use_for_ever, bus_name, role)
        victim.receive()
        os.truncate(files(bus_name)[spoiled], 0)
        if role == "reader":
            victim.process.join(1.5)  # it looks once a second
        victim.process.join(PATIENCE)
        assert victim.process.exitcode == -signal.SIGBUS
