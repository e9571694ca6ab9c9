"""One producer and many consumers in an asyncio program: each consumer sees every message, in one order."""

import asyncio

from toroni import Bus

CONSUMERS = 5
MESSAGES = 1000


async def consume(bus: Bus, name: str, ready: asyncio.Event) -> list[int]:
    """Reads until told to stop; subscribing is complete before anybody is told that we are ready."""
    with bus.subscribe("/numbers", "/stop", label=name) as reader:
        ready.set()
        numbers: list[int] = []
        async for message in reader:
            if message.topic == "/stop":
                break
            numbers.append(int(message.data))
        return numbers


async def main() -> None:
    """Starts the consumers, feeds them, and compares what they saw."""
    async with Bus("fan-out") as bus:
        events = [asyncio.Event() for _ in range(CONSUMERS)]
        tasks = [asyncio.create_task(consume(bus, f"consumer {i}", event)) for i, event in enumerate(events)]
        await asyncio.gather(*(event.wait() for event in events))
        async with bus.async_writer() as writer:  # never blocks the loop, however slow the consumers are
            for number in range(MESSAGES):
                writer.post("/numbers", b"%d" % number)
            writer.post("/stop")
        results = await asyncio.gather(*tasks)
    assert all(numbers == list(range(MESSAGES)) for numbers in results)
    print(f"{CONSUMERS} consumers saw the same {MESSAGES} messages")


if __name__ == "__main__":
    asyncio.run(main())
