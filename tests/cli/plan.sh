#!/bin/bash
# slao plan: counts of a small sweep over the quickstart's suite, as text and as JSON; exit codes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
export SUITE=$SLAO_SOURCE/experiments/quickstart/suite
cp -r "$SLAO_SOURCE/tests/fixtures/tiny" "$folder/model"
cp "$SLAO_SOURCE/tests/fixtures/tokenizer/tokenizer.json" "$folder/model"
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
EOF

"$SLAO" plan "$folder/spec.json" --set preset=one >"$folder/plan.txt"
grep -Eq '^fine-tune steps +12 +4$' "$folder/plan.txt" || fail "counts as text: $(cat "$folder/plan.txt")"
"$SLAO" plan --help | grep -q -- --set || fail "help"

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
refused 2 "too few arguments" --json
refused 2 "config.json" "$folder/spec.json" --set "model=$SUITE"
(unset SUITE && refused 2 'uses ${SUITE}, which is not set' "$folder/spec.json")
echo "slao plan: ok"
