"""What a mutant is: the core with one fault, that a kill at the right instruction shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WRITER = "core/src/writer.cpp"
KEEPER = "core/src/keeper.cpp"
SLOTS = "core/src/slots.cpp"
TALLY = "core/include/toroni/ring/tally.hpp"

PUBLISH = "    header.free_pos.store(plan.end, std::memory_order_release);"
CLAIM = "    claim(free_pos, plan.end);\n"
STORE_LANDMARKS = "        landmarks.store(*extension);\n"
LINK = "    static_cast<void>(segment.link(paths_of(options.directory, options.name).ring));\n"


@dataclass
class Mutant:
    """`changes` are pairs of what stands in the file now, once, and what the mutant has instead; `operation` is the one
    of the sweep that is to show it.
    """

    name: str
    operation: str
    file: str
    changes: list[tuple[str, str]]

    def of(self, source: Path) -> str:
        """The file's text, mutated."""
        text = (source / self.file).read_text()
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.name}: {self.file} no longer has, or has more than once:\n{old}"
            text = text.replace(old, new)
        return text


MUTANTS = [
    Mutant("published before it is copied", "post_many", WRITER, [(CLAIM, CLAIM + PUBLISH + "\n")]),
    Mutant("never claimed", "post over a slow reader", WRITER, [(CLAIM, "    base::fence::seq_cst();\n")]),
    Mutant(
        "claimed after it is copied",
        "post over a slow reader",
        WRITER,
        [(CLAIM, "    base::fence::seq_cst();\n"), (PUBLISH, CLAIM + PUBLISH)],
    ),
    Mutant(
        "the claim is lowered",
        "post after a dead writer",
        WRITER,
        [
            (
                "        if (base::distance(free_pos, claimed) >= base::distance(free_pos, end)) return;",
                "        if (claimed == end) return;",
            )
        ],
    ),
    Mutant(
        "each message of a publication published alone",
        "post_many",
        WRITER,
        [
            (
                "        at += static_cast<std::uint64_t>(end - frame);\n",
                "        at += static_cast<std::uint64_t>(end - frame);\n"
                "        memory_->ring().free_pos.store(at, std::memory_order_release);\n",
            )
        ],
    ),
    Mutant(
        "landmarks before publication",
        "post_many",
        WRITER,
        [
            (STORE_LANDMARKS, ""),
            (PUBLISH, f"    if (extension != nullptr) {STORE_LANDMARKS.strip()}\n{PUBLISH}"),
        ],
    ),
    Mutant(
        "a dead owner's mutex not made consistent",
        "post_many",
        "core/include/toroni/os/robust_mutex.hpp",
        [("pthread_mutex_consistent(&mutex);", "static_cast<void>(mutex);")],
    ),
    Mutant(
        "one count record instead of two",
        "post_many",
        TALLY,
        [("counts[before.next]", "counts[0]")],
    ),
    Mutant(
        "what the dead did not count is not counted",
        "post_many",
        TALLY,
        [
            (
                "        if (const auto counted = continued(memory, *newest, free_pos, budget)) "
                "return {*counted, next};",
                "        if (budget != 0) return {*newest, next};",
            )
        ],
    ),
    Mutant(
        "a slot locked without a pending operation",
        "become a reader: keeper",
        KEEPER,
        [("    begin_operation(node(slot));\n    // acquire", "    // acquire")],
    ),
    Mutant(
        "a slot unlocked without a pending operation",
        "close: keeper",
        KEEPER,
        [("    begin_operation(node(slot));\n    const bool linked", "    const bool linked")],
    ),
    Mutant("a slot's lock not in the list", "sleep and wake", KEEPER, [("        head.list.next = node(slot);\n", "")]),
    Mutant("the waiting bit of the dead stays", "sleep and wake", SLOTS, [("    self.clear_waiting();\n", "")]),
    Mutant(
        "the dead are woken",
        "sleep and wake",
        WRITER,
        [(" && is_alive(*memory_, index) && !is_woken(index)) return true;", " && !is_woken(index)) return true;")],
    ),
    Mutant(
        "the dead hold writers back",
        "sleep and wake",
        "core/include/toroni/ring/slot_table.hpp",
        [("!= 0 && is_alive(memory, index);", "!= 0;")],
    ),
    Mutant(
        "a ring has its name before its contents",
        "make the bus",
        "core/src/segments.cpp",
        [
            (
                "    auto* header = new (segment.data()) base::RingHeader{};\n",
                LINK + "    auto* header = new (segment.data()) base::RingHeader{};\n",
            )
        ],
    ),
    Mutant(
        "a reader info without a ring stays",
        "make the bus",
        "core/src/memory.cpp",
        [("        remove_file(paths.reader_info);\n        throw Error", "        throw Error")],
    ),
]
