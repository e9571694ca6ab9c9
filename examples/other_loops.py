"""trio, anyio, or any other event loop: read without waiting, then wait for the reader's descriptor."""

import threading

import trio

from toroni import Bus, Message, Reader


async def receive(reader: Reader) -> Message:
    """The next message, in trio; with anyio it is `anyio.wait_readable`, with any other loop its own."""
    while (message := reader.recv(timeout=0)) is None:
        await trio.lowlevel.wait_readable(reader)
    return message


async def main() -> None:
    """Two messages that come from elsewhere."""
    with Bus("other-loops") as bus, bus.subscribe("/a") as reader:
        threading.Timer(0.1, bus.post_many, [[("/a", b"hello"), ("/a", b"trio")]]).start()
        for _ in range(2):
            print((await receive(reader)).data.decode())


if __name__ == "__main__":
    trio.run(main)
