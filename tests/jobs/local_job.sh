#!/usr/bin/env bash
# jobs/local.sh: Ctrl-C stops a sweep at savepoints (75) and the same command goes on; it goes on by itself after the ranks
# are killed, but not when nothing gets done; wrong input ends with 2, and failed trials with 1.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../small_sweep.sh
. "$(dirname "${BASH_SOURCE[0]}")/../small_sweep.sh"
ranks=$(lscpu -p=CORE | grep -v '^#' | sort -u | wc -l) # cores of this machine, not hardware threads
"$jobs/local.sh" spec.json -o results/all.h5 --time-limit 0.0001 >local.log 2>&1 && fail "no time limit"
last_line local.log | grep -q "all: STOPPED on request" || fail "--time-limit: $(last_line local.log)"
grep -q ": $ranks ranks on " local.log || fail "not a rank on each of $ranks cores: $(head -n 1 local.log)"
export SLAO_RANKS=2
set -m # each job below is a process group of its own, as on a terminal

run() { # CODE ARGUMENTS...: in local.log
  local code=0
  "$jobs/local.sh" "${@:2}" >local.log 2>&1 || code=$?
  [ $code -eq "$1" ] || fail "exit code $code, not $1: local.sh ${*:2}"
}
run 0 spec.json
wanted=$(fingerprint results/small.h5)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
last_line local.log | grep -q "small: done: steps 26 of 26; fingerprint $wanted; results/small.h5$" || fail "the last line"

echo "== Ctrl-C"
"$jobs/local.sh" spec.json -o results/stopped.h5 >local.log 2>&1 &
script=$!
wait_until 180 records_reach stopped 2
[ "$(awk '{ print $19 }' "/proc/$(ranks_of stopped | cut -d' ' -f1)/stat")" -eq 10 ] || fail "the ranks are not nice"
kill -INT -$script
code=0
wait $script || code=$?
[ $code -eq 75 ] || fail "after Ctrl-C: exit code $code, not 75"
last_line local.log | grep -q "stopped: STOPPED on request" || fail "the last line"
run 0 spec.json -o results/stopped.h5
[ "$(fingerprint results/stopped.h5)" = "$wanted" ] || fail "stopped: $(fingerprint results/stopped.h5), not $wanted"
[ "$(ran_twice stopped)" -eq 0 ] || fail "$(ran_twice stopped) steps ran twice"

echo "== a rank is killed, as for memory"
"$jobs/local.sh" spec.json -o results/killed.h5 >local.log 2>&1 &
script=$!
wait_until 180 records_reach killed 2
kill -KILL "$(ranks_of killed | cut -d' ' -f2)"
wait $script || fail "after the kill: exit code $?"
grep -q "killed: back into the queue (1 of at most 20 times): it was cut off" local.log || fail "the kill is not told"
[ "$(fingerprint results/killed.h5)" = "$wanted" ] || fail "killed: $(fingerprint results/killed.h5), not $wanted"

echo "== what is of no use is not tried again"
# shellcheck disable=SC2016
printf '#!/bin/sh\n[ "$1" = plan ] && exec "%s" "$@"\nkill -KILL $$\n' "$SLAO" >broken
chmod +x broken
SLAO=$work/broken run 75 spec.json -o results/broken.h5
last_line local.log | grep -q "broken: STOPPED: it was cut off (exit code 137), and got nothing done" || fail "the last line"
run 2 spec.json --set train.epochs=-1 -o results/wrong.h5
run 2 none.json
run 1 spec.json --set 'sweep.learning_rate=[1e-2, 1e9]' --set train.clip_norm=0 -o results/bad.h5
last_line local.log | grep -q "bad: FAILED: [1-9][0-9]* of 12 trials; .* results/bad.store/logs; --only failed" || fail "the last line"
echo "local.sh: ok"
