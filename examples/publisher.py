"""Posts the time of day, ten times a second."""

import time

from toroni import Bus

with Bus("clock") as bus:
    while True:
        bus.post("/time", time.strftime("%H:%M:%S").encode())
        time.sleep(0.1)
