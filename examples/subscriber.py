"""Prints whatever is posted to the clock's bus."""

from toroni import Bus

with Bus("clock") as bus, bus.subscribe("/", descendants=True) as reader:
    for message in reader:
        print(message.position, message.topic, message.data.decode(), flush=True)
