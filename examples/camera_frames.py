"""NumPy camera frames from one process to another: one copy in, none out."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event

import numpy as np

from toroni import Bus, MessagesLost, Wait

HEIGHT, WIDTH = 480, 640
FRAMES = 100


def camera(bus: Bus, ready: Event) -> None:
    """Posts frames, each with its number as brightness; waits for the viewer if it is slow."""
    ready.wait()
    for number in range(FRAMES):
        frame = np.full((HEIGHT, WIDTH, 3), number, dtype=np.uint8)
        bus.post("/camera/front", frame, backpressure=Wait(10))


def mean_brightness(bus: Bus, ready: Event) -> list[float]:
    """Looks at the frames where they lie in the ring."""
    means: list[float] = []
    with bus.subscribe("/camera", descendants=True) as reader:
        ready.set()
        while len(means) < FRAMES:
            try:
                with reader.borrow() as message:
                    frame = np.frombuffer(message.data, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
                    mean = float(frame.mean())
                    del frame  # views end before the message does
                means.append(mean)  # only now: a frame that was overwritten meanwhile is a MessagesLost
            except MessagesLost as lost:
                print(f"too slow: {lost}")
    return means


def main() -> None:
    """A camera in a process of its own, the viewer in this one."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    with Bus("camera", capacity="8 MiB") as bus:
        process = spawn.Process(target=camera, args=(bus, ready))
        process.start()
        means = mean_brightness(bus, ready)
        process.join()
    assert means == [float(number) for number in range(FRAMES)]
    print(f"{FRAMES} frames of {HEIGHT}x{WIDTH}x3 bytes, brightness {means[0]:.0f} to {means[-1]:.0f}")


if __name__ == "__main__":
    main()
