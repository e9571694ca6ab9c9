/* Claim, copy, publish, check: FORMAT.md "Writing" and "Reading", core/src/writer.cpp and core/src/reader.cpp.

   Writers that never wait for a reader write frames of mixed sizes into a ring of a few cells, and are killed at any step.
   A reader walks headers, skips what it does not want, copies a body, and believes what the claim test lets pass.

   Shown: no torn delivery (torn), no misread header, skipped and padding frames included (misread). Since each frame that
   is passed or delivered is the one that was published at that very position, all readers see one order, each message
   once; what a reader does not see lies between two positions of a loss that it was told. The reader has no
   step that could block, but for having read everything.

   A cell is a byte of the ring, or of a header: 2 to 4 is the header of a message of that many cells, header included; above
   PADDING that of a padding frame. Each cell of a body is the position of the frame's end, which may look like a header. */

#include "shared.pml"

#ifndef CAPACITY
#define CAPACITY 4
#endif
#ifndef LIMIT
#define LIMIT 7 /* no publication begins at this position or behind it */
#endif
#ifndef LARGEST
#define LARGEST 3 /* cells of the largest message */
#endif
#define POSITIONS (LIMIT + CAPACITY + 1)
#define PADDING 32
#define WRITERS 2
#define VICTIMS WRITERS

byte ring[CAPACITY];
byte free_pos, claim_pos, writer_mutex;

byte header_at[POSITIONS]; /* truth: the header of the frame that was published at each position */
hidden byte misread, torn;

#define CELL(position) ring[(position) % CAPACITY]
#define REST(position) (CAPACITY - (position) % CAPACITY)

/* ---- a writer: Writer::publish ---- */

/* place() of core/include/toroni/ring/frame.hpp, and Writer::plan: padding goes first where both span too much. */
inline plan() {
    d_step {
        frame = free_pos + (size <= REST(free_pos) -> 0 : REST(free_pos));
        end = frame + size;
        if
        :: end - free_pos > CAPACITY -> end = frame
        :: else
        fi;
        todo = 0;
        i = 0;
        do /* the cells that are written: both headers, and the message's body */
        :: free_pos + i < end ->
            if
            :: i == 0 || free_pos + i >= frame -> todo = todo | (1 << i)
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* Writer::claim. */
inline claim() {
#ifdef WITHOUT_CLAIM
    skip
#elif defined(CLAIM_LOWERED)
    claim_pos = end
#elif defined(WITHOUT_CLAIM_FENCE)
    claim_is_held_back = true
#else
    claim_pos = LATER(claim_pos, end)
#endif
}

inline publish() {
    d_step {
        i = free_pos;
        do /* truth */
        :: i < end ->
            if
            :: i < frame -> header_at[i] = PADDING + frame - i; i = frame
            :: else -> header_at[i] = size; i = end
            fi
        :: else -> break
        od;
        i = 0;
        free_pos = end
    }
}

/* Copies have no order among themselves: any cell of `todo` is next. */
#define STORE(n) \
    :: (todo >> n & 1) -> d_step { \
        todo = todo & ~(1 << n); \
        if \
        :: begin + n < frame -> CELL(begin + n) = PADDING + frame - begin \
        :: begin + n == frame -> CELL(begin + n) = size \
        :: else -> CELL(begin + n) = frame + size \
        fi }

inline copy() {
    do
    STORE(0)
    STORE(1)
    STORE(2)
    STORE(3)
    :: claim_is_held_back -> d_step { claim_pos = LATER(claim_pos, end); claim_is_held_back = false }
#ifdef WITHOUT_RELEASE
    :: free_pos < end -> publish()
#endif
    :: todo == 0 && !claim_is_held_back -> break
    od
}

active [WRITERS] proctype Writer() {
    byte size, begin, frame, end, todo, i;
    bool claim_is_held_back;
    {
        do
        :: lock(writer_mutex);
            if
            :: free_pos >= LIMIT -> unlock(writer_mutex); break
            :: else
            fi;
            begin = free_pos;
            select(size : 2 .. LARGEST);
            plan();
            claim();
            copy();
            if
            :: free_pos < end -> publish()
            :: else
            fi;
            d_step { size = 0; begin = 0; frame = 0; end = 0; unlock(writer_mutex) }
        od
    } unless {
        d_step {
            killed[_pid] -> release_of_the_dead(writer_mutex);
            size = 0; begin = 0; frame = 0; end = 0; todo = 0; i = 0; claim_is_held_back = false
        }
    }
}

/* ---- a reader: Reader::walk, copy, commit, resume ---- */

/* step() of frame.hpp. A header that leads beyond the loaded free_pos or the ring's end, or nowhere, ends the walk. */
inline walk_one_frame() {
    d_step {
        header = CELL(at);
        length = (header > PADDING -> header - PADDING : header);
        if
        :: header != header_at[at] -> has_misread = true
        :: else
        fi;
        if
        :: length == 0 || length > REST(at) || length > loaded_free_pos - at -> is_damaged = true; length = 0
        :: else
        fi
    }
}

/* Reader::is_overtaken, behind an acquire fence: nothing that was read is read after it. */
#define IS_OVERTAKEN(oldest) (IS_LOST(oldest, claim_pos) || IS_LOST(oldest, free_pos))

#ifdef OWN_POSITION
#define OLDEST at
#else
#define OLDEST position
#endif

/* Loads of a body have no order among themselves. */
#define LOAD(n) \
    :: (todo >> n & 1) -> d_step { \
        todo = todo & ~(1 << n); \
        has_torn = has_torn || CELL(wanted + n) != wanted + length }

active proctype Reader() {
    byte position, at, wanted, header, length, loaded_free_pos, todo;
    bool has_wanted, has_misread, has_torn, is_damaged;

end:
    do
    :: free_pos != position ->
        loaded_free_pos = free_pos;
        at = position;
        if
        :: IS_OVERTAKEN(position) -> goto lost
        :: else
        fi;
        do /* up to the first message that is wanted, the stream end, or the limit of a run */
        :: at == loaded_free_pos -> break
        :: at != position -> break
        :: at != loaded_free_pos ->
            walk_one_frame();
            if
            :: is_damaged -> break
            :: !is_damaged && header < PADDING -> has_wanted = true; wanted = at; break
            :: !is_damaged -> at = at + length /* padding, or not wanted */
            fi
        od;
        if
#ifdef SKIPPED_UNCHECKED
        :: !has_wanted && !is_damaged
        :: (has_wanted || is_damaged) && IS_OVERTAKEN(OLDEST) -> goto lost
        :: (has_wanted || is_damaged) && !IS_OVERTAKEN(OLDEST)
#else
        :: IS_OVERTAKEN(OLDEST) -> goto lost
        :: else
#endif
        fi;
        d_step {
            misread = has_misread || is_damaged;
            assert(!misread)
        }
        if
        :: has_wanted ->
            todo = ((1 << length) - 1) & ~1;
            do
            LOAD(1)
            LOAD(2)
            LOAD(3)
            :: todo == 0 -> break
            od;
#ifndef CHECK_BEFORE_COPY
            if
            :: IS_OVERTAKEN(position) -> goto lost
            :: else
            fi;
#endif
            torn = has_torn;
            assert(!torn);
            at = wanted + length
        :: else
        fi;
        position = at;
        goto next;
lost: /* told: everything from the old position to the new one */
        position = free_pos;
next:
        at = 0;
        d_step {
            wanted = 0; header = 0; length = 0; loaded_free_pos = 0; todo = 0;
            has_wanted = false; has_misread = false; has_torn = false; is_damaged = false
        }
    od
}

#include "killer.pml"
