"""Messages in columns: as arrays and tables want them, without an object for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

from toroni._core import Message

_Item = TypeVar("_Item")


class ColumnsBase(Sequence[_Item]):
    """What both kinds have. Immutable; each message is made when it is asked for."""

    __slots__ = ("_data", "_message_size", "_offsets", "_positions")

    def __init__(self, data: bytes, offsets: bytes, positions: bytes, message_size: int | None) -> None:
        self._data, self._offsets, self._positions, self._message_size = data, offsets, positions, message_size

    @property
    def data(self) -> bytes:
        """The payloads, behind each other."""
        return self._data

    @property
    def offsets(self) -> memoryview:
        """Where each payload begins in `data`, and where the last one ends: 64-bit integers, one more than messages."""
        return memoryview(self._offsets).cast("q")

    @property
    def positions(self) -> memoryview:
        """Of each message its position in the stream: unsigned 64-bit integers."""
        return memoryview(self._positions).cast("Q")

    @property
    def message_size(self) -> int | None:
        """Bytes of each payload, where all have the same size; else None. 0 without messages."""
        return self._message_size

    def __len__(self) -> int:
        return len(self._positions) // 8

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | list[_Item]:
        numbers = range(len(self))[index]
        return self._item(numbers) if isinstance(numbers, int) else [self._item(number) for number in numbers]

    def _item(self, number: int) -> _Item:
        raise NotImplementedError

    def _payload(self, number: int) -> bytes:
        offsets = self.offsets
        return self._data[offsets[number] : offsets[number + 1]]

    def _payloads(self) -> Iterator[bytes]:
        offsets = self.offsets.tolist()
        return map(self._data.__getitem__, map(slice, offsets, offsets[1:]))

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Columns of {len(self)} messages, {len(self._data)} bytes>"


class Columns(ColumnsBase[Message]):
    """Messages in columns, from `Reader.recv_columns`; a sequence of `Message` as well."""

    __module__ = "toroni"  # where users find it
    __slots__ = ("_topic_indices", "_topics")

    def __init__(
        self, columns: tuple[bytes, bytes, bytes, int | None], topic_indices: bytes, topics: tuple[str, ...]
    ) -> None:
        super().__init__(*columns)
        self._topic_indices, self._topics = topic_indices, topics

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that there are, each once."""
        return self._topics

    @property
    def topic_indices(self) -> memoryview:
        """Of each message its topic, as an index of `topics`: 32-bit integers."""
        return memoryview(self._topic_indices).cast("i")

    def _item(self, number: int) -> Message:
        return Message(self._topics[self.topic_indices[number]], self._payload(number), self.positions[number])

    def __iter__(self) -> Iterator[Message]:
        return map(Message, map(self._topics.__getitem__, self.topic_indices), self._payloads(), self.positions)
