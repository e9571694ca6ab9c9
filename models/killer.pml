/* SIGKILL: at most KILLS of the first VICTIMS processes, at any moment. Included behind all mortal processes. */

#define KILL(i) \
    :: (left > 0 && i < VICTIMS && !killed[i]) -> d_step { killed[i] = true; left-- }

active proctype Killer() {
    byte left = KILLS;

    do
    KILL(0)
    KILL(1)
    KILL(2)
    KILL(3)
    :: break
    od
}
