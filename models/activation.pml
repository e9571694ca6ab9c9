/* Slots, room, and the memory of the slowest reader: FORMAT.md "Activating" and "The writer's memory of the slowest
   reader", Slot::activate and Slot::taken of core/src/slots.cpp, core/include/toroni/ring/slowest_reader.hpp and
   slot_table.hpp, Writer::plan of core/src/writer.cpp.

   Readers compete for one slot, start "now", read on, publish their position late, close or are killed. Writers
   respect whoever holds the slot, each with its own memory of the last look. A position is a count of units.

   A reader that starts in the past looks on until whoever is publishing is done, and is told if it was overtaken by then
   (Reader::start_at_oldest). One that starts now looks at free_pos again until it is where its slot says. One second look is
   not enough (TRIES=1): if more than a capacity was published since the first, a writer ignores the slot as overtaken, and may
   publish twice more before the better position is stored. The core gives up after 1000 looks, and then reports a loss.

   Shown: from the moment on that a reader has started until it ends, no writer that respects it announces more than a
   capacity beyond it (overtaken), so that it loses nothing. No deadlock. */

#include "shared.pml"

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef LIMIT
#define LIMIT 7 /* no publication begins at this position or behind it */
#endif
#ifndef TRIES
#define TRIES 4 /* looks of an activation: as many as can fail before the stream ends */
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef LIVES
#define LIVES 1 /* how often each reader opens and closes */
#endif
#define VICTIMS (WRITERS + READERS)

byte writer_mutex, slot_mutex;
byte stream_end; /* free_pos, as writers see it under their mutex */
byte free_pos;   /* as readers see it */
byte claim_pos;
byte slot_position, activation_seq;
bool slot_is_active;

/* truth: the reader in the slot has started, and where it stands; at most one has, as there is one slot */
bool has_started;
byte true_position;
hidden byte overtaken;

inline check(horizon) {
    overtaken = has_started && IS_LOST(true_position, horizon);
    assert(!overtaken)
}

/* ---- a writer: Writer::publish and SlowestReader::has_room ---- */

#ifdef MEMORY_WITHOUT_SEQUENCE
#define IS_REMEMBERED true
#else
#define IS_REMEMBERED (sequence == activation_seq)
#endif

/* SlowestReader::scan, counts_for_backpressure, room_end_of. */
inline scan() {
#ifndef SEQUENCE_AFTER_SCAN
    sequence = activation_seq;
#endif
    counts = slot_is_active;
    counts = counts && slot_mutex != NOBODY; /* a dead reader holds nobody back */
    d_step {
        is_known = true;
        room_end = stream_end + CAPACITY;
        if
        :: counts && (slot_position > stream_end || IS_LOST(slot_position, LATER(claim_pos, stream_end))) ->
            is_known = false /* who seems overtaken may have a better position, which it is about to publish */
        :: counts && !(slot_position > stream_end || IS_LOST(slot_position, LATER(claim_pos, stream_end))) ->
            room_end = EARLIER(room_end, slot_position + CAPACITY)
        :: else
        fi;
        counts = false
    }
#ifdef SEQUENCE_AFTER_SCAN
    sequence = activation_seq;
#endif
}

active [WRITERS] proctype Writer() {
    byte size, room_end, sequence;
    bool is_known, counts;
    {
        do
        :: stream_end < LIMIT ->
            atomic {
                lock(writer_mutex);
#ifndef WITHOUT_WRITER_FENCE
                free_pos = stream_end; /* seq_cst fence behind the lock: what was stored before is seen by now */
#endif
                select(size : 1 .. CAPACITY)
            }
            if
            :: is_known && stream_end + size <= room_end && IS_REMEMBERED
            :: else -> scan()
            fi;
            if
            :: stream_end + size <= room_end ->
                d_step { claim_pos = LATER(claim_pos, stream_end + size); check(claim_pos) }
                d_step { free_pos = stream_end; stream_end = stream_end + size } /* the store is held back: Memory */
            :: else
            fi;
            d_step { size = 0; unlock(writer_mutex) }
        :: stream_end >= LIMIT -> break
        od
    } unless {
        d_step {
            killed[_pid] -> release_of_the_dead(writer_mutex);
            size = 0; room_end = 0; sequence = 0; is_known = false; counts = false
        }
    }
}

/* ---- a reader ---- */

/* A position, is_active and activation_seq, in this order; then a seq_cst fence. */
inline store_activation() {
#ifdef SEQUENCE_BEFORE_ACTIVE
    activation_seq++;
    slot_position = position;
    slot_is_active = true
#else
    slot_position = position;
    slot_is_active = true;
    activation_seq++
#endif
}

active [READERS] proctype Reader() {
    byte position, seen, tries, left = LIVES, holder;
    bool starts_now;
    {
        do
        :: left > 0 ->
            left--;
            lock(slot_mutex); /* free, or a dead owner's: Slot::taken */
            slot_is_active = false;
            if
            :: seen = free_pos; starts_now = true
            :: d_step { seen = (free_pos > 1 -> free_pos - 1 : 0); starts_now = false } /* in the past */
            :: d_step { seen = (free_pos > CAPACITY -> free_pos - CAPACITY : 0); starts_now = false }
            fi;
            do /* Slot::activate */
            :: position = seen;
#ifdef WITHOUT_READER_FENCE /* the stores are seen after the load behind them */
                if
                :: starts_now -> seen = free_pos
                :: else
                fi;
                store_activation();
#else
                store_activation();
                if
                :: starts_now -> seen = free_pos
                :: else
                fi;
#endif
                tries++;
                if
#ifdef WITHOUT_SECOND_LOOK
                :: true -> seen = position; break
#else
                :: seen == position || tries == TRIES -> break
                :: else
#endif
                fi
            od;
            slot_position = seen;
            d_step { tries = 0; position = seen }
#ifndef WITHOUT_SETTLE
            if
            :: !starts_now -> /* Slot::settle: until whoever is publishing is done */
                holder = writer_mutex;
                seen = free_pos;
                (holder == NOBODY || writer_mutex != holder || free_pos != seen)
            :: else
            fi;
#endif
            seen = position;
            d_step {
                holder = NOBODY;
                if /* Reader::is_overtaken: then it is told, and starts again */
                :: !starts_now && IS_LOST(position, claim_pos)
                :: else -> has_started = true; true_position = position; check(claim_pos)
                fi
            }
            do /* reading: stream.pml */
            :: has_started && position < free_pos -> d_step { position++; true_position = position; seen = position }
            :: slot_position != position -> slot_position = position
            :: break
            od;
            has_started = false;
            d_step { slot_is_active = false; true_position = 0; position = 0; seen = 0; starts_now = false }
            unlock(slot_mutex)
        :: left == 0 -> break
        od
    } unless {
        d_step {
            killed[_pid] ->
            if
            :: slot_mutex == ME -> has_started = false; true_position = 0
            :: else
            fi;
            release_of_the_dead(slot_mutex);
            position = 0; seen = 0; tries = 0; left = 0; holder = 0; starts_now = false
        }
    }
}

active proctype Memory() {
end:
    do
    :: free_pos != stream_end -> free_pos = stream_end
    od
}

#include "killer.pml"
