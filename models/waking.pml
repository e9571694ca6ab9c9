/* Sleeping and waking: FORMAT.md "Sleeping and waking readers", Writer::somebody_waits and wake_by_futex of
   core/src/writer.cpp, Reader::set_waiting and has_news of core/src/reader.cpp, FutexListener::sleep of
   bindings/notifier.cpp, wait_for_news of bindings/blocking.hpp.

   Writers publish, look at the readers' waiting bits, and wake; readers read to the stream end, and sleep. Any of them may be
   killed at any step.

   Not in it: sequences that wrap around (core/tests/test_notifier.cpp has those), and the thread that sleeps for event loops.

   Shown: no lost wake-up. What a writer published that lived to announce it (`announced`) never waits for the look that a
   sleeper takes once a second (needed_the_look); with that look, not even what a killed writer published stays unread
   (left_unread). No deadlock, a killed writer's mutex included.

   The look once a second happens only when nothing else in the system can happen ("timeout"): whatever could be
   done without it has been done by then. */

#include "shared.pml"

#ifndef MESSAGES
#define MESSAGES 2 /* of each writer */
#endif
#define WRITERS 2
#ifndef READERS
#define READERS 1
#endif
#define VICTIMS (WRITERS + READERS)
#define READER (_pid - WRITERS)

byte writer_mutex;
byte stream_end;          /* free_pos, as writers see it under their mutex */
byte free_pos;            /* as readers see it */
byte wake_seq;            /* the futex word */
byte woken_seq;           /* who sleeps on one before it has been woken */
byte sleep_seq[READERS];  /* what each sleeps on */
bool waiting[READERS];    /* the bitmap of the -ri extension */
bool holds_slot[READERS]; /* the slot's lock word names a living thread */
bool asleep[READERS];     /* in the kernel, on wake_seq */

byte announced; /* truth: the stream end that a writer had announced, or found nobody to announce it to */
hidden byte needed_the_look, left_unread;


active [WRITERS] proctype Writer() {
    byte left = MESSAGES, mine, i, slept, raised;
    bool somebody_waits;
    {
        do
        :: left > 0 ->
            lock(writer_mutex);
            d_step { stream_end++; mine = stream_end; left-- } /* free_pos is stored, and held back: Memory */
            unlock(writer_mutex);
#ifndef WITHOUT_WRITER_FENCE
            free_pos = LATER(free_pos, mine); /* seq_cst fence */
#endif
            do /* Writer::somebody_waits: the dead keep their bits */
            :: d_step { i < READERS && !waiting[i] -> i++ }
            :: i < READERS && waiting[i] ->
#ifdef BITS_TAKEN /* so that other writers would not wake the same readers again */
                waiting[i] = false;
#endif
                slept = sleep_seq[i];
                d_step { /* Writer::is_woken */
                    somebody_waits = somebody_waits || (holds_slot[i] && !(slept < woken_seq && woken_seq <= wake_seq));
                    slept = 0; i++
                }
            :: i == READERS -> break
            od;
            if
            :: somebody_waits ->
#ifndef WITHOUT_SEQUENCE
                d_step { wake_seq++; raised = wake_seq }
#endif
#ifdef WOKEN_BEFORE_THE_CALL
                woken_seq = raised;
#endif
                d_step { /* FUTEX_WAKE */
                    i = 0;
                    do
                    :: i < READERS -> asleep[i] = false; i++
                    :: else -> break
                    od
                };
                woken_seq = raised
            :: else
            fi;
            d_step { raised = 0; announced = LATER(announced, mine); somebody_waits = false; mine = 0; i = 0 }
        :: left == 0 -> break
        od
    } unless {
        d_step {
            killed[_pid] -> release_of_the_dead(writer_mutex);
            left = 0; mine = 0; i = 0; somebody_waits = false; slept = 0; raised = 0
        }
    }
}

inline set_bit() {
    waiting[READER] = true
}
inline read_sequence() {
    sequence = wake_seq;
#ifndef SLEEP_UNNOTED
    sleep_seq[READER] = sequence
#endif
}
inline look() {
    has_news = free_pos != position
}

active [READERS] proctype Reader() {
    byte position, sequence;
    bool has_news;
    holds_slot[READER] = true;
    {
        do
        :: position = free_pos; /* all is read: stream.pml */
            /* FutexListener::sleep */
#ifdef BIT_AFTER_LOOK /* as if no fence came between the two */
            read_sequence();
            look();
            set_bit();
#elif defined(SEQUENCE_AFTER_LOOK)
            set_bit();
            look();
            read_sequence();
#else
            read_sequence();
            set_bit();
            look();
#endif
#ifdef SEQUENCE_READ_AGAIN
            sequence = wake_seq;
#endif
            if
            :: has_news
            :: else ->
                d_step { asleep[READER] = wake_seq == sequence } /* FUTEX_WAIT */
                if
                :: !asleep[READER]
                :: timeout -> /* a second has passed */
                    d_step {
                        needed_the_look = position < announced;
                        assert(!needed_the_look)
#ifdef WITHOUT_LOOK_AGAIN
                        left_unread = position != free_pos;
                        assert(!left_unread)
#endif
                    }
                    asleep[READER] = false;
                    if
                    :: position == free_pos -> break /* nothing will ever come */
                    :: else
                    fi
                fi
            fi;
            d_step { waiting[READER] = false; sequence = 0; has_news = false }
        od
    } unless {
        d_step {
            killed[_pid] -> holds_slot[READER] = false; asleep[READER] = false;
            position = 0; sequence = 0; has_news = false
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
