#!/bin/bash
# Agents of any implementation in any role: every flavor, and as many messages received as sent.
#
#     tests/agents.sh [WRITERS [READERS]]                                    # ours everywhere, 3 and 3
#     TORONI_AGENT_READER=path/of/the/c++/agent tests/agents.sh              # theirs reads
#
# TORONI_AGENT_READER, TORONI_AGENT_WRITER and TORONI_AGENT_DEFAULT (everything else) are commands. Exit status 0: all is well.
# It uses the bus "burst", like all agents: one run at a time on a machine.
set -euo pipefail

writers=${1:-3} readers=${2:-3}
default=${TORONI_AGENT_DEFAULT:-toroni-agent}
reader=${TORONI_AGENT_READER:-$default}
writer=${TORONI_AGENT_WRITER:-$default}

set_options() {  # NAME=value ..., and nothing else
    for variable in $(compgen -e TORONI_AGENT_ | grep -vE '_(DEFAULT|READER|WRITER)$'); do unset "$variable"; done
    for option in "$@"; do export "TORONI_AGENT_$option"; done
}

begin() {  # with other sizes than before
    $default unlink
    set_options "$@"
    $default init
}

finish() {
    local status=$?
    kill $(jobs -p) 2>/dev/null || true
    $default unlink
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

wait_for_all() {
    for pid in "$@"; do wait "$pid"; done
}

# Readers, then writers, then what they say of it. $1: the title, $2: messages a writer.
run() {
    local pids=() status=0
    for ((i = 0; i < TORONI_AGENT_ITERATIONS; ++i)); do
        pids=()
        for ((r = 0; r < TORONI_AGENT_READERS; ++r)); do $reader read & pids+=($!); done
        $default waitreaders
        for ((w = 0; w < TORONI_AGENT_WRITERS; ++w)); do $writer write & pids+=($!); done
        wait_for_all "${pids[@]}"
        $default resetiter
    done
    echo "$1: $($default result)"
    $default expired || status=$?
    if ((status != 0)); then echo "$status readers expired"; exit 1; fi
    $default cmprcved $(($2 * TORONI_AGENT_WRITERS * TORONI_AGENT_READERS * TORONI_AGENT_ITERATIONS)) || {
        echo "not all messages were received"; $default stat; exit 1
    }
}

crowd=(READERS_MAX="$readers" READERS="$readers" WRITERS="$writers" EXTRESULT=1)

begin "${crowd[@]}" ITERATIONS=3 MESSAGES_PER_WRITER=20000
run "throughput, thousand messages a second" 20000

begin "${crowd[@]}" ITERATIONS=3 MESSAGES_PER_WRITER=10 TEST_FLAVOR=LATENCY
run "latency, ms" 10

# Many times the ring: writers meet slow readers, and wait for them.
sleep_ms=${AGENTS_SLEEP_MS:-50} messages=${AGENTS_MESSAGES:-2000}
begin "${crowd[@]}" ITERATIONS=1 MESSAGES_PER_WRITER="$messages" MESSAGE_SIZE_BYTES=500 RINGBUF_SIZE_KB=64 \
    BACKPRESSURE_SLEEP_MS="$sleep_ms"
run "a 64 KB ring, thousand messages a second" "$messages"

# A writer dies with the mutex, in front of a reader that never gets beyond its first message.
robust=(READERS_MAX=16 READERS=1 WRITERS=1 MESSAGES_PER_WRITER=2 ITERATIONS=1)
begin "${robust[@]}" TEST_FLAVOR=ROBUST_WRITER RINGBUF_SIZE_KB=1 MESSAGE_SIZE_BYTES=1000
$reader read & blocked=$!
$default waitreaders
$writer write
{ kill -KILL $blocked; wait $blocked; } 2>/dev/null || true  # without the shell's word on it
$default cmprcved 0
$default resetiter
set_options "${robust[@]}" TEST_FLAVOR=LATENCY RINGBUF_SIZE_KB=1
run "after a writer that died, ms" 2

# A reader dies with the only slot.
robust=("${robust[@]/READERS_MAX=*/READERS_MAX=1}")
begin "${robust[@]}" TEST_FLAVOR=ROBUST_READER
$reader read
$default cmprcved 0
$default resetiter
set_options "${robust[@]}" TEST_FLAVOR=LATENCY
run "after a reader that died, ms" 2
