/* Where frames start: FORMAT.md "landmarks", core/include/toroni/ring/landmarks.hpp, core/src/landmarks.cpp, Writer::publish of
   core/src/writer.cpp.

   Writers publish one frame or two at once, and are killed at any step. Bodies look like headers. A reader that begins in the
   past takes the oldest landmark from which a walk of headers lands exactly on free_pos.

   Shown: it begins where a frame was published (not_a_frame). As long as no writer was killed, each part of the ring has
   the first frame that starts there as its landmark (forgotten).

   Cells as in stream.pml: 2 and 3 are headers of messages of that size, above PADDING those of padding. */

#include "shared.pml"

#ifndef CAPACITY
#define CAPACITY 8
#endif
#define SECTOR (CAPACITY / 2) /* cells of a part of the ring that has a landmark */
#define SECTORS 2
#ifndef LIMIT
#define LIMIT 9 /* no publication begins at this position or behind it */
#endif
#define POSITIONS (LIMIT + CAPACITY + 1)
#define PADDING 32
#define WRITERS 2
#define VICTIMS WRITERS

byte ring[CAPACITY];
byte free_pos, claim_pos, writer_mutex;
byte landmarks[SECTORS];

byte header_at[POSITIONS]; /* truth: the header of the frame that was published at each position */
hidden byte not_a_frame, forgotten;

#define CELL(position) ring[(position) % CAPACITY]
#define REST(position) (CAPACITY - (position) % CAPACITY)

/* ---- a writer ---- */

/* The frames of a publication: padding, one message or two of `size` and `second`, as far as they fit into one. */
inline plan() {
    d_step {
        frame = free_pos + (size <= REST(free_pos) -> 0 : REST(free_pos));
        end = frame + size;
        if
        :: end - free_pos > CAPACITY -> end = frame; second = 0
        :: end - free_pos <= CAPACITY && (second > REST(end) || end + second - free_pos > CAPACITY) -> second = 0
        :: else
        fi;
        end = end + second;
        i = free_pos
    }
}

/* What belongs into the cell of position `i`. */
#define CONTENT \
    (i == free_pos && frame > i -> PADDING + frame - i : \
    (i == frame -> size : \
    (second != 0 && i == end - second -> second : body)))

inline copy() {
    do
    :: i < end ->
        d_step {
            if
            :: i == free_pos || i >= frame -> CELL(i) = CONTENT
            :: else
            fi;
            i++
        }
    :: else -> break
    od
}

inline publish() {
    d_step {
        if
        :: frame > free_pos -> header_at[free_pos] = PADDING + frame - free_pos
        :: else
        fi;
        if
        :: end > frame -> header_at[frame] = size
        :: else
        fi;
        if
        :: second != 0 -> header_at[end - second] = second
        :: else
        fi;
        free_pos = end
    }
}

/* Landmarks::store: who came first in this lap stays. */
#ifdef LAST_KEPT
#define IS_OF_THIS_LAP(known, at) false
#else
#define IS_OF_THIS_LAP(known, at) ((known) >= PART(at) && (known) < (at))
#endif
#define PART(position) ((position) / SECTOR * SECTOR)
#define LANDMARK(position) landmarks[(position) % CAPACITY / SECTOR]

inline store_landmark(position) {
    d_step {
        if
        :: !IS_OF_THIS_LAP(LANDMARK(position), position) -> LANDMARK(position) = position
        :: else
        fi
    }
}

inline store_landmarks() {
    if
    :: end > frame -> store_landmark(frame)
    :: else
    fi;
    if
    :: second != 0 -> store_landmark(end - second)
    :: else
    fi
}

/* truth: no message that is not lost starts before the landmark of its part of the ring, unless that is of the next lap */
inline check_landmarks() {
    i = (free_pos > CAPACITY -> free_pos - CAPACITY : 0);
    do
    :: i < free_pos ->
        if
        :: header_at[i] != 0 && header_at[i] < PADDING ->
            forgotten = LANDMARK(i) < PART(i) || (LANDMARK(i) > i && LANDMARK(i) < PART(i) + CAPACITY);
            assert(!forgotten)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

active [WRITERS] proctype Writer() {
    byte size, second, body, frame, end, i;
    {
        do
        :: lock(writer_mutex);
            if
            :: free_pos >= LIMIT -> unlock(writer_mutex); break
            :: else
            fi;
            atomic {
                select(size : 2 .. 3);
                select(body : 2 .. 3);
                if
                :: second = 0
                :: second = 2
                fi;
                plan()
            }
            claim_pos = LATER(claim_pos, end);
            copy();
#ifdef LANDMARKS_BEFORE_PUBLICATION
            store_landmarks();
            publish();
#else
            publish();
            store_landmarks();
#endif
            d_step {
                if
                :: !killed[0] && !killed[1] -> check_landmarks()
                :: else
                fi;
                size = 0; second = 0; body = 0; frame = 0; end = 0; i = 0; unlock(writer_mutex)
            }
        od
    } unless {
        d_step {
            killed[_pid] -> release_of_the_dead(writer_mutex);
            size = 0; second = 0; body = 0; frame = 0; end = 0; i = 0
        }
    }
}

/* ---- a reader: find_oldest and leads_to_end ---- */

#define IS_UNUSABLE(candidate) ((candidate) >= end || IS_LOST(candidate, end))

active proctype Reader() {
    byte end, at, header, k, candidates[SECTORS + 1];

    end = free_pos;
    candidates[0] = (end <= CAPACITY -> 0 : end); /* the first lap begins with a frame */
    candidates[1] = landmarks[0];
    candidates[2] = landmarks[1];
    d_step { /* unusable ones go, the oldest comes first */
        do
        :: k <= SECTORS ->
            if
            :: IS_UNUSABLE(candidates[k]) -> candidates[k] = end
            :: else
            fi;
            k++
        :: else -> break
        od;
        if
        :: candidates[1] > candidates[2] -> k = candidates[1]; candidates[1] = candidates[2]; candidates[2] = k
        :: else
        fi;
        if
        :: candidates[0] > candidates[1] -> k = candidates[0]; candidates[0] = candidates[1]; candidates[1] = k
        :: else
        fi;
        if
        :: candidates[1] > candidates[2] -> k = candidates[1]; candidates[1] = candidates[2]; candidates[2] = k
        :: else
        fi;
        k = 0
    }
    do
    :: k <= SECTORS && candidates[k] < end ->
        end = free_pos;
        at = candidates[k];
        if
        :: IS_LOST(at, end) -> at = POSITIONS
        :: else
        fi;
        do
        :: at < end ->
            d_step {
                header = CELL(at);
                header = (header > PADDING -> header - PADDING : header);
                if
                :: header == 0 || header > REST(at) || header > end - at -> at = POSITIONS /* leads nowhere */
                :: else -> at = at + header
                fi
            }
        :: else -> break
        od;
        if
        :: at == end && !IS_LOST(candidates[k], LATER(claim_pos, free_pos)) ->
            not_a_frame = header_at[candidates[k]] == 0;
            assert(!not_a_frame);
            break
        :: else -> k++
        fi
    :: else -> break
    od
}

#include "killer.pml"
