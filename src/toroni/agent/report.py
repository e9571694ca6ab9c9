"""The commands that print what was counted."""

from __future__ import annotations

from toroni import Statistics, _core, rmp
from toroni.agent.objects import BUS, Counter, Counters
from toroni.agent.options import Flavor, Options

_NS_A_MS = 1e6


def statistics() -> Statistics:
    """The bus's own counters."""
    with rmp.Stream(BUS, notifier="multicast", role="writer") as stream:
        return stream.stats()


def stat(counters: Counters) -> str:
    """All counters, a line each."""
    with rmp.Stream(BUS, notifier="multicast", role="writer") as stream:
        bus, active = stream.stats(), sum(reader.active for reader in stream.readers())
    lines = {
        "Backpressure count": bus.backpressure,
        "Expired reader count": bus.losses,
        "Write notifications count": bus.notifications,
        "Freepos": bus.position,
        "Active readers": active,
        "Sum latency": f"{_ms(counters.get(Counter.LATENCY_NS_SUM)):.5f} (ms)",
        "Sum throughput-first-last-duration": f"{_ms(counters.get(Counter.FIRST_LAST_DURATION_NS_SUM)):.5f} (ms)",
        "Sum writer-duration": f"{_ms(counters.get(Counter.WRITER_DURATION_NS_SUM)):.5f} (ms)",
        "Sum notification": f"{_ms(counters.get(Counter.NOTIFICATION_NS_SUM)):.5f} (ms)",
        "Avg-latency": f"{_latency(counters):.3f} (ms)",
        "Avg-throughput-first-last": f"{_throughput(counters):.3f} (Kmsg/sec)",
        "Readers ready": counters.get(Counter.READERS_READY),
        "Writers ready": counters.get(Counter.WRITERS_READY),
        "Reader runs": counters.get(Counter.READER_RUNS),
        "Received messages": counters.get(Counter.MSG_COUNT),
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def result(options: Options, counters: Counters) -> str:
    """The flavor's figure, and more of them if the environment asks for it."""
    figure = _latency(counters) if options.flavor is Flavor.LATENCY else _throughput(counters)
    return f"{figure:.3f}{_extended(options, counters) if options.extended_result else ''}"


def layout() -> str:
    """The offset of every field, an object after the other."""
    lines = []
    for name, fields in _core._layout():
        lines += [name, *(f"{field} {offset}" for field, offset in fields)]
    return "\n".join(lines)


def _extended(options: Options, counters: Counters) -> str:
    bus = statistics()
    each = options.iterations
    write_ms = _ms(counters.get(Counter.WRITER_DURATION_NS_SUM)) / options.writers / each
    notify_ms = _divide(_ms(counters.get(Counter.NOTIFICATION_NS_SUM)), bus.notifications)
    figures = {
        "WT": write_ms,
        "WW": write_ms - notify_ms,
        "WN": notify_ms,
        "E": bus.losses / each,
        "N": bus.notifications / options.writers / each,
        "B": bus.backpressure / each,
        "R": counters.get(Counter.READER_RUNS) / options.readers / each,
    }
    return "".join(f"_{name}={value:.3f}" for name, value in figures.items())


def _throughput(counters: Counters) -> float:
    """Thousand messages a second and reader."""
    seconds = counters.get(Counter.FIRST_LAST_DURATION_NS_SUM) / 1e9
    return _divide(counters.get(Counter.MSG_COUNT) / 1000, seconds)


def _latency(counters: Counters) -> float:
    """Milliseconds a message."""
    return _divide(_ms(counters.get(Counter.LATENCY_NS_SUM)), counters.get(Counter.MSG_COUNT))


def _ms(nanoseconds: int) -> float:
    return nanoseconds / _NS_A_MS


def _divide(a: float, b: float) -> float:
    """As C does it: nothing by nothing is not a number, and is printed as one."""
    if b != 0:
        return a / b
    return float("inf") if a > 0 else float("nan")
