#!/usr/bin/env bash
# 10,000 dummy trials of two steps each on three ranks: from the 2,000th to the 10,000th the coordinator and the workers
# grow neither in memory nor in open files. All that grows with the plan is allocated before its first step.
set -euo pipefail
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
limit=
trap '[ -z "$limit" ] || kill "$limit" 2>/dev/null && wait || true; rm -rf "$work"' EXIT
. "$SLAO_SOURCE/tests/expect.sh"

# In the coordinator a leak of one block per event (32 bytes, the least that malloc takes, and 32,000 events) is twice this;
# in a worker, which runs about 5,300 steps, one of 100 bytes per step. MPI itself may touch some more of its buffers.
most_kb=512
most_files=8 # a step's file, the lock's heartbeat and the like are open for a moment; a leak of one per step would be thousands
ranks=3 length=2 early=2000 late=10000 after=4000 # `after`: trials that are still to come as the second sample is taken
done_events() { { grep -cs '"event":"done"' "$work/store/journal.jsonl" || echo 0; } | head -n 1; }
sample() { # of each rank: its memory in KB, without the pages of files (of its program) that it has touched, and its open files
  local pid
  for pid in "${pids[@]}"; do
    echo "$(awk '/^Pss_(Anon|Shmem):/ { sum += $2 } END { print sum }' "/proc/$pid/smaps_rollup")" \
      "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
  done
}
wait_for_trials() {
  while [ "$(done_events)" -lt $(($1 * length)) ]; do
    kill -0 "$limit" 2>/dev/null || fail "the sweep ended before trial $1"
    sleep 0.1
  done
}

timeout -k 2 300 mpirun -n $ranks --oversubscribe --bind-to none "$DUMMY_SWEEP" "$work/store" $((late + after)) $length 0 100 none \
  2>"$work/stderr" &
limit=$!
wait_for_trials $early
first=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/store/lock")
parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$first/stat")
read -r -a pids < <(cat "/proc/$parent/task/$parent/children"; echo)
[ ${#pids[@]} -eq $ranks ] || fail "${#pids[@]} ranks run, not $ranks"
sample >"$work/early"
wait_for_trials $late
sample >"$work/late"
[ "$(done_events)" -lt $(((late + after) * length)) ] || fail "the second sample came too late"
wait "$limit" || fail "the sweep ended with $?"
paste -d " " "$work/early" "$work/late" | while read -r memory files memory_late files_late; do
  echo "from $memory to $memory_late KB, from $files to $files_late open files"
  [ $((files_late - files)) -le $most_files ] || fail "open files have become more"
  [ $((memory_late - memory)) -le $most_kb ] || fail "memory has grown by more than $most_kb KB"
done
echo "flat memory: ok"
