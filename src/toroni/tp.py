"""TP: topics on a totally ordered stream, in pieces, for compositions of one's own. `toroni.Bus` is made of the same.

    from toroni import rmp, tp

    with rmp.Stream("plant") as stream, stream.reader() as reader:
        topics = tp.Subscriptions()
        topics.add("/line1", descendants=True, generation=tp.new_generation(stream))
        stream.write(tp.encode("/line1/temp", b"21.5", generation=tp.generation(stream)))
        topic, data, *rest = tp.decode(reader.read())

A message carries the generation that the bus had when it was created; a subscription raises it and keeps the new value:
it gets messages of its own generation and later ones, which is what was created after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from toroni import _core
from toroni._core import Message, Subscriptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from toroni._types import AnyBuffer

__all__ = ["Decoded", "Message", "Subscriptions", "decode", "encode", "generation", "is_below", "new_generation"]


class Decoded(NamedTuple):
    """The parts of a message with a topic.

    Attributes:
        topic: that it was posted to.
        data: the payload, a memoryview of the message's bytes.
        generation: of the bus when it was created.
        descendants: whether it was posted to all topics below, too.
    """

    topic: str
    data: memoryview
    generation: int
    descendants: bool


def encode(topic: str, *buffers: AnyBuffer, generation: int, descendants: bool = False) -> bytes:
    """A message with a topic, to be written to a raw stream.

    Raises:
        InvalidArgument: the topic holds a NUL.
    """
    return _core._encode(topic, *buffers, generation=generation, descendants=descendants)


def decode(message: Buffer) -> Decoded:
    """The parts of a raw message.

    Raises:
        InvalidArgument: these bytes are not a message with a topic.
    """
    generation, descendants, topic, size = _core._decode(message)
    return Decoded(topic, memoryview(message).cast("B")[size:], generation, descendants)


def is_below(topic: str, ancestor: str) -> bool:
    """Whether a topic is below another: starts with it and a "/". "" and "/" are above all others."""
    return _core._is_below(topic, ancestor)


def generation(bus: _core.StreamBase) -> int:
    """The generation of messages that are created now. `bus` is a Stream or a Bus."""
    return bus._generation


def new_generation(bus: _core.StreamBase) -> int:
    """Raises the generation, and returns that of a subscription which is made now."""
    return bus._new_generation()
