#!/usr/bin/env bash
# Whole sweeps of a small random model on the quickstart's suite: the same fingerprint for 1, 2, 3 and 5 ranks, without
# mpirun, and after kills and drains; finished steps are kept, shared ones run once; slao collect and slao-analysis
# read what is left. The full disk, the limit on files, the bad output folder and the failing trial give their exit codes.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
. "$SLAO_SOURCE/tests/expect.sh"
ranks() { local n=$1; shift; expect 0 mpirun -n "$n" --oversubscribe --bind-to none "$SLAO" sweep "$@"; }

"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
export SMALL_SUITE=$work/suite
cp -r "$SLAO_SOURCE/experiments/quickstart/suite" "$SMALL_SUITE"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "\${SMALL_SUITE}",
                 "train_samples": 64, "test_samples": 24 },
  "train": { "batch_size": 4, "accumulation": 2 },
  "evaluate": { "max_new_tokens": 8, "references": ["base", "individual"] },
  "sweep": { "method": ["slao", "seqlora", "individual"],
             "order": [["quiz", "guests", "desks"], ["quiz", "desks", "guests"]],
             "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2], "seed": [0, 1] } }
JSON

echo "== 1, 2, 3, 5 ranks and no mpirun: the same results"
expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/alone.h5"
wanted=$(fingerprint)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
for n in 1 2 3 5; do
  ranks "$n" "$work/spec.json" -o "$work/n$n.h5"
  [ "$(fingerprint)" = "$wanted" ] || fail "$n ranks: $(fingerprint), not $wanted"
done
"$python" - "$work/alone.h5" "$work/n3.h5" <<'PY'
import sys

import h5py
import numpy

files = [h5py.File(path) for path in sys.argv[1:3]]
trials, others = (f["trials"][:] for f in files)
timed = {"train_seconds", "eval_seconds", "peak_memory_bytes"}
for name in trials.dtype.names:
    if name not in timed:
        numpy.testing.assert_array_equal(trials[name], others[name], name)
for trial in files[0]["trial"]:
    for name in files[0]["trial"][trial]:
        a, b = (f["trial"][trial][name][()] for f in files)
        ragged = a.dtype == object  # texts, or an array per task
        equal = [repr(x) for x in a] == [repr(x) for x in b] if ragged else a.tobytes() == b.tobytes()
        assert equal, (trial, name)
# 2 orders x 2 seeds x (2 lambdas + seqlora + individual); the first task is shared by all, individual runs too.
assert len(trials) == 16, len(trials)
steps = files[0]["steps"][:]
finetunes = sum(kind == b"finetune" for kind in steps["kind"])
# per seed: 3 alone, and after quiz: guests desks | desks guests, each under two starts
assert finetunes == 2 * (3 + 2 * 4), finetunes
assert len(set(steps["key"])) == len(steps)
PY

echo "== 1 and 2 threads: the same results, also with a micro-batch each and weights in the file"
short=(--set 'sweep.method=["slao"]' --set 'sweep.order=[["quiz","desks"]]' --set 'sweep.seed=[0]' --set evaluate.references=[])
for rows in 0 60; do
  for threads in 1 2; do
    expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/t$threads.$rows.h5" --threads "$threads" "${short[@]}" \
      --set train.micro_tokens=$rows --set "weights=$([ "$threads" = 1 ] && echo fp32 || echo file)"
    fingerprint >"$work/t$threads.$rows"
  done
  cmp "$work/t1.$rows" "$work/t2.$rows" || fail "2 threads change the results"
done
cmp -s "$work/t1.0" "$work/t1.60" && fail "nothing was in micro-batches"
expect 2 "$SLAO" sweep "$work/spec.json" -o "$work/t0.h5" --threads 0
grep -q "the number of threads must be at least 1" "$work/stderr" || fail "no word of the threads"
expect 2 "$SLAO" sweep "$work/spec.json" -o "$work/t0.h5" --threads 1025
grep -q "at most 1024, not 1025" "$work/stderr" || fail "no word of too many threads"

echo "== killed, drained: the same results"
store=$work/torn.store
sweep=(mpirun -n 2 --oversubscribe --bind-to none "$SLAO" sweep "$work/spec.json" -o "$work/torn.h5" --progress none)
mkdir -p "$store/steps" # counted before the sweep makes it
for signal in KILL USR1; do
  "${sweep[@]}" >"$work/stdout" 2>"$work/stderr" &
  pid=$!
  before=$(find "$store/steps" -name '*.json' 2>/dev/null | wc -l)
  for _ in $(seq 200); do
    [ "$(find "$store/steps" -name '*.json' 2>/dev/null | wc -l)" -ge $((before + 5)) ] && break
    sleep 0.02
  done
  if [ $signal = KILL ]; then
    pkill -KILL -f "$work/torn.h5" || fail "the sweep ended before it could be killed"
  else
    kill -$signal $pid || fail "the sweep ended before it could be stopped"
  fi
  code=0
  wait $pid || code=$?
  [ $signal = KILL ] || [ $code -eq 75 ] || fail "$signal: exit code $code, not 75"
done
ranks 2 "$work/spec.json" -o "$work/torn.h5"
[ "$(fingerprint)" = "$wanted" ] || fail "after kills: $(fingerprint), not $wanted"
again=$(grep -o '"event":"done".*' "$store/journal.jsonl" | grep -o '"key":"[^"]*"' | sort | uniq -d | wc -l)
[ "$again" -eq 0 ] || fail "$again recorded steps ran twice"

echo "== a damaged record: its step runs again, and the results are the same"
damaged=$(find "$store/steps" -name '*.json' | sort | sed -n 1p) # head would end sort by a signal
printf '{' >"$damaged"
ranks 2 "$work/spec.json" -o "$work/torn.h5"
grep -q "it runs again" "$work/stderr" || fail "the damaged record is not told of"
[ "$(fingerprint)" = "$wanted" ] || fail "after the damage: $(fingerprint), not $wanted"

echo "== collect makes the same file from the store alone; paths of this machine are not in it"
mkdir "$work/away"
mv "$work/torn.h5" "$work/model" "$SMALL_SUITE" "$work/spec.json" "$work/away"
expect 0 env -u SMALL_SUITE "$SLAO" collect "$work/torn.h5"
[ "$(fingerprint)" = "$wanted" ] || fail "collected: $(fingerprint), not $wanted"
mv "$work/away/model" "$work/away/suite" "$work/away/spec.json" "$work"
"$python" - "$work/torn.h5" "$work/away/torn.h5" <<'PY'
import sys

import h5py

collected, swept = (h5py.File(path) for path in sys.argv[1:])
names = {True: [], False: []}
for file in (collected, swept):
    file.visititems(lambda name, item: names[file is swept].append((name, getattr(item, "shape", None))))
assert names[True] == names[False], set(names[True]) ^ set(names[False])
for name in set(swept.attrs) - {"ranks"}:
    assert collected.attrs[name] == swept.attrs[name], name
for name in ("accuracy", "orders", "steps"):
    assert repr(collected[name][:]) == repr(swept[name][:]), name
spec = collected.attrs["spec"]
assert '"path":"${SMALL_SUITE}"' in spec and "/suite" not in spec, spec
PY

echo "== a store that is full of other sweeps' steps is used; --fresh runs them again"
ranks 2 "$work/spec.json" -o "$work/more.h5" --store "$store" --set 'sweep.lambda=["1/sqrt(i)", 0.3, 0.9]'
done_lines=$(grep -c '"event":"done"' "$store/journal.jsonl")
ranks 2 "$work/spec.json" -o "$work/fresh.h5" --store "$store" --fresh
[ "$(fingerprint)" = "$wanted" ] || fail "fresh: $(fingerprint), not $wanted"
[ "$(grep -c '"event":"done"' "$store/journal.jsonl")" -gt $((done_lines + 50)) ] || fail "--fresh ran little"

echo "== a trial that diverges fails alone: exit 1, the rest is there"
expect 1 "$SLAO" sweep "$work/spec.json" -o "$work/diverging.h5" --set 'sweep.learning_rate=[1e-2, 1e9]' \
  --set 'sweep.seed=[0]' --set train.clip_norm=0
grep -q "not finite" "$work/stderr" || fail "the failure is not explained"
ls "$work"/diverging.store/logs/*.log >/dev/null || fail "no log of the failure"
"$python" - "$work/diverging.h5" <<'PY'
import sys

import h5py

trials = h5py.File(sys.argv[1])["trials"][:]
status = {bool(t["learning_rate"] > 1): set() for t in trials}
for t in trials:
    status[bool(t["learning_rate"] > 1)].add(t["status"])
assert status == {False: {b"done"}, True: {b"failed"}}, status
PY

echo "== an output that cannot be written is refused before anything runs"
expect 2 "$SLAO" sweep "$work/spec.json" -o "$work/model/config.json/out.h5"
expect 2 "$SLAO" sweep "$work/none.json" -o "$work/none.h5"

if [ "$(id -u)" -eq 0 ]; then
  echo "== a full disk: exit 3, finished work kept, and the sweep goes on once there is room"
  mkdir "$work/disk"
  mount -t tmpfs -o size=600k tmpfs "$work/disk"
  mounted=$work/disk
  expect 3 "$SLAO" sweep "$work/spec.json" -o "$work/full.h5" --store "$work/disk/store"
  grep -qi "no space left" "$work/stderr" || fail "the full disk is not named"
  kept=$(find "$work/disk/store/steps" -name '*.json' | wc -l)
  [ "$kept" -gt 0 ] || fail "nothing was kept"
  mount -o remount,size=64m "$work/disk"
  expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/full.h5" --store "$work/disk/store"
  [ "$(fingerprint)" = "$wanted" ] || fail "after the full disk: $(fingerprint), not $wanted"
fi

echo "== a limit on the size of files is a full disk, too: here the results file alone does not come to be"
half=$(($(stat -c %s "$work/alone.h5") / 2)) # too little for MPI's own files: set once those are there
"$SLAO" sweep "$work/spec.json" -o "$work/large.h5" >"$work/stdout" 2>"$work/stderr" &
pid=$!
for _ in $(seq 500); do grep -qs '"event":"done"' "$work/large.store/journal.jsonl" && break; sleep 0.02; done
prlimit --pid $pid --fsize=$half || fail "the sweep ended before it could be limited"
code=0
wait $pid || code=$?
[ $code -eq 3 ] || fail "exit code $code, not 3"
grep -q "cannot write .*: File too large" "$work/stderr" || fail "the limit is not named"
[ ! -e "$work/large.h5" ] || fail "half a results file is left"
expect 0 "$SLAO" sweep "$work/spec.json" -o "$work/large.h5"
[ "$(fingerprint)" = "$wanted" ] || fail "after the limit: $(fingerprint), not $wanted"
done_lines=$(grep -c '"event":"done"' "$work/large.store/journal.jsonl")
[ "$done_lines" -eq "$(find "$work/large.store/steps" -name '*.json' | wc -l)" ] || fail "finished steps ran again"

echo "== the analysis reads it"
PYTHONPATH=$SLAO_SOURCE/analysis "$python" -m slao_analysis all "$work/alone.h5" -o "$work/figures" >/dev/null
[ -s "$work/figures/table.md" ] || fail "no table: $(ls "$work/figures")"
