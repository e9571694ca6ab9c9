/* What the models have in common: robust mutexes, SIGKILL at any step, and how memory order is written down.

   A step of a process is one access to shared memory; d_step joins what the protocol needs no more than one access for,
   and what only the proof looks at ("truth": variables that no process of the real thing could read).

   A process is killed between any two of its steps. The kernel then marks the robust mutexes that it held
   (core/include/toroni/os/robust_mutex.hpp, lock_word.hpp): for whoever looks, an owner-died mutex is one that nobody
   holds, hence NOBODY.

   Memory order. Spin executes steps in the order in which they are written, and all see them at once. What a processor or
   compiler may do beyond that is written out where the protocol relies on a fence or an order:
     - stores that nothing orders are taken from a set, in any order;
     - a store that no fence separates from later loads is held back: the others see it at any later time. */

#define NOBODY 0
#define ME (_pid + 1)

#ifndef KILLS
#define KILLS 1
#endif

#define MORTALS 4 /* the processes that are declared first can be killed */
bool killed[MORTALS];

inline lock(mutex) {
    d_step {
        mutex == NOBODY -> mutex = ME
    }
}

inline unlock(mutex) {
    mutex = NOBODY
}

/* The kernel's part of a death: part of the last thing that the dying process does. */
inline release_of_the_dead(mutex) {
    if
    :: mutex == ME -> mutex = NOBODY
    :: else
    fi
}

#define EARLIER(a, b) ((a) < (b) -> (a) : (b))
#define LATER(a, b) ((a) > (b) -> (a) : (b))

/* base::is_lost of core/include/toroni/base/position.hpp. */
#define IS_LOST(position, horizon) ((horizon) > (position) + CAPACITY)
