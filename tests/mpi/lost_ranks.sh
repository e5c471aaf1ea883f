#!/usr/bin/env bash
# Ranks that are lost. With mpirun --enable-recovery a killed worker's step goes to another rank and the sweep ends by
# itself with exit code 0; a rank that only stood still comes back; the loss of rank 0 ends the job. Without it, and when
# mpirun itself is killed, the job ends. Whatever happens, the rerun finishes and runs nothing twice.
set -euo pipefail
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
export SLAO_LEASE_SECONDS=5
fail() { echo "FAILED: $*" >&2; cat "$work/stderr" >&2; exit 1; }
records() { find "$1/steps" -name '*.json' 2>/dev/null | wc -l; }
done_events() { grep -c '"event":"done"' "$1/journal.jsonl" || true; }
start() { # STORE MPIRUN-OPTIONS: leaves $mpirun, and the processes $first of rank 0 and $other of another one
  store=$work/$1
  shift
  timeout -k 2 120 mpirun "$@" -n 3 --oversubscribe --bind-to none "$DUMMY_SWEEP" "$store" 3 20 0.15 100 2>"$work/stderr" &
  limit=$!
  for _ in $(seq 1200); do [ "$(records "$store")" -ge 9 ] && break; sleep 0.05; done
  [ "$(records "$store")" -ge 9 ] || fail "the sweep does not run"
  first=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$store/lock")
  mpirun=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$first/stat")
  other=$(tr ' ' '\n' <"/proc/$mpirun/task/$mpirun/children" | grep -vwe "$first" -e '^$' | head -n 1)
}
finish() { # the end of what was started, in $code
  code=0
  wait $limit || code=$?
}
rerun() {
  timeout -k 2 60 mpirun -n 2 --oversubscribe --bind-to none "$DUMMY_SWEEP" "$store" 3 20 0.15 100 2>"$work/stderr" ||
    fail "the rerun ended with $?"
  all_once
}
all_once() {
  [ "$(records "$store")" -eq 60 ] || fail "not all steps were run: $(records "$store")"
  twice=$(grep -o '"event":"done".*' "$store/journal.jsonl" | grep -o '"step":[0-9]*' | sort | uniq -d | wc -l)
  [ "$twice" -eq 0 ] || fail "$twice steps ran twice"
}

echo "== recovery: a killed worker's step goes to another rank"
start worker --enable-recovery
kill -KILL "$other"
finish
[ $code -eq 0 ] || fail "exit code $code"
grep -q "the others go on without it" "$work/stderr" || fail "the loss is not told"
grep -q "runs again: its rank is lost" "$work/stderr" || fail "its step is not told"
all_once

echo "== recovery: a rank that stood still comes back"
start still --enable-recovery
kill -STOP "$other"
sleep 6
kill -CONT "$other"
finish
[ $code -eq 0 ] || fail "exit code $code"
[ "$(records "$store")" -eq 60 ] || fail "not all steps were run"

echo "== recovery: the loss of rank 0 ends the job"
start first --enable-recovery
kill -KILL "$first"
finish # mpirun says 0 whatever happens to a rank
[ "$(grep -c "has not heard of rank 0 for 5 s and leaves" "$work/stderr")" -eq 2 ] || fail "the ranks do not leave"
[ "$(records "$store")" -lt 60 ] || fail "the kill came too late"
rerun

for victim in other mpirun; do
  echo "== no recovery: kill -9 of $victim ends the job"
  start "no-$victim"
  kill -KILL "${!victim}"
  finish
  [ $code -ne 0 ] || fail "exit code 0"
  for _ in $(seq 200); do [ -d "/proc/$first" ] || break; sleep 0.1; done
  [ ! -d "/proc/$first" ] || fail "rank 0 lives on"
  rerun
done
echo "lost ranks: ok"
