"""Making and opening a bus: raced, without room, without rights, from elsewhere, over damage."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import toroni
from processes import peers
from toroni import Bus, rmp

SHARED_MEMORY = Path("/dev/shm")


def files(bus: str) -> tuple[Path, Path]:
    return SHARED_MEMORY / f"toroni-{bus}-rb", SHARED_MEMORY / f"toroni-{bus}-ri"


def open_and_say(pipe: Connection, bus: str, number: int) -> None:
    pipe.send("ready")
    pipe.recv()
    with rmp.Stream(bus) as stream, stream.reader() as reader:
        pipe.send("open")
        pipe.recv()
        stream.write(bytes([number + 1]))
        pipe.send(sorted(reader.read_many(1)[0] for _ in range(8)))


def test_raced_by_many_processes(bus_name: str) -> None:
    """Eight make it at the same moment; all are on the same bus afterwards."""
    with peers() as start:
        makers = [start(open_and_say, bus_name, number) for number in range(8)]
        for phase in ("ready", "open"):
            for maker in makers:
                assert maker.receive() == phase
            for maker in makers:
                maker.send("go")
        for maker in makers:
            assert maker.receive() == [bytes([number + 1]) for number in range(8)]
    assert not list(SHARED_MEMORY.glob("#*"))  # where an unnamed file would show if it had kept a name


def test_nothing_is_left_open(bus_name: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count(), len(os.listdir("/proc/self/task"))
    for _ in range(20):
        with rmp.Stream(bus_name) as stream, stream.reader():
            assert len(os.listdir("/proc/self/fd")) == before
    assert (threading.active_count(), len(os.listdir("/proc/self/task"))) == threads
    assert bus_name not in Path("/proc/self/maps").read_text()


def open_as(pipe: Connection, uid: int, gid: int, groups: list[int], bus: str, options: dict[str, Any]) -> None:
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    try:
        with Bus(bus, **options) as opened:
            if options.get("role") != "writer":
                opened.subscribe("/a").recv(timeout=0)
            if options.get("role") != "reader":
                opened.post("/a", b"x")
            pipe.send("opened")
    except toroni.ToroniError as error:
        assert not isinstance(error, toroni.PermissionDenied) or error.errno in {errno.EACCES, errno.EPERM}
        pipe.send(str(error))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become two other users")
def test_roles_and_modes_between_users(bus_name: str) -> None:
    team = 3456
    owner, member = (1234, 1234, [team]), (2345, 2345, [team])
    stranger: tuple[int, int, list[int]] = (4567, 4567, [])
    with peers() as start:

        def as_user(user: tuple[int, int, list[int]], **options: object) -> str:
            return str(start(open_as, *user, bus_name, options).receive())

        assert "of which you must be a member" in as_user(stranger, capacity=4096, group=team)
        # The team may read, nobody else anything. Who may read may hold slots; who may not write, cannot.
        assert as_user(owner, capacity=4096, mode=0o640, group=team) == "opened"
        assert [file.stat().st_mode & 0o777 for file in files(bus_name)] == [0o640, 0o660]
        assert {file.stat().st_gid for file in files(bus_name)} == {team}
        assert as_user(owner) == "opened"
        assert as_user(member, role="reader") == "opened"
        for user, role in ((member, "both"), (member, "writer"), (stranger, "reader"), (stranger, "both")):
            assert "Permission denied" in as_user(user, role=role)
        toroni.unlink(bus_name)
        # The team may do everything.
        assert as_user(owner, mode=0o660, group=team) == "opened"
        for role in ("both", "reader", "writer"):
            assert as_user(member, role=role) == "opened"
        assert "Permission denied" in as_user(stranger, role="reader")


def test_an_observer_looks_at_a_few_pages_only(bus_name: str) -> None:
    with Bus(bus_name, capacity="64 MiB"), Bus(bus_name, role="observer") as observer:
        assert observer.stats().capacity == 64 << 20
        smaps = Path("/proc/self/smaps").read_text()
        found = re.findall(rf"^\S+ (\S+) .*toroni-{bus_name}-r[bi]\n(?:\w+: .*\n)*?Rss: +(\d+) kB", smaps, re.MULTILINE)
        assert [access for access, _ in found] == ["r--s", "r--s"]
        assert all(int(resident) < 1024 for _, resident in found)


def test_names_that_are_no_text() -> None:
    """As os.listdir gives them."""
    name = os.fsdecode(b"\xff")
    for use in (Bus, rmp.Stream, toroni.unlink):
        with pytest.raises(toroni.InvalidArgument, match="UTF-8"):
            use(name)


def test_groups_that_cannot_be(bus_name: str) -> None:
    for wrong, words in (("no such group", "no group"), (-1, "a name or a number"), (True, "a name or a number")):
        with pytest.raises(toroni.InvalidArgument, match=words):
            Bus(bus_name, group=wrong)


def test_the_golden_segments_of_the_older_implementation_open_and_work(bus_name: str) -> None:
    """A C++ process made them: no extension blocks, an empty ring."""
    golden = Path(__file__).parent / "golden"
    ring, reader_info = files(bus_name)
    shutil.copy(golden / "rb-4096-new.bin", ring)
    shutil.copy(golden / "ri-2-new.bin", reader_info)
    with rmp.Stream(bus_name) as stream, stream.reader() as reader, stream.reader() as other:
        assert (stream.capacity, stream.max_readers, stream.max_message) == (4096, 2, 4090)
        assert stream.stats().is_foreign
        with pytest.raises(toroni.NoFreeSlot):
            stream.reader()
        threading.Timer(0.05, stream.write, [b"from afar"]).start()
        assert reader.read(timeout=10) == b"from afar"
        assert other.read(timeout=10) == b"from afar"
    assert ring.stat().st_size == 4176
    assert reader_info.stat().st_size == 144


@pytest.mark.parametrize(("image", "messages"), [("rb-4096-after-3x100", 3), ("rb-4096-after-45x100", 33)])
def test_what_the_older_implementation_wrote_can_be_read(bus_name: str, image: str, messages: int) -> None:
    golden = Path(__file__).parent / "golden"
    ring, reader_info = files(bus_name)
    shutil.copy(golden / f"{image}.bin", ring)
    shutil.copy(golden / "ri-2-new.bin", reader_info)
    body = bytes(8) + b"\0" + b"channel\0" + bytes(100)
    with rmp.Stream(bus_name, role="reader") as stream:
        # No landmarks there: the first lap can be read from 0, later ones from where a message starts.
        start = 0 if messages == 3 else 4096
        with stream.reader(start=start) as reader:
            count = 3 if messages == 3 else 12
            assert reader.read_many() == [body] * count
            assert reader.position == stream.position


def test_what_we_write_is_what_the_older_implementation_writes(bus_name: str) -> None:
    """Byte for byte: the base header and the data, but not the count of its wake-ups."""
    golden = Path(__file__).parent / "golden"
    body = bytes(8) + b"\0" + b"channel\0" + bytes(100)
    with rmp.Stream(bus_name, capacity=4096, max_readers=2) as stream:
        ring, reader_info = files(bus_name)
        assert ring.read_bytes()[:4176] == (golden / "rb-4096-new.bin").read_bytes()
        ours, theirs = reader_info.read_bytes()[:144], (golden / "ri-2-new.bin").read_bytes()
        assert ours[:8] + ours[9:] == theirs[:8] + theirs[9:]
        assert stream.write_many([body] * 3) == 3

        def compare(image: str) -> None:
            theirs = bytearray((golden / image).read_bytes())
            ours = bytearray(ring.read_bytes()[:4176])
            for segment in (theirs, ours):
                segment[8:48] = bytes(40)  # what glibc keeps in a mutex that was used
                segment[64:72] = bytes(8)
            assert ours == theirs

        compare("rb-4096-after-3x100.bin")
        assert stream.write_many([body] * 42) == 42
        compare("rb-4096-after-45x100.bin")
