# shellcheck shell=bash
# What the tests of job scripts share: sourced. Leaves the folder $work, which is the working directory and holds a small
# random model and a spec of 26 steps; clean_up, if a test defines it, comes before its removal.

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$SLAO_SOURCE/build/python/bin/python
# shellcheck disable=SC2034 # for who sources this
jobs=$SLAO_SOURCE/jobs
work=$(mktemp -d)
clean_up() { :; }
trap 'clean_up; rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 30 "$work"/*.log "$work"/results/*.jobs/*.log "$work/submitted" >&2 2>/dev/null
  exit 1
}
export SLAO
cd "$work" || exit 1
"$python" "$tests/make_small_model.py" model
cat >spec.json <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 64, "test_samples": 8 },
  "train": { "batch_size": 4, "epochs": 10 },
  "evaluate": { "max_new_tokens": 4, "references": ["individual"] },
  "sweep": { "method": ["slao", "seqlora"], "order": [["quiz", "guests"], ["guests", "quiz"]],
             "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2] } }
JSON

# Waits for a command to succeed, SECONDS at most.
wait_until() { # SECONDS COMMAND...
  local i
  for ((i = 0; i < 5 * $1; i++)); do
    "${@:2}" && return 0
    while_waiting
    sleep 0.2
  done
  fail "waited $1 s in vain for: ${*:2}"
}
while_waiting() { :; }
last_line() { tail -n 1 "$1"; }
fingerprint() { "$SLAO" inspect "$1" | sed -n 's/^fingerprint  *//p'; }
records() { { find "results/$1.store/steps" -name "*.json" 2>/dev/null || true; } | wc -l; }
records_reach() { [ "$(records "$1")" -ge "$2" ]; }
ran_twice() { grep -o '"event":"done".*' "results/$1.store/journal.jsonl" | grep -o '"key":"[^"]*"' | sort | uniq -d | wc -l; }
# The ranks of a sweep on this host: the children of its mpirun, which is the parent of who holds the store.
ranks_of() { # NAME
  local first parent
  first=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "results/$1.store/lock")
  parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$first/stat")
  cat "/proc/$parent/task/$parent/children"
}
