/* Waiting for room: FORMAT.md "Waiting for room", core/include/toroni/ring/room.hpp, BlockingWrite of
   bindings/blocking.hpp, Reader::make_room and set_waiting of core/src/reader.cpp, Slot::announce_room of core/src/slots.cpp.

   Writers that never overwrite write to readers that read all there is, then sleep. Any of them may be killed at any step: a
   reader that is in the way, who holds the turn (room_mutex), who holds the writer mutex.

   Shown: no lost wake-up. A waiting writer needs the look that it takes every 20 ms (the end of a slice) only for room that a
   reader's death made, which raises no sequence (needed_the_slice); when it has looked, there is room (waits_in_vain).
   While a writer waits in turn, each other one publishes once at most, namely what it had begun before (starved). No
   deadlock, and nobody is left behind in a futex or a mutex.

   The end of a slice comes only when nothing else in the system can happen ("timeout"). Positions are units of an eighth of
   the ring or more. */

#include "shared.pml"

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef MESSAGES
#define MESSAGES 2 /* of each writer; those of the first are as large as the ring */
#endif
#define WRITERS 2
#ifndef READERS
#define READERS 1
#endif
#define VICTIMS (WRITERS + READERS)
#define READER (_pid - WRITERS)
#ifndef STEP
#define STEP 1 /* units that a reader moves before it tells a waiting writer: an eighth of the ring */
#endif

byte writer_mutex, room_mutex;
byte room_word;                /* room_mutex, as readers see it */
byte free_pos;
byte space_seq;                /* the futex word */
byte stored_position[MORTALS]; /* in the slot */
byte slot_position[MORTALS];   /* as writers see it */
bool holds_slot[READERS];
bool is_asleep;                /* who has the turn, in the kernel, on space_seq */
byte writers_left = WRITERS;

byte true_position[READERS]; /* truth; of a dead reader what it had told the writers */
byte passed;                 /* truth: publications by others since the turn was taken */
hidden byte needed_the_slice, waits_in_vain, starved;

#ifdef WITHOUT_LOOK_AT_DEATHS
#define COUNTS(r) true
#else
#define COUNTS(r) holds_slot[r]
#endif

/* SlowestReader::scan: for each reader in turn; here at once, as a reader only ever makes room. */
inline scan() {
    d_step {
        has_room = true;
        i = 0;
        do
        :: i < READERS ->
            has_room = has_room && !(COUNTS(i) && free_pos + size > slot_position[i] + CAPACITY);
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* truth: whether there would be room if the dead still counted */
inline would_have_been_told() {
    needed_the_slice = true;
    i = 0;
    do
    :: i < READERS ->
        needed_the_slice = needed_the_slice && free_pos + size <= true_position[i] + CAPACITY;
        i++
    :: else -> break
    od;
    i = 0
}

inline leave_room() {
    if
    :: room_mutex == ME -> d_step { passed = 0; unlock(room_mutex) }
    :: else
    fi
}

active [WRITERS] proctype Writer() {
    byte left = MESSAGES, size, sequence, i;
    bool has_room;
    {
        do
        :: left > 0 ->
            size = (_pid == 0 -> CAPACITY : 1);
again:
#ifndef WITHOUT_QUEUE
            if /* BlockingWrite::run: behind who waits already */
            :: room_mutex != NOBODY && room_mutex != ME -> lock(room_mutex)
            :: else
            fi;
#endif
            if
            :: room_mutex == ME -> /* Room::sequence */
#ifndef WITHOUT_WRITER_FENCE
                room_word = room_mutex; /* seq_cst fence */
#endif
                sequence = space_seq
            :: else
            fi;
            lock(writer_mutex);
            scan();
            if
            :: has_room ->
                d_step {
                    free_pos = free_pos + size;
                    if
                    :: room_mutex != NOBODY && room_mutex != ME ->
                        passed++;
                        starved = passed >= WRITERS;
                        assert(!starved)
                    :: else
                    fi;
                    left--; size = 0; sequence = 0; has_room = false
                }
                unlock(writer_mutex);
                leave_room()
            :: else ->
                unlock(writer_mutex);
                if
                :: room_mutex != ME -> lock(room_mutex) /* then look again */
                :: else ->
                    d_step { is_asleep = space_seq == sequence } /* FUTEX_WAIT */
                    if
                    :: !is_asleep
#ifndef WITHOUT_SLICES
                    :: timeout -> /* 20 ms have passed */
                        d_step {
                            is_asleep = false;
                            would_have_been_told();
                            assert(!needed_the_slice);
                            scan();
                            waits_in_vain = !has_room;
                            assert(!waits_in_vain)
                        }
#endif
                    fi
                fi;
                goto again
            fi
        :: left == 0 -> break
        od
    } unless {
        d_step {
            killed[_pid] ->
            if
            :: room_mutex == ME -> passed = 0; is_asleep = false
            :: else
            fi;
            release_of_the_dead(writer_mutex);
#ifndef WITHOUT_ROBUST_TURN
            release_of_the_dead(room_mutex);
#endif
            left = 0; size = 0; sequence = 0; i = 0; has_room = false
        }
    };
    writers_left--
}

/* Slot::publish. The store is held back: Memory. */
inline publish_position() {
    stored_position[READER] = position
}

/* Slot::announce_room. */
inline announce_room() {
#ifndef WITHOUT_READER_FENCE
    slot_position[READER] = stored_position[READER]; /* seq_cst fence */
#endif
    if
    :: room_word != NOBODY ->
#ifndef WITHOUT_SEQUENCE
        space_seq++;
#endif
        is_asleep = false /* FUTEX_WAKE */
    :: else
    fi
}

active [READERS] proctype Reader() {
    byte position, announced;
    bool writer_waits;
    holds_slot[READER] = true;
    {
        do
        :: position < free_pos -> /* Reader::advance, make_room */
            d_step { position++; true_position[READER] = position }
            writer_waits = room_word != NOBODY; /* without a fence */
            if
            :: position == free_pos || writer_waits || free_pos - stored_position[READER] > CAPACITY / 2 ->
                publish_position()
            :: else
            fi;
            if
            :: position - announced >= STEP || (position == free_pos && writer_waits) ->
                announce_room();
                d_step { announced = position; writer_waits = false }
            :: else -> writer_waits = false
            fi
        :: position == free_pos -> /* Reader::set_waiting */
            publish_position();
            announce_room();
            announced = position;
            if
            :: position < free_pos
            :: position == free_pos && writers_left == 0 -> break
            fi
        od
    } unless {
        d_step {
            killed[_pid] -> holds_slot[READER] = false; true_position[READER] = announced;
            position = 0; announced = 0; writer_waits = false
        }
    }
}

/* Whatever is held back is seen at last. */
#define SEEN(r) \
    :: (r < READERS && slot_position[r] != stored_position[r]) -> slot_position[r] = stored_position[r]

active proctype Memory() {
end:
    do
    SEEN(0)
    SEEN(1)
    :: room_word != room_mutex -> room_word = room_mutex
    od
}

#include "killer.pml"
