#!/usr/bin/env bash
# Groups of ranks (ranks_per_trial): the same results for any number of groups and after a resume with another number
# of ranks; a group of one is no group; the losses of two ranks are those of one; too few ranks are refused, and those
# that are left over stay idle; a rank that is killed ends the job, which then goes on.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$SLAO_SOURCE/tests/expect.sh"
same() { [ "$(fingerprint)" = "$1" ] || fail "$2: $(fingerprint), not $1"; }
mpi() { local n=$1; shift; echo mpirun -n "$n" --oversubscribe --bind-to none "$SLAO" sweep "$@" --progress none; }

"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "groups", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 33, "test_samples": 40 },
  "train": { "batch_size": 5, "accumulation": 2 },
  "evaluate": { "max_new_tokens": 4, "tasks": "seen", "references": ["base"] },
  "sweep": { "method": ["slao", "seqlora"],
             "order": [["quiz", "guests"], ["desks", "guests"]], "lambda": [0.3],
             "learning_rate": [1e-2], "seed": [0] } }
JSON
spec=$work/spec.json
pair=(--set ranks_per_trial=2)

echo "== groups of one: as without groups"
expect 0 "$SLAO" sweep "$spec" -o "$work/alone.h5" --progress none
alone=$(fingerprint)
[ ${#alone} -eq 32 ] || fail "no fingerprint"
expect 0 $(mpi 2 "$spec" -o "$work/ones.h5") --set ranks_per_trial=1
same "$alone" "two groups of one"

echo "== groups of two: 2, 3 and 4 ranks"
expect 0 $(mpi 2 "$spec" -o "$work/pair.h5") "${pair[@]}"
two=$(fingerprint)
expect 0 $(mpi 3 "$spec" -o "$work/pair3.h5") "${pair[@]}"
same "$two" "3 ranks"
grep -q "1 of 3 ranks stay idle: ranks_per_trial is 2" "$work/stderr" || fail "nothing is said of the idle rank"
expect 0 $(mpi 4 "$spec" -o "$work/pairs.h5") "${pair[@]}"
same "$two" "4 ranks"

echo "== stopped with 2 ranks in its first training, killed with 4, gone on with 6"
store=$work/torn.store
long=("${pair[@]}" --set train.epochs=4) # nearly all of it is left when the stop comes
expect 0 $(mpi 2 "$spec" -o "$work/long.h5") "${long[@]}"
longer=$(fingerprint)
started() { grep -c '"event":"started"' "$store/journal.jsonl" 2>/dev/null || true; }
wait_for() { for _ in $(seq 3000); do eval "$1" && return 0; sleep 0.02; done; fail "waited in vain: $1"; }
for n in 2 4; do
  before=$(started)
  $(mpi "$n" "$spec" -o "$work/torn.h5") "${long[@]}" --checkpoint-seconds 0 >"$work/stdout" 2>"$work/stderr" &
  pid=$!
  wait_for '[ "$(started)" -gt "${before:-0}" ] && [ -n "$(find "$store/checkpoints" -type f ! -name "*.tmp")" ]'
  if [ "$n" = 4 ]; then # the last member of the last group
    for candidate in $(pgrep -P "$pid"); do
      [ "$(tr '\0' '\n' <"/proc/$candidate/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p')" != 3 ] || victim=$candidate
    done
    kill -KILL "$victim" || fail "the sweep ended before its rank could be killed"
    wanted=137
  else
    kill -USR1 "$pid" || fail "the sweep ended before it could be stopped"
    wanted=75
  fi
  code=0
  wait "$pid" || code=$?
  [ $code -eq $wanted ] || fail "exit code $code, not $wanted"
done
expect 0 $(mpi 6 "$spec" -o "$work/torn.h5") "${long[@]}"
same "$longer" "after a stop, a kill and with another number of ranks"
grep -lq '"resumed_from"' "$store/steps/"* || fail "no training went on from a savepoint"
again=$(grep -o '"event":"done".*' "$store/journal.jsonl" | grep -o '"key":"[^"]*"' | sort | uniq -d | wc -l)
[ "$again" -eq 0 ] || fail "$again recorded steps ran twice"

echo "== the losses of two ranks are those of one; scores that need no training are the same"
"$python" - "$work/alone.h5" "$work/pair.h5" <<'PY'
import sys

import h5py
import numpy

one, two = (h5py.File(path)["trial"] for path in sys.argv[1:3])
assert set(one) == set(two) and len(one) == 4, (set(one), set(two))
largest = 0
for trial in one:
    for a, b in zip(one[trial]["loss"][()], two[trial]["loss"][()], strict=True):
        largest = max(largest, numpy.max(numpy.abs(a - b)))
    numpy.testing.assert_array_equal(one[trial]["accuracy_base"][()], two[trial]["accuracy_base"][()])
print(f"largest difference of a loss: {largest:.2g}")
assert 0 < largest <= 1e-5, largest
PY

echo "== the QR by ScaLAPACK, on a group and on one rank: the losses that LAPACK gives"
expect 0 $(mpi 2 "$spec" -o "$work/grid.h5") "${pair[@]}" --set 'sweep.method=[{"name": "slao", "qr": "scalapack"}]'
expect 0 "$SLAO" sweep "$spec" -o "$work/grid1.h5" --progress none --set 'sweep.method=[{"name": "slao", "qr": "scalapack"}]'
"$python" - "$work/alone.h5" "$work/grid.h5" "$work/grid1.h5" <<'PY'
import sys

import h5py
import numpy


def losses(path):
    with h5py.File(path) as f:
        return {t["order"]: f["trial"][t["id"].decode()]["loss"][()]
                for t in f["trials"][:] if t["method"] == b"slao"}


expected, *others = map(losses, sys.argv[1:])
assert len(expected) == 2
for other in others:
    for order, values in expected.items():
        assert numpy.max(numpy.abs(values - other[order])) <= 1e-5, order
PY
for way in lapck ""; do
  expect 2 "$SLAO" sweep "$spec" -o "$work/grid.h5" --set "sweep.method=[{\"name\": \"slao\", \"qr\": \"$way\"}]"
done

echo "== a trial that diverges fails on all members alike"
expect 1 $(mpi 2 "$spec" -o "$work/diverging.h5") "${pair[@]}" --set 'sweep.learning_rate=[1e9]' --set train.clip_norm=0
grep -q "not finite" "$work/stderr" || fail "the failure is not explained"

echo "== fewer ranks than a group needs"
expect 2 "$SLAO" sweep "$spec" -o "$work/few.h5" "${pair[@]}"
grep -q "ranks_per_trial is 2, but there is 1 rank: start slao with mpirun -n 2" "$work/stderr" ||
  fail "the refusal does not say what to do"
expect 2 $(mpi 2 "$spec" -o "$work/few.h5") --set ranks_per_trial=3
