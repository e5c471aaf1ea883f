#!/bin/bash
# slao plan: counts of a small sweep over the quickstart's suite, as text and as JSON, before and after it has run; the
# estimates beside what it took; the same of slao sweep --dry-run with its selections; exit codes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
export SUITE=$SLAO_SOURCE/experiments/quickstart/suite
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/make_small_model.py" "$folder/model"
cat >"$folder/spec.json" <<EOF
{
  "model": "model", // beside the spec; \${SUITE} comes from the environment
  "benchmark": { "format": "cl_benchmark", "path": "\${SUITE}", "train_samples": 20, "test_samples": 10 },
  "train": { "epochs": 2 },
  "sweep": {
    "method": ["slao", "seqlora"],
    "order": [["quiz", "guests", "desks"], ["quiz", "guests", "alarms"]],
    "lambda": ["1/sqrt(i)", 0.5],
    "seed": [0, 1]
  },
  "presets": { "one": { "sweep": { "seed": [0], "method": ["slao"] } } }
}
EOF

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Per seed: slao fine-tunes quiz, guests, desks, alarms, seqlora all but the first anew; merges are 2 lambdas x
# (guests + desks + alarms); adapters to evaluate: quiz, 2 x 3 merged, 3 of seqlora: quiz's and guests' (1 + 2 + 1)
# on 4 tasks, the last ones (4 + 2) on 3.
"$SLAO" plan "$folder/spec.json" --json --ranks 4 >"$folder/plan.json"
python3 - "$folder/plan.json" <<'EOF'
import json, sys
plan = json.load(open(sys.argv[1]))
shared, alone = plan["with_sharing"], plan["without_sharing"]
assert plan["name"] == "spec", plan
assert plan["trials"] == 2 * 2 * (2 + 1), plan
assert shared["finetune"] == 2 * 7, plan
assert alone["finetune"] == 12 * 3, plan
assert shared["merge"] == 2 * 6 and alone["merge"] == 8 * 2, plan
assert shared["evaluate"] == 2 * (4 * 4 + 6 * 3), plan
assert alone["evaluate"] == 12 * 9, plan
assert shared["examples_trained"] == shared["finetune"] * 20 * 2, plan
assert shared["examples_scored"] == shared["evaluate"] * 10, plan
assert 1 < plan["speed_up_at_most"] <= 4, plan
assert plan["left"] == shared and plan["done"]["finetune"] == 0, plan
assert shared["tokens_trained"] > shared["examples_trained"] and shared["tokens_scored"] > 0, plan
speed = plan["speed"]
assert speed["source"] == "measurement", plan
work = shared["tokens_trained"] / speed["tokens_trained_per_second"]
work += shared["tokens_scored"] / speed["tokens_scored_per_second"]
assert abs(plan["work_seconds"] - work) < 1e-9 * work, plan
assert max(work / 4, plan["longest_chain_seconds"]) <= plan["seconds"] * (1 + 1e-9) <= work, plan
rank, weights = plan["memory_per_rank_bytes"], plan["memory_weights_bytes"]
assert rank > 0 and plan["memory_per_node_bytes"] == weights + 4 * rank, plan
EOF
[ ! -e results/spec.store ] || fail "planning has left something"

"$SLAO" plan "$folder/spec.json" --set preset=one >"$folder/plan.txt"
"$SLAO" plan "$folder/spec.json" --set preset=one --set ranks_per_trial=2 --ranks 3 >"$folder/grouped.txt"
grep -qx "3 ranks: at most 2.0 times as fast as one" "$folder/grouped.txt" || fail "the third rank is in no group: $(cat "$folder/grouped.txt")"
grep -q "by a short measurement" "$folder/plan.txt" || fail "no measurement"
SLURM_MEM_PER_NODE=1 "$SLAO" plan "$folder/spec.json" --set preset=one >"$folder/little.txt"
grep -q "too little memory here for a measurement" "$folder/little.txt" || fail "measured beyond what the job may take"
grep -Eq '^fine-tune steps +12 +4 +0 +4$' "$folder/plan.txt" || fail "counts as text: $(cat "$folder/plan.txt")"
"$SLAO" plan --help | grep -q -- --set || fail "help"

# What it takes beside the estimate, and what is left of a larger one then.
one=("$folder/spec.json" -o "$folder/one.h5" --set preset=one --set train.epochs=1)
number() { python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[key]
print(value)' "$@"; }
"$SLAO" plan "${one[@]}" --json >"$folder/plan.json"
"$SLAO" sweep "${one[@]}" --progress none >/dev/null
estimated=$(number "$folder/plan.json" disk_bytes | cut -d. -f1)
used=$(find "$folder/one.store" "$folder/one.h5" -type f -exec cat {} + | wc -c)
[ "$estimated" -gt $((used / 2)) ] && [ "$estimated" -lt $((used * 2)) ] || fail "disk: $estimated, but it was $used"
"$SLAO" plan "${one[@]}" --json >"$folder/plan.json"
[ "$(number "$folder/plan.json" left)" = "$(number "$folder/plan.json" done | sed 's/: [0-9]*/: 0/g')" ] || fail "some is left"
[ "$(number "$folder/plan.json" seconds)" = 0 ] || fail "nothing takes time"
more=("${one[@]}" --set 'sweep.seed=[0, 1]')
"$SLAO" plan "${more[@]}" --json >"$folder/plan.json"
[ "$(number "$folder/plan.json" speed source)" = store ] || fail "the speed is not that of the store"
[ "$(number "$folder/plan.json" left finetune)" = 4 ] || fail "left: $(number "$folder/plan.json" left)"
[ "$(number "$folder/plan.json" done finetune)" = 4 ] || fail "done: $(number "$folder/plan.json" done)"
"$SLAO" plan "${more[@]}" >"$folder/plan.txt"
grep -q "by the steps in the store" "$folder/plan.txt" || fail "where the speed comes from: $(cat "$folder/plan.txt")"

# A dry run says the same; the parts of a sweep add up, and what is shared is in each of them.
dry() { "$SLAO" sweep "${more[@]}" --dry-run "$@" >"$folder/dry.txt"; }
left() { sed -n 's/^fine-tune steps .* \([0-9]*\)$/\1/p' "$folder/dry.txt"; }
dry
diff "$folder/plan.txt" "$folder/dry.txt" || fail "plan and dry run differ"
dry --fresh
[ "$(left)" = 8 ] || fail "--fresh: $(cat "$folder/dry.txt")"
dry --only failed
[ "$(left)" = 0 ] || fail "--only failed: $(cat "$folder/dry.txt")"
dry --shard 1/2
first=$(left)
dry --shard 2/2
second=$(left)
[ $((first + second)) -ge 4 ] && [ $((first * second)) -lt 16 ] || fail "shards: $first and $second"
[ "$(find "$folder/one.store/steps" -name '*.json' | wc -l)" -eq "$(grep -c '"event":"done"' "$folder/one.store/journal.jsonl")" ] ||
  fail "a dry run ran something"

# refused STATUS PART ARGUMENTS...: the exit code, and what the message has to say
refused() {
  local wanted=$1 part=$2 code=0
  shift 2
  "$SLAO" plan "$@" >/dev/null 2>"$folder/message" || code=$?
  [ "$code" -eq "$wanted" ] || fail "plan $*: exit code $code, not $wanted"
  grep -qF -- "$part" "$folder/message" || fail "plan $*: $(cat "$folder/message")"
}
refused 2 "spec.json: sweep.order[0]" "$folder/spec.json" --set 'sweep.order=[["quizz"]]'
refused 2 'did you mean "epochs"?' "$folder/spec.json" --set train.epoch=1
refused 2 "no preset of that name" "$folder/spec.json" --set preset=two
refused 2 "nowhere.json" "$folder/nowhere.json"
refused 2 "--ranks must be at least 1" "$folder/spec.json" --ranks 0
refused 2 "ranks_per_trial is 2" "$folder/spec.json" --ranks 1 --set ranks_per_trial=2
refused 2 "raise max_length" "$folder/spec.json" --set train.max_length=8
refused 2 "too few arguments" --json
refused 2 "config.json" "$folder/spec.json" --set "model=$SUITE"
(unset SUITE && refused 2 'uses ${SUITE}, which is not set' "$folder/spec.json")
echo "slao plan: ok"
