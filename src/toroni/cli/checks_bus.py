"""What `toroni doctor BUS` looks at on an open bus; it changes nothing there."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from toroni import Bus, Multicast, ReaderInfo
from toroni.cli import processes
from toroni.cli.attached import files_of
from toroni.cli.findings import Finding, ok, problem, warning
from toroni.cli.multicast import why_no_multicast

_FAR_BEHIND_PERCENT = 50
_LONG_SECONDS = 1.0  # for which nobody holds the writer mutex
# A reader that nobody woke looks by itself once a second.
_ASLEEP_SECONDS = 1.5
_LOOK_EVERY_SECONDS = 0.02
_MOST_NAMED = 5


def maker(bus: Bus) -> Finding:
    """Which implementation made it, and when."""
    statistics = bus.stats()
    if statistics.is_foreign:
        return ok("made by a C++ or Java process, open to such; what their writers leave at their death may be torn")
    text = "made by Toroni for Python"
    try:
        made = datetime.datetime.fromtimestamp(statistics.created or 0)
    except (ValueError, OverflowError, OSError):
        return ok(text)  # a time that cannot be: somebody scribbled on it
    return ok(f"{text} at {made.isoformat(' ', 'seconds')}")


def name(bus: Bus) -> Finding:
    """Whether everybody who uses this name has the same bus."""
    if bus.stats().is_unlinked:
        text = "removed meanwhile: who has it open goes on, who opens the name now makes another one"
        return warning(text, "start all its processes anew")
    others = processes.users_of_removed(map(str, files_of(bus.name)))
    if others:
        numbers = ", ".join(map(str, others))
        text = f"other processes use an earlier bus of this name, which was removed: pid {numbers}"
        return warning(text, "start them anew; nothing that is posted here reaches them")
    return ok("nobody is seen to use an earlier bus of this name")


def writers(bus: Bus) -> Finding:
    """Whether the writer mutex is held by a process that does not go on."""
    before = bus.stats()
    holder = before.lock_holder
    if not holder:
        return ok("nobody holds the writer mutex at the moment")
    who = f"pid {holder}"
    if program := processes.program_of(holder):
        who += f" ({program})"
    end = time.monotonic() + _LONG_SECONDS
    while time.monotonic() < end:
        is_stopped = processes.is_stopped(holder)
        now = bus.stats()
        if (now.lock_holder, now.position) != (holder, before.position):
            return ok(f"{who} held the writer mutex, and went on")
        if is_stopped:
            text = f"{who} is stopped and holds the writer mutex: nobody else can post"
            return problem(text, f"kill -CONT {holder} lets it go on; kill -KILL {holder} ends it, and frees the mutex")
        time.sleep(_LOOK_EVERY_SECONDS)
    text = f"{who} has held the writer mutex for more than {_LONG_SECONDS:.0f} s: nobody else can post"
    return warning(text, f"look what it does; kill -KILL {holder} ends it, and frees the mutex")


def slots(bus: Bus) -> Finding:
    """Whether another reader finds one."""
    most = bus.stats().max_readers
    taken = len(_live(bus))
    text = f"{taken} of {most} reader slots are taken"
    if taken < most:
        return ok(text)
    return warning(text, "close readers; or remove the bus, and make it with more (max_readers=)")


def dead_readers(bus: Bus) -> Finding:
    """Of whom the kernel has recorded that they died."""
    dead = [one for one in bus.readers() if not one.alive]
    if not dead:
        return ok("no reader died without closing")
    return ok(f"died without closing: {_named(dead)}; harmless: they hold nobody up, and the next reader has the slot")


def stopped_readers(bus: Bus) -> Finding:
    """Who will hold up writers as soon as the ring is full."""
    stopped = [one for one in _live(bus) if one.active and _is_stopped(one)]
    if not stopped:
        return ok("no reader is stopped")
    numbers = " ".join(str(one.pid) for one in stopped)
    text = f"stopped by a signal or a debugger: {_named(stopped, _with_lag)}"
    return warning(text, f"kill -CONT {numbers} lets it go on; kill -KILL {numbers} ends it, and it holds up nobody")


def slow_readers(bus: Bus) -> Finding:
    """Who holds up writers, or soon will."""
    running = [one for one in _live(bus) if one.active and not _is_stopped(one)]
    far = [one for one in running if one.lag_percent >= _FAR_BEHIND_PERCENT]
    if far:
        remedy = "let it read faster, make the bus with a larger capacity, or choose what writers do (backpressure=)"
        return warning(f"far behind: {_named(far, _with_lag)}", remedy)
    if not running:
        return ok("nobody reads at the moment")
    return ok(f"no reader is far behind, the slowest {max(one.lag_percent for one in running):.0f} % of the ring")


def sleeping_readers(bus: Bus) -> Finding:
    """Who sleeps although there is something for it, longer than anybody would who looks once a second."""
    end = time.monotonic() + _ASLEEP_SECONDS
    asleep = _asleep(bus)
    while asleep and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_SECONDS)
        now = _asleep(bus)
        asleep = {slot: one for slot, one in asleep.items() if slot in now and now[slot].position == one.position}
    if not asleep:
        return ok("nobody sleeps while there is something to read")
    text = f"not woken although there is something to read: {_named(list(asleep.values()), _with_lag)}"
    return warning(text, "look whether writers use the same notifier and network; start that reader anew")


def notifier(bus: Bus) -> Finding:
    """Whether what wakes readers reaches them."""
    how = bus.notifier
    if not isinstance(how, Multicast):
        custom = "; that of an application, which cannot be tried here" if how == "custom" else ""
        return ok(f"readers are woken by '{how}'{custom}")
    where = f"multicast to {how.group}, port {how.port}, through {how.interface}"
    if why := why_no_multicast(how):
        return problem(f"readers are woken by {where}, which does not work here: {why[0]}", why[1])
    ours = processes.network_namespace_of("self")
    apart = [
        one
        for one in _live(bus)
        if processes.is_same(one) and (theirs := processes.network_namespace_of(one.pid)) and theirs != ours
    ]
    if apart:
        text = f"in another network namespace than this process, so that multicast does not reach it: {_named(apart)}"
        remedy = "share the network namespace (docker run --network=container:NAME), or use the default notifier"
        return warning(text, remedy)
    return ok(f"readers are woken by {where}, which works here")


def _live(bus: Bus) -> list[ReaderInfo]:
    return [one for one in bus.readers() if one.alive]


def _asleep(bus: Bus) -> dict[int, ReaderInfo]:
    return {one.slot: one for one in _live(bus) if one.waiting and one.lag and not _is_stopped(one)}


def _is_stopped(reader: ReaderInfo) -> bool:
    return processes.is_same(reader) and processes.is_stopped(reader.pid)


def _named(readers: list[ReaderInfo], describe: Callable[[ReaderInfo], str] = processes.described) -> str:
    more = f" and {len(readers) - _MOST_NAMED} more" if len(readers) > _MOST_NAMED else ""
    return ", ".join(map(describe, readers[:_MOST_NAMED])) + more


def _with_lag(reader: ReaderInfo) -> str:
    return f"{processes.described(reader)}, {reader.lag_percent:.0f} % of the ring behind"


CHECKS: dict[str, Callable[[Bus], Finding]] = {
    "maker": maker,
    "name": name,
    "writers": writers,
    "slots": slots,
    "dead-readers": dead_readers,
    "stopped-readers": stopped_readers,
    "slow-readers": slow_readers,
    "sleeping-readers": sleeping_readers,
    "notifier": notifier,
}
