"""A hundred sensors post to a hundred topics; each dashboard takes the part of the tree that it shows."""

import struct
import time

from toroni import Bus, Message

MACHINES = 10
SENSORS = 10
ROUNDS = 50
sample = struct.Struct("<dd")  # seconds, value


def main() -> None:
    """Everything in one process, for brevity; any part may run in another."""
    with Bus("telemetry") as bus, bus.subscribe(label="dashboard") as dashboard:
        latest: dict[str, float] = {}
        alarms: list[str] = []

        @dashboard.on("/plant/machine3", descendants=True)
        def show(message: Message) -> None:
            latest[message.topic] = sample.unpack(message.data)[1]

        @dashboard.on("/plant", descendants=True)
        def watch(message: Message) -> None:
            if sample.unpack(message.data)[1] > 99:
                alarms.append(message.topic)

        for round_number in range(ROUNDS):
            now = time.time()
            bus.post_many(
                (f"/plant/machine{machine}/sensor{sensor}", sample.pack(now, machine * sensor + round_number / 2))
                for machine in range(MACHINES)
                for sensor in range(SENSORS)
            )
            dashboard.dispatch()  # never waits: for anybody's main loop
        print(f"{len(latest)} values of machine 3; {len(alarms)} alarms, the first from {alarms[0]}")
        print(f"{bus.stats().messages} messages, {dashboard.lost} bytes lost")


if __name__ == "__main__":
    main()
