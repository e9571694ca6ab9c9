"""The end of the demo: the proof, and the closing tables."""

from __future__ import annotations

from collections.abc import Sequence

from toroni.demo import proof
from toroni.demo.crew import Reader
from toroni.demo.display import Display, Row
from toroni.demo.watch import Watch

_MOST_COMPLAINTS = 8


def pronounce(watch: Watch, digests: Sequence[bytes], display: Display) -> bool:
    """Shows the tables and what is proved, or what is wrong; False if anything is."""
    _tables(watch, display)
    complaints = _complaints(watch, proof.Witness(watch.record, watch.files, digests))
    if complaints:
        display.note("FAILED: readers did not see what was sent, or not in the same order.", "bold red")
        for text in complaints[:_MOST_COMPLAINTS]:
            display.note(f"  {text}")
        if len(complaints) > _MOST_COMPLAINTS:
            display.note(f"  and {len(complaints) - _MOST_COMPLAINTS} more")
        return False
    _say_what_is_proved(watch, display)
    return True


def _complaints(watch: Watch, witness: proof.Witness) -> list[str]:
    complaints = proof.complaints_of_witness(witness)
    for child in watch.crew.readers:
        complaints += proof.complaints_of_reader(witness, child.name, child.seen, child.killed)
    statistics = watch.stream.stats()
    if statistics.losses or statistics.overwritten:
        complaints.append(f"the stream says that readers were overtaken {statistics.losses} times")
    if statistics.messages != len(watch.record.journal):
        complaints.append(f"the stream says {statistics.messages} messages, not {len(watch.record.journal)}")
    return complaints


def _say_what_is_proved(watch: Watch, display: Display) -> None:
    record, crew, files = watch.record, watch.crew, watch.files
    *early, late = (child for child in crew.readers if not child.killed)
    dead_writer = next(child.name for child in crew.writers if child.killed)
    dead_reader = next(child.name for child in crew.readers if child.killed)
    names = ", ".join(child.name for child in early)
    lines = (
        f"{names} and the coordinator saw the same {len(record.journal):,} messages in the same order.",
        f"{late.name} saw exactly the last {len(late.seen.journal):,} of them, those from where it joined.",
        f"{files.parcels:,} files arrived ({len(files.files):,} different ones), every byte as on disk.",
        f"what {dead_writer} published before its death is the beginning of its share, and what "
        f"{dead_reader} had seen by then the beginning of the same order.",
        "the two kills did no harm: no message was lost, repeated, torn or out of turn.",
    )
    for line in lines:
        display.note(f"PROVED: {line}", "bold green")


def _tables(watch: Watch, display: Display) -> None:
    rows = []
    for writer in watch.crew.writers:
        traffic = watch.record.writers[writer.job.writer]
        is_new = writer.job.writer > writer.job.shares
        what = f"took over {len(writer.numbers)} files" if is_new else "sent its share"
        seconds = traffic.last_time - traffic.first_time
        rows.append(Row(writer.name, "killed" if writer.killed else what, traffic.messages, traffic.size, seconds))
    display.table("Writers", [], rows)

    joined = watch.crew.readers[-1].seen.joined or 0
    journal = watch.record.journal
    traffics = watch.record.writers.values()
    seconds = max(t.last_time for t in traffics) - min(t.first_time for t in traffics)
    order = proof.order_hash(journal), proof.order_hash(journal, joined)
    size = sum(t.size for t in traffics)
    rows = [Row("coordinator", "read all", len(journal), size, seconds, order)]
    rows += [_row(child, joined) for child in watch.crew.readers]
    display.table("Readers", ["order hash", f"since {watch.crew.readers[-1].name}"], rows)


def _row(child: Reader, joined: int) -> Row:
    seen = child.seen
    whole, since = proof.order_hash(seen.journal), proof.order_hash(seen.journal, joined)
    what, order = "read all", (whole, since)
    if child.killed:
        what, order = "killed", ("", "")
    elif seen.joined:
        what, order = "joined late", ("", since)
    return Row(child.name, what, len(seen.journal), seen.size, seen.seconds, order)
