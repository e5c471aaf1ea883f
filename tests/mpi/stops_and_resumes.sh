#!/usr/bin/env bash
# A sweep of dummy steps that is drained, killed, and runs out of disk: nothing finished is lost, nothing is run
# twice, the exit codes are those of the contract, and the same command goes on.
set -euo pipefail

work=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
mpirun=(timeout -k 2 60 mpirun -n 3 --oversubscribe --bind-to none)

fail() { echo "FAILED: $*" >&2; cat "$work/stderr" >&2; exit 1; }
records() { find "$1/steps" -name '*.json' 2>/dev/null | wc -l; }
done_events() { grep -c '"event":"done"' "$1/journal.jsonl" || true; }
wait_for_records() { # STORE NUMBER
  for _ in $(seq 1200); do
    [ "$(records "$1")" -ge "$2" ] && return 0
    sleep 0.05
  done
  fail "no $2 records after a minute"
}
expect() { # CODE COMMAND...: the exit code, with stderr in $work/stderr
  local wanted=$1 code=0
  shift
  "$@" 2>"$work/stderr" || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted: $*"
}

echo "== USR1 to mpirun drains; the same command goes on"
sweep=("$DUMMY_SWEEP" "$work/drained" 3 20 0.15 100)
code=0
mpirun -n 3 --oversubscribe --bind-to none "${sweep[@]}" 2>"$work/stderr" &
pid=$!
wait_for_records "$work/drained" 9
kill -USR1 $pid
wait $pid || code=$?
[ $code -eq 75 ] || fail "drained with exit code $code, not 75"
[ "$(grep -c 'the same command goes on' "$work/stderr")" -eq 1 ] || fail "the advice is not there once"
[ ! -e "$work/drained/lock" ] || fail "the lock is still there"
before=$(records "$work/drained")
[ "$before" -lt 60 ] || fail "the drain came too late"
[ "$(done_events "$work/drained")" -eq "$before" ] || fail "journal and records differ"
expect 0 "${mpirun[@]}" "${sweep[@]}"
[ "$(records "$work/drained")" -eq 60 ] || fail "not all steps were run"
[ "$(grep -o '"event":"done".*' "$work/drained/journal.jsonl" | grep -o '"step":[0-9]*' | sort -u | wc -l)" -eq 60 ] ||
  fail "the journal lacks steps"
[ "$(done_events "$work/drained")" -eq 60 ] || fail "steps were run twice"
expect 0 "${mpirun[@]}" "${sweep[@]}"
[ "$(done_events "$work/drained")" -eq 60 ] || fail "a finished sweep ran again"

for signal in TERM INT; do
  echo "== $signal drains a sweep without mpirun"
  code=0
  # env: a shell's background commands ignore INT
  timeout -k 2 60 env --default-signal=INT "$DUMMY_SWEEP" "$work/$signal" 1 40 0.15 100 2>"$work/stderr" &
  pid=$!
  wait_for_records "$work/$signal" 3
  kill -$signal "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/$signal/lock")"
  wait $pid || code=$?
  [ $code -eq 75 ] || fail "exit code $code, not 75"
done

echo "== USR1 to an idle rank other than the first drains all"
mpirun -n 3 --oversubscribe --bind-to none "$DUMMY_SWEEP" "$work/idle" 1 60 0.15 100 2>"$work/stderr" &
pid=$!
wait_for_records "$work/idle" 3
first=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/idle/lock")
other=$(tr " " "\n" <"/proc/$pid/task/$pid/children" | grep -vwe "$first" -e "^$" | head -n 1)
kill -USR1 "$other"
code=0
wait $pid || code=$?
[ $code -eq 75 ] || fail "exit code $code, not 75"

echo "== kill -9 of all ranks loses nothing that is finished"
sweep=("$DUMMY_SWEEP" "$work/killed" 3 20 0.15 100)
"${mpirun[@]}" "${sweep[@]}" 2>"$work/stderr" &
pid=$!
wait_for_records "$work/killed" 9
kill -9 "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/killed/lock")"
code=0
wait $pid || code=$?
[ $code -eq 137 ] || fail "mpirun returned $code, not 137"
[ -e "$work/killed/lock" ] || fail "there is no lock to take over"
before=$(records "$work/killed")
expect 0 "${mpirun[@]}" "${sweep[@]}"
grep -q 'taking over' "$work/stderr" || fail "the lock was not taken over"
[ "$(records "$work/killed")" -eq 60 ] || fail "not all steps were run"
[ "$(grep -c '^slao: \[' "$work/stderr")" -eq $((60 - before)) ] || fail "finished steps ran again"

echo "== a second sweep in the same store is refused, once for all ranks"
"$DUMMY_SWEEP" "$work/held" 1 40 0.15 100 2>/dev/null &
pid=$!
wait_for_records "$work/held" 1
expect 2 "${mpirun[@]}" "$DUMMY_SWEEP" "$work/held" 1 40 0.15 100
[ "$(grep -c 'the store is in use by process' "$work/stderr")" -eq 1 ] || fail "the refusal is not there once"
kill $pid
wait $pid && fail "not drained"

echo "== a full disk ends the sweep with code 3 and keeps what is finished"
mkdir "$work/disk"
if mount -t tmpfs -o size=1m tmpfs "$work/disk" 2>/dev/null; then
  mounted=$work/disk
  sweep=("$DUMMY_SWEEP" "$work/disk/store" 3 10 0.01 60000)
  expect 3 "${mpirun[@]}" "${sweep[@]}"
  before=$(records "$work/disk/store")
  [ "$before" -gt 5 ] && [ "$before" -lt 30 ] || fail "$before records on a full disk"
  [ -z "$(find "$work/disk/store/steps" -name '*.tmp')" ] || fail "half-written files are left"
  mount -o remount,size=8m "$work/disk"
  expect 0 "${mpirun[@]}" "${sweep[@]}"
  [ "$(records "$work/disk/store")" -eq 30 ] || fail "not all steps were run"
else
  echo "   (left out: it takes root to mount a small disk; test_store has what can be tested without)"
fi
echo "all good"
