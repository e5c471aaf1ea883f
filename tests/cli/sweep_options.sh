#!/usr/bin/env bash
# slao sweep's options on a small random model: a drain and the time limit stop trainings at savepoints, from which they
# go on bit for bit, also after kill -9 and beside damaged ones; shards are collected; failed steps are retried, kept from
# running again, and run again by --only, but not the step of a lost rank; usage errors come once.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # thousands of small files are synced: memory is quick
trap 'rm -rf "$work"' EXIT
seconds=240
. "$SLAO_SOURCE/tests/expect.sh"
same() { [ "$(fingerprint)" = "$wanted" ] || fail "$1: $(fingerprint), not $wanted"; }
savepoints() { find "$1/checkpoints" -type f ! -name '*.tmp' 2>/dev/null | wc -l; }
mpi=(mpirun -n 2 --oversubscribe --bind-to none)

"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 64, "test_samples": 4 },
  "train": { "batch_size": 4, "epochs": 4 },
  "evaluate": { "max_new_tokens": 4, "references": [], "when": "end" },
  "sweep": { "method": ["slao", "seqlora"], "order": [["quiz", "guests"], ["guests", "quiz"]],
             "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2] } }
JSON
expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/whole.h5"
wanted=$(fingerprint)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
[ "$(savepoints "$work/whole.store")" -eq 0 ] || fail "savepoints are left"

echo "== a drain stops trainings at savepoints; --checkpoint-seconds makes them for a kill -9"
wait_for() { for _ in $(seq 3000); do eval "$1" && return 0; sleep 0.02; done; fail "waited in vain: $1"; }
"${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/drained.h5" --checkpoint-seconds 0.02 >"$work/stdout" 2>"$work/stderr" &
pid=$!
wait_for '[ "$(savepoints "$work/drained.store")" -ge 1 ]'
kill -USR1 $pid
code=0
wait $pid || code=$?
[ $code -eq 75 ] || fail "drained: exit code $code, not 75"
[ "$(savepoints "$work/drained.store")" -ge 1 ] || fail "no savepoint is left"
before=$(grep -c '"event":"started"' "$work/drained.store/journal.jsonl")
"${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/drained.h5" --checkpoint-seconds 0.02 >"$work/stdout" 2>"$work/stderr" &
pid=$!
wait_for '[ "$(grep -c "\"event\":\"started\"" "$work/drained.store/journal.jsonl")" -gt '"$before ]"
kill -KILL "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/drained.store/lock")" || fail "the sweep ended too early"
wait $pid && fail "mpirun returned 0 after a kill"
[ "$(savepoints "$work/drained.store")" -ge 1 ] || fail "no savepoint is left by the kill"
expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/drained.h5"
same "after drain and kill"
grep -lq '"resumed_from"' "$work/drained.store/steps/"* || fail "no training went on from a savepoint"
[ "$(savepoints "$work/drained.store")" -eq 0 ] || fail "savepoints are left"
again=$(grep -o '"event":"done".*' "$work/drained.store/journal.jsonl" | grep -o '"key":"[^"]*"' | sort | uniq -d | wc -l)
[ "$again" -eq 0 ] || fail "$again recorded steps ran twice"

echo "== a damaged savepoint is told of and not used"
key=$(basename "$(grep -l '"kind":"finetune"' "$work/drained.store/steps/"* | sed -n 1p)" .json)
rm "$work/drained.store/steps/$key.json"
echo "no savepoint" >"$work/drained.store/checkpoints/$key"
expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/drained.h5"
grep -q "it is not used, and its step begins anew" "$work/stderr" || fail "the damage is not told of"
same "after damage"

echo "== the time limit, of the command and of the batch system: 75, and the same command goes on"
expect 75 "$SLAO" sweep "$work/spec.json" -o "$work/limited.h5" --time-limit 0.0001
grep -q "stopped by the time limit" "$work/stderr" || fail "the time limit is not named"
SLURM_JOB_END_TIME=$(date +%s) expect 75 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/limited.h5"
SLURM_JOB_END_TIME=soon expect 2 "$SLAO" sweep "$work/spec.json" -o "$work/limited.h5"
PBS_WALLTIME=36000 expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/limited.h5" --time-limit 100
same "after time limits"

echo "== shards, each in a store of its own, collected"
for k in 1 2; do
  expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/part-$k.h5" --shard $k/2
  [ "$(fingerprint)" != "$wanted" ] || fail "shard $k ran everything"
done
expect 0 "$SLAO" collect "$work/small.h5" --from "$work/part-1.store" --from "$work/part-2.store"
same "two shards collected"

echo "== two results files over one store, each collected as it was"
expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/first.h5" --store "$work/whole.store"
expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/second.h5" --store "$work/whole.store" --set 'sweep.lambda=[0.3]'
[ "$(fingerprint)" != "$wanted" ] || fail "half of the trials have the fingerprint of all"
expect 0 "$SLAO" collect "$work/first.h5" --from "$work/whole.store"
same "the first of two results files"

echo "== a copy of the model is read in place of the spec's, and collected results know of the spec's alone"
cp -r "$work/model" "$work/copy"
expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/copied.h5" --model-copy "$work/copy"
same "from a copy"
rm -r "$work/copy"
expect 2 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/copied.h5" --model-copy "$work/copy"
grep -q "$work/copy" "$work/stderr" || fail "the missing copy is not named"
expect 0 "$SLAO" collect "$work/copied.h5"
same "from a copy, collected"

echo "== failed steps: retried, kept from running again, run again by --only"
bad=("$SLAO" sweep "$work/spec.json" -o "$work/bad.h5" --set 'sweep.learning_rate=[1e-2, 1e9]' --set train.clip_norm=0 --set train.epochs=1
  --set benchmark.train_samples=16 --set 'sweep.order=[["quiz", "guests"]]')
events() { grep -c "\"event\":\"$1\"" "$work/bad.store/journal.jsonl" || true; }
expect 1 "${bad[@]}" --max-retries 2 --max-fails 1
[ "$(events failed)" -eq 1 ] || fail "--max-fails 1, but $(events failed) failures"
[ "$(events returned)" -ge 2 ] || fail "not retried twice: $(events returned)"
log=$(find "$work/bad.store/logs" -name '*.log')
grep -q "(log: $log)" "$work/stderr" || fail "the log is not named"
[ "$(grep -c 'not finite' "$log")" -eq 3 ] || fail "the log does not tell of three tries: $(cat "$log")"
expect 1 "${bad[@]}"
[ "$(events failed)" -eq 1 ] || fail "failed steps ran again"
grep -q -- "--only failed" "$work/stderr" || fail "no word of --only failed"
expect 0 "${bad[@]}" --only missing
expect 1 "${bad[@]}" --only failed
[ "$(events failed)" -eq 2 ] || fail "--only failed did not run what failed"
tries=${log%.log}.tries # a folder stands for a file that cannot be removed
mkdir "$tries"
expect 4 "${bad[@]}" --only failed
grep -q "cannot remove $tries" "$work/stderr" || fail "tries that stay are not told of"
rmdir "$tries"

echo "== a step that failed and is done since has not failed; --fresh runs all that is asked for, and nothing else"
again=("${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/whole.h5")
done_events() { grep -c '"event":"done"' "$work/whole.store/journal.jsonl"; }
key=$(basename "$(grep -l '"kind":"finetune"' "$work/whole.store/steps/"* | sed -n 1p)" .json)
fail_step() { rm "$work/whole.store/steps/$key.json" && echo "an old failure" >"$work/whole.store/logs/$key.log"; }
fail_step
expect 1 "${again[@]}"
expect 0 "${again[@]}" --only failed
same "after a failure"
grep -q "an old failure" "$work/whole.store/logs/$key.tries" || fail "the failure is forgotten"
printf '{' >"$work/whole.store/steps/$key.json"
expect 0 "${again[@]}"
same "after a failure and a damaged record"
before=$(done_events)
expect 0 "${again[@]}" --fresh --only failed
same "--fresh where nothing failed"
[ "$(done_events)" -eq "$before" ] || fail "--fresh --only failed ran what had not failed"
fail_step
echo "no savepoint" >"$work/whole.store/checkpoints/$key"
expect 0 "${again[@]}" --fresh
same "--fresh after a failure"
[ "$(done_events)" -eq $((before + $(find "$work/whole.store/steps" -name '*.json' | wc -l))) ] || fail "--fresh did not run all"
! grep -q "it is not used" "$work/stderr" || fail "--fresh looked at a savepoint"

echo "== a rank that is lost ends the run, but no step has failed: the same command goes on"
seen() { grep -qs "\"event\":\"$1\".*\"rank\":1" "$work/lost.store/journal.jsonl"; }
SLAO_LEASE_SECONDS=2 timeout -k 2 120 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/lost.h5" >/dev/null 2>"$work/stderr" &
limit=$!
for _ in $(seq 1000); do seen started && break; sleep 0.05; done
parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/lost.store/lock")/stat")
other=$(pgrep -P "$parent" | grep -vwe "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$work/lost.store/lock")")
kill -STOP "$other"
wait $limit && fail "a sweep that lost a rank ended with 0"
kill -KILL "$other" 2>/dev/null || true # where mpirun was ended first
seen returned || fail "the step of the lost rank is not told to run again"
expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" -o "$work/lost.h5"
same "after the loss of a rank"

echo "== usage errors come once, a dry run too"
expect 2 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" --bogus
[ "$(grep -c -- '--bogus' "$work/stderr")" -eq 1 ] || fail "the usage error does not come once"
for wrong in "--shard 3/2" "--shard 1" "--only all" "--time-limit -1" "--checkpoint-seconds x"; do
  # shellcheck disable=SC2086
  expect 2 "$SLAO" sweep "$work/spec.json" $wrong
done
expect 0 "${mpi[@]}" "$SLAO" sweep "$work/spec.json" --dry-run --shard 1/3
[ "$(grep -c '^trials ' "$work/stdout")" -eq 1 ] || fail "the dry run does not come once"
echo "slao sweep: options ok"
