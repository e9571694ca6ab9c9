"""A C++ or Java process, as far as others can tell: a reader and a writer in plain Python (mmap, and glibc's mutexes
through ctypes), written from the format's description alone. It shares no code with the core, and none of its care:
it knows no claim, no notifier but multicast, no counts, and no extension block.

Where the older implementations are weak it can be as weak as they are: a writer may leave exactly five bytes behind a
message, a reader takes what it does not understand for loss, and calls a position lost when it is exactly one capacity
behind. On x86-64 its loads and stores are ordered by the processor, and eight aligned bytes move at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MUTEX_SIZE = 40
_ROBUST, _PROCESS_SHARED = 1, 1
_GROUP, _PORT, _INTERFACE = "224.1.1.1", 3334, "127.0.0.1"


class Expired(Exception):
    """A reader was overtaken, or found what it does not understand."""


def paths(name: str) -> tuple[Path, Path]:
    """The ring's and the reader info's file."""
    return Path(f"/dev/shm/toroni-{name}-rb"), Path(f"/dev/shm/toroni-{name}-ri")


# glibc links the robust mutexes that a thread holds to each other: their memory stays mapped as long as they are held.
_held: set[Mutex] = set()


class Mutex:
    """A robust, process-shared mutex somewhere in a mapping."""

    def __init__(self, segment: mmap.mmap, offset: int) -> None:
        self._bytes = (ctypes.c_char * _MUTEX_SIZE).from_buffer(segment, offset)

    def initialize(self) -> None:
        attributes = ctypes.create_string_buffer(64)
        _libc.pthread_mutexattr_init(attributes)
        _libc.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED)
        _libc.pthread_mutexattr_setrobust(attributes, _ROBUST)
        assert _libc.pthread_mutex_init(self._bytes, attributes) == 0

    def lock(self) -> None:
        self._taken(_libc.pthread_mutex_lock(self._bytes))

    def try_lock(self) -> bool:
        return self._taken(_libc.pthread_mutex_trylock(self._bytes))

    def unlock(self) -> None:
        _held.discard(self)
        assert _libc.pthread_mutex_unlock(self._bytes) == 0

    def _taken(self, error: int) -> bool:
        if error == errno.EOWNERDEAD:
            error = _libc.pthread_mutex_consistent(self._bytes)
        assert error in (0, errno.EBUSY), os.strerror(error)
        if error == 0:
            _held.add(self)
        return error == 0


def _open_or_make(path: Path, size: int) -> tuple[mmap.mmap, bool]:
    """Maps `size` bytes, however long the file is; and whether it was made here."""
    made = True
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(descriptor, size)
    except FileExistsError:
        descriptor, made = os.open(path, os.O_RDWR), False
    with contextlib.closing(os.fdopen(descriptor, "r+b")) as file:
        while os.fstat(file.fileno()).st_size < size:  # its maker is between two steps
            time.sleep(0.0005)
        return mmap.mmap(file.fileno(), size), made


class ForeignBus:
    """Both segments, made where they are missing; who makes one initialises it. `initialize` does it anyway."""

    def __init__(self, name: str, capacity: int, max_readers: int) -> None:
        self.capacity = capacity
        self.max_readers = max_readers
        ring, info = paths(name)
        self.ring, made_ring = _open_or_make(ring, 80 + capacity)
        self.info, made_info = _open_or_make(info, 32 + 56 * max_readers)
        self.writer_mutex = Mutex(self.ring, 8)
        self.free_pos = ctypes.c_uint64.from_buffer(self.ring, 48)
        self.backpressure_count = ctypes.c_uint64.from_buffer(self.ring, 56)
        self.notification_count = ctypes.c_uint64.from_buffer(self.ring, 64)
        self.expired_readers = ctypes.c_uint64.from_buffer(self.info, 16)
        self.active_range = ctypes.c_uint32.from_buffer(self.info, 28)
        self.slots = [Slot(self.info, 32 + 56 * index) for index in range(max_readers)]
        if made_ring:
            self.initialize_ring()
        if made_info:
            self.initialize_info()

    def initialize_ring(self) -> None:
        self.ring[:80] = struct.pack("<Q72x", self.capacity)
        self.writer_mutex.initialize()
        self.ring[72] = 1

    def initialize_info(self) -> None:
        self.info[:32] = struct.pack("<26xH4x", self.max_readers)
        for slot in self.slots:
            slot.mutex.initialize()
            slot.position.value = slot.is_active.value = 0
        self.info[8] = self.info[24] = 1

    def initialize(self) -> None:
        self.initialize_ring()
        self.initialize_info()

    def wait_until_initialized(self) -> None:
        while not (self.ring[72] and self.info[24]):
            time.sleep(0.0005)

    def generation(self) -> int:
        return int.from_bytes(self.info[:8], "little")


class Slot:
    """A reader's."""

    def __init__(self, info: mmap.mmap, offset: int) -> None:
        self.mutex = Mutex(info, offset)
        self.position = ctypes.c_uint64.from_buffer(info, offset + 40)
        self.is_active = ctypes.c_uint8.from_buffer(info, offset + 48)


class Multicast:
    """Sends notifications, and waits for them."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("", _PORT))
        membership = socket.inet_aton(_GROUP) + socket.inet_aton(_INTERFACE)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(_INTERFACE))

    def __del__(self) -> None:
        self._socket.close()

    def send(self) -> None:
        self._socket.sendto(b"", (_GROUP, _PORT))

    def wait(self) -> None:
        """However long it takes: nobody here looks by himself."""
        self._socket.recv(1)


class ForeignWriter:
    """Overtakes slow readers after `on_backpressure()` if that says so; by default it waits for as long as it takes."""

    def __init__(
        self,
        bus: ForeignBus,
        multicast: Multicast,
        on_backpressure: Callable[[], bool] = lambda: False,
        avoids_five_bytes: bool = True,
    ) -> None:
        self._bus = bus
        self._multicast = multicast
        self._on_backpressure = on_backpressure
        self._avoids_five_bytes = avoids_five_bytes
        self.reached: Callable[[str], object] = lambda step: None  # for those who die in the middle

    def write(self, body: bytes) -> int:
        """Returns the message's position. Nobody is told yet."""
        bus, overwrite = self._bus, False
        while True:
            bus.writer_mutex.lock()
            try:
                skip = self._skip(len(body))
                if overwrite or self._has_room(skip + 5 + len(body)):
                    return self._put(skip, body)
                bus.backpressure_count.value += 1
            finally:
                bus.writer_mutex.unlock()
            self.notify()
            overwrite = self._on_backpressure()
            time.sleep(0.0005)

    def notify(self) -> None:
        self._bus.notification_count.value += 1
        self._multicast.send()

    def _skip(self, length: int) -> int:
        rest = self._bus.capacity - self._bus.free_pos.value % self._bus.capacity
        leaves_five = self._avoids_five_bytes and rest - (5 + length) == 5
        return rest if 5 + length > rest or leaves_five else 0

    def _has_room(self, size: int) -> bool:
        bus = self._bus
        end, capacity = bus.free_pos.value + size, bus.capacity
        first, last = bus.active_range.value >> 16, bus.active_range.value & 0xFFFF
        active = [slot.position.value for slot in bus.slots[first:last] if slot.is_active.value]
        return not any(bus.free_pos.value < position + capacity <= end for position in active)

    def _put(self, skip: int, body: bytes) -> int:
        bus = self._bus
        self.reached("the lock")
        if skip >= 5:
            at = 80 + bus.free_pos.value % bus.capacity
            bus.ring[at : at + 5] = struct.pack("<BI", 1, skip - 5)
        bus.free_pos.value += skip  # published by itself, like theirs
        self.reached("the padding")
        position = bus.free_pos.value
        at = 80 + position % bus.capacity
        half = len(body) // 2
        bus.ring[at : at + 5 + half] = struct.pack("<BI", 0, len(body)) + body[:half]
        self.reached("half a body")
        bus.ring[at + 5 + half : at + 5 + len(body)] = body[half:]
        self.reached("a body")
        bus.free_pos.value += 5 + len(body)
        self.reached("a publication")
        return position


class ForeignReader:
    """Holds a slot, from the stream end on. Reads to the stream end; what it missed it cannot say."""

    def __init__(self, bus: ForeignBus) -> None:
        self._bus = bus
        self.slot = next((index for index, slot in enumerate(bus.slots) if slot.mutex.try_lock()), None)
        if self.slot is None:
            raise LookupError("no free slot")
        self._slot = bus.slots[self.slot]
        self.position = self._slot.position.value = bus.free_pos.value
        self._slot.is_active.value = 1
        self._widen_active_range()

    def _widen_active_range(self) -> None:
        """Without an atomic operation: until it stays right."""
        assert self.slot is not None
        while True:
            word = self._bus.active_range.value
            low, end = word >> 16, word & 0xFFFF
            wanted = min(low, self.slot) << 16 | max(end, self.slot + 1)
            if word == wanted:
                return
            self._bus.active_range.value = wanted
            time.sleep(0.001)

    def run(self) -> Iterator[tuple[int, bytes]]:
        """Positions and bodies up to the stream end.

        Raises:
            Expired: overtaken, and the expired readers are counted.
        """
        bus, capacity = self._bus, self._bus.capacity
        while (end := bus.free_pos.value) != self.position:
            self._check(bus.free_pos.value)
            rest = capacity - self.position % capacity
            if rest < 5:
                self.position += rest
                continue
            at = 80 + self.position % capacity
            kind, length = struct.unpack("<BI", bus.ring[at : at + 5])
            self._check(bus.free_pos.value)
            if kind not in (0, 1) or length == 0 or self.position + 5 + length > end or 5 + length > rest:
                self._expire(f"type {kind}, length {length}")
            body = bus.ring[at + 5 : at + 5 + length]
            self._check(bus.free_pos.value)
            position, self.position = self.position, self.position + 5 + length
            if self.position - self._slot.position.value >= capacity // 2:
                self._slot.position.value = self.position
            if kind == 0:
                yield position, body
        self._slot.position.value = self.position

    def close(self) -> None:
        self._slot.is_active.value = 0
        self._slot.mutex.unlock()

    def _check(self, free_pos: int) -> None:
        if free_pos - self.position >= self._bus.capacity:
            self._expire("overtaken")

    def _expire(self, why: str) -> None:
        self._bus.expired_readers.value += 1
        raise Expired(f"at {self.position}: {why}")
