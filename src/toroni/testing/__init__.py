"""Testing code that uses a bus: buses of a test's own, removed afterwards whatever happens.

    from toroni.testing import temporary_bus

    with temporary_bus(capacity="64 KiB") as bus:
        worker(bus.name)  # the code under test opens it by its name

`toroni.testing.plugin` has the same as pytest fixtures. `python -m toroni.testing.chaos` kills, stops, forks and
replaces the processes of a bus at random, and checks what each of them wrote and read.
"""

from toroni.testing._buses import BusLeftWarning, remove, temporary_bus, temporary_name, unused_name

__all__ = ["BusLeftWarning", "remove", "temporary_bus", "temporary_name", "unused_name"]
