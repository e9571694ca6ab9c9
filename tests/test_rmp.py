"""What users type, and what they type wrong."""

from __future__ import annotations

import array
from pathlib import Path
from typing import Any

import pytest

import toroni
from toroni import Overwrite, rmp


def test_first_message(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        assert (stream.name, stream.capacity, stream.max_readers) == (bus_name, 4 << 20, 64)
        assert stream.write(b"hello") == 0
        assert stream.write(b"wor", bytearray(b"ld"), memoryview(b"!")) == 10
        assert stream.position == 21
        assert reader.lag == 21
        assert reader.last_position is None
        assert reader.read() == b"hello"
        assert [reader.position, reader.last_position, reader.lag] == [10, 0, 11]
        assert reader.read_many() == [b"world!"]
        assert reader.read(timeout=0) is None


def test_any_buffer(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        buffers: list[Any] = [b"a", bytearray(b"bc"), memoryview(b"d"), array.array("d", [1.5, 2.5])]
        assert stream.write_many(buffers) == 4
        assert stream.write_many(iter([b"x", b"yy"])) == 2
        assert stream.write_many([]) == 0
        assert reader.read_many() == [*(bytes(b) for b in buffers), b"x", b"yy"]
        with pytest.raises((BufferError, ValueError)):
            stream.write(memoryview(bytes(10))[::2])
        mutable = bytearray(b"locked?")
        stream.write(mutable)
        mutable.append(0)  # the buffer is no longer exported


def test_every_reader_has_its_own_place(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as early:
        first, second = stream.write(b"1"), stream.write(b"22")
        assert isinstance(second, int)
        with stream.reader() as late, stream.reader(start="oldest") as old, stream.reader(start=second) as middle:
            stream.write(b"333")
            assert early.read_many(with_positions=True) == [(first, b"1"), (second, b"22"), (second + 7, b"333")]
            assert late.read_many() == [b"333"]
            assert old.read_many(2) == [b"1", b"22"]
            assert middle.read() == b"22"
            assert len(stream.readers()) == 4
        with pytest.raises(toroni.InvalidArgument, match="no message starts at position 1"):
            stream.reader(start=1)


def test_the_ring_outlives_every_process_that_wrote_it(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream:
        stream.write_many([b"flight", b"recorder"])
    with rmp.Stream(bus_name) as stream, stream.reader(start="oldest") as reader:
        assert reader.read_many() == [b"flight", b"recorder"]


def test_iteration_ends_when_the_reader_is_closed(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream, stream.reader() as reader:
        stream.write_many([b"a", b"b", b"stop"])
        seen = []
        for message in reader:
            seen.append(message)
            if message == b"stop":
                reader.close()
        assert seen == [b"a", b"b", b"stop"]


def test_loss_is_told_as_wanted(bus_name: str) -> None:
    told: list[toroni.MessagesLost] = []
    with rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream:
        raising, skipping = stream.reader(label="r"), stream.reader(on_loss="skip")
        calling = stream.reader(on_loss=told.append)
        for number in range(1000):
            stream.write(b"%d" % number)
        with pytest.raises(toroni.MessagesLost, match="reader 'r' was too slow and missed 1000 messages") as lost:
            raising.read(timeout=0)
        assert lost.value.messages == 1000
        assert lost.value.bytes == lost.value.to_position - lost.value.from_position == stream.position
        assert skipping.read(timeout=0) is None
        assert calling.read(timeout=0) is None
        assert [(loss.messages, loss.bytes) for loss in told] == [(1000, stream.position)]
        stream.write(b"next")
        for reader in (raising, skipping, calling):
            assert reader.read() == b"next"
            assert (reader.lost, reader.lost_messages) == (lost.value.bytes, 1000)
        assert stream.stats().losses == 3
        assert {info.losses for info in stream.readers()} == {1}


def test_a_callback_that_raises_or_reads(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=64, backpressure=Overwrite()) as stream:

        def refuse(loss: toroni.MessagesLost) -> None:
            raise RuntimeError("no loss is acceptable") from loss

        reader = stream.reader(on_loss=refuse)
        reading = stream.reader(on_loss=lambda _: reading.read(timeout=0))
        stream.write_many([bytes(20)] * 10)
        with pytest.raises(RuntimeError, match="acceptable"):
            reader.read(timeout=0)
        assert reader.read(timeout=0) is None
        with pytest.raises(toroni.InUse):
            reading.read(timeout=0)
        reader.close()
        reading.close()


def test_statistics(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, max_readers=3) as stream, stream.reader(label="only") as reader:
        stream.write_many([b"12345"] * 7)
        statistics = stream.stats()
        assert (statistics.capacity, statistics.max_readers) == (4096, 3)
        assert (statistics.messages, statistics.bytes) == (7, 35)
        assert statistics.position == statistics.claimed == 70
        assert statistics.lock_holder == statistics.losses == statistics.overwritten == 0
        assert not statistics.is_foreign
        (info,) = stream.readers()
        assert (info.label, info.lag, info.position, info.alive, info.active) == ("only", 70, 0, True, True)
        assert repr(info).endswith("(only), 70 bytes behind>")
        reader.read_many()
        (info,) = stream.readers()
        assert (info.lag, info.messages, info.bytes) == (0, 7, 35)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"capacity": 100}, "power of two"),
        ({"capacity": 32}, "power of two from 64"),
        ({"capacity": "8 GiB"}, "4 GiB"),
        ({"capacity": 0}, "from 1 to"),
        ({"capacity": -4096}, "from 1 to"),
        ({"capacity": 1 << 80}, "from 1 to"),
        ({"capacity": "4 potatoes"}, "KiB, MiB, GiB"),
        ({"max_readers": 0}, "1 to 2048"),
        ({"max_readers": 2049}, "1 to 2048"),
        ({"role": "king"}, "'both', 'reader', 'writer' or 'observer'"),
        ({"mode": -1}, "mode"),
        ({"mode": 0o1777}, "mode"),
    ],
)
def test_options_that_cannot_be(bus_name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(toroni.InvalidArgument, match=words):
        rmp.Stream(bus_name, **options)
    assert not list(Path("/dev/shm").glob(f"toroni-{bus_name}-*"))


@pytest.mark.parametrize("options", [{"capacity": 4.5}, {"capacity": True}, {"max_readers": "9"}, {"backpressure": 1}])
def test_options_of_wrong_types(bus_name: str, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        rmp.Stream(bus_name, **options)


@pytest.mark.parametrize("name", ["", "a/b", "/", "n" * 246, "nul\0", "ü" * 123])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(toroni.InvalidArgument, match="1 to 245 bytes"):
        rmp.Stream(name)
    with pytest.raises(toroni.InvalidArgument):
        rmp.unlink(name)


def test_messages_that_cannot_be(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:
        assert stream.max_message == 4091
        for empty in ((), (b"",), (b"", b"")):
            with pytest.raises(toroni.InvalidArgument, match="at least 1 byte"):
                stream.write(*empty)
        with pytest.raises(toroni.MessageTooLarge, match=r"4092 bytes does not fit .* 4091"):
            stream.write(bytes(4092))
        for wrong in ("text", 5, None, [b"x"]):
            with pytest.raises((TypeError, BufferError)):
                stream.write(wrong)  # type: ignore[arg-type]
            with pytest.raises((TypeError, BufferError)):
                stream.write_many([b"good", wrong])  # type: ignore[list-item]
        with pytest.raises(toroni.MessageTooLarge):
            stream.write_many([b"good", bytes(4092)])
        with pytest.raises(TypeError):
            stream.write_many(7)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="Wait"):
            stream.write(b"x", backpressure="wait")  # type: ignore[arg-type]
        assert stream.position == 0  # bad messages are found before any is written
        assert reader.read(timeout=0) is None


def test_readers_that_cannot_be(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream:
        for start in ("newest", -1, 1 << 70, None, 1.5, True):
            with pytest.raises(toroni.InvalidArgument, match="start must be"):
                stream.reader(start=start)  # type: ignore[arg-type]
        for on_loss in ("ignore", None, 3):
            with pytest.raises(toroni.InvalidArgument, match="on_loss must be"):
                stream.reader(on_loss=on_loss)  # type: ignore[arg-type]
        with pytest.raises(toroni.InvalidArgument, match="label"):
            stream.reader(label="l" * 64)
        with stream.reader(label="l" * 63) as reader, pytest.raises(toroni.InvalidArgument, match="max"):
            reader.read_many(0)
        with pytest.raises(TypeError):
            reader.read_many("all")  # type: ignore[call-overload]
        assert stream.readers() == []


def test_roles(bus_name: str) -> None:
    with (
        rmp.Stream(bus_name, role="writer") as writing,
        rmp.Stream(bus_name, role="reader") as reading,
        reading.reader() as reader,
    ):
        writing.write(b"x")
        assert reader.read() == b"x"
        with pytest.raises(toroni.InvalidArgument, match="role='reader'"):
            reading.write(b"x")
        with pytest.raises(toroni.InvalidArgument, match="role='writer'"):
            writing.reader()


def test_a_bus_of_other_sizes(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096, max_readers=5):
        rmp.Stream(bus_name, capacity="4 KiB").close()
        with pytest.raises(toroni.BusMismatch, match=r"capacity of 4096, not 8192"):
            rmp.Stream(bus_name, capacity="8 KiB")
        with pytest.raises(toroni.BusMismatch, match=r"max_readers 5, not 6"):
            rmp.Stream(bus_name, max_readers=6)


def test_damaged_files(bus_name: str) -> None:
    path = Path(f"/dev/shm/toroni-{bus_name}-rb")
    rmp.Stream(bus_name, capacity=4096).close()
    whole = path.read_bytes()
    for damaged in (whole[:50], whole[:4000], b"\xff" * len(whole), b"\x01" * len(whole)):
        path.write_bytes(damaged)
        with pytest.raises(toroni.BusDamaged, match=f"{path} is not a usable Toroni segment"):
            rmp.Stream(bus_name)


def test_a_bus_that_is_never_finished(bus_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toroni._opening, "_PATIENCE_SECONDS", 0.05)
    for segment in ("ri", "rb"):
        path = Path(f"/dev/shm/toroni-{bus_name}-{segment}")
        path.touch()
        with pytest.raises(toroni.BusNotReady, match="empty"):
            rmp.Stream(bus_name)
        path.unlink()


def test_unlink(bus_name: str) -> None:
    assert rmp.unlink(bus_name) is False
    with rmp.Stream(bus_name) as old, old.reader() as reader:
        assert rmp.unlink(bus_name) is True
        old.write(b"still works")
        assert reader.read() == b"still works"
        with rmp.Stream(bus_name) as new:
            assert new.position == 0


def test_damage_to_the_ring_is_an_error_and_the_stream_goes_on(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:
        stream.write(b"whole")
        with open(f"/dev/shm/toroni-{bus_name}-rb", "r+b") as ring:
            ring.seek(80)
            ring.write(b"\x07")
        with pytest.raises(toroni.StreamDamaged, match="position 0 are not a message"):
            reader.read(timeout=0)
        stream.write(b"after")
        assert reader.read() == b"after"


def test_a_label_of_any_bytes_is_text(bus_name: str) -> None:
    """Labels are other processes' bytes: no decoding error, nothing that a terminal would obey."""
    with rmp.Stream(bus_name, capacity=4096, max_readers=1) as stream, stream.reader(label="plain"):
        info = Path(f"/dev/shm/toroni-{bus_name}-ri")
        data = info.read_bytes()
        with info.open("r+b") as file:
            file.seek(data.index(b"plain\0"))
            file.write(b"\xff\x1b[2J\xe4")
        (reader,) = stream.readers()
        assert reader.label == "\ufffd?[2J\ufffd"
        assert "?[2J" in repr(reader)
        with pytest.raises(toroni.NoRoom, match=r"\?\[2J"):
            stream.write_many([bytes(1000)] * 5, backpressure=toroni.Fail())
        with pytest.raises(toroni.NoFreeSlot, match=r"\?\[2J"):
            stream.reader()


@pytest.mark.parametrize("on_loss", ["skip", print])
def test_a_restart_by_others_ends_no_timeout(bus_name: str, on_loss: Any) -> None:
    with rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream:
        reader = stream.reader(on_loss=on_loss)
        stream.write_many([bytes(1000)] * 20)
        reader.read(timeout=0)
        with open(f"/dev/shm/toroni-{bus_name}-rb", "r+b") as ring:
            ring.seek(48)
            ring.write(bytes(8))  # what a C++ process does, and no writer of ours follows
        assert reader.read(timeout=0.05) is None
        stream.write(b"next")
        assert reader.read(timeout=5) == b"next"


def test_history_that_is_overtaken_before_the_first_read_is_a_loss(bus_name: str) -> None:
    with (
        rmp.Stream(bus_name, capacity=4096, backpressure=Overwrite()) as stream,
        stream.reader(start="oldest") as reader,
    ):
        for number in range(1000):
            stream.write(b"%04d" % number)
        with pytest.raises(toroni.MessagesLost) as lost:
            reader.read(timeout=0)
        assert lost.value.messages == 1000


@pytest.mark.parametrize("start", [2**64 - 1, 2**63 + 2000, 10**6])
def test_positions_that_never_were(bus_name: str, start: int) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream:
        stream.write(b"x")
        with pytest.raises(toroni.InvalidArgument, match="no message starts"):
            stream.reader(start=start)


def test_timeouts_of_policies_that_cannot_be(bus_name: str) -> None:
    with rmp.Stream(bus_name) as stream:
        for wrong, error in (("abc", TypeError), (10**400, OverflowError), (-1, ValueError)):
            with pytest.raises(error):
                stream.write(b"x", backpressure=toroni.Wait(wrong))  # type: ignore[arg-type]


def test_a_damaged_room_mutex_gives_no_turns_but_writing_goes_on(bus_name: str) -> None:
    with rmp.Stream(bus_name, capacity=4096) as stream, stream.reader() as reader:
        with open(f"/dev/shm/toroni-{bus_name}-rb", "r+b") as ring:
            ring.seek(4224 + 192 + 8)  # glibc's owner: not recoverable
            ring.write((0x7FFFFFFE).to_bytes(4, "little"))
        assert stream.write_many([bytes(1000)] * 6, backpressure=toroni.Wait(0.1)) == 6
        with pytest.raises(toroni.MessagesLost):
            reader.read()
