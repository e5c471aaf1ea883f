#!/usr/bin/env bash
# Methods that train on top of frozen pairs, with penalties, memories or closed forms: each over three tasks of a tiny
# model, everything again in numpy (methods_numpy.py); and their options, out of bounds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
"$python" - "$SLAO_SOURCE/experiments/quickstart/suite" "$work/suite" <<'PY'
import json, pathlib, shutil, sys
source, to = map(pathlib.Path, sys.argv[1:])
for task in ("ASKS/quiz", "MOOD/guests", "ROUTE/desks"):
    (to / task).mkdir(parents=True)
    shutil.copy(source / task / "labels.json", to / task)
    for part, count in (("train", 10), ("test", 2)):
        json.dump(json.load(open(source / task / f"{part}.json"))[:count], open(to / task / f"{part}.json", "w"))
shutil.copy(source / "instruction_config.json", to)
PY
spec() { # METHOD RATE
  cat <<JSON
{ "model": "$work/model", "benchmark": { "format": "cl_benchmark", "path": "$work/suite" },
  "lora": { "rank": 3, "alpha": 6, "targets": ["q_proj", "v_proj", "down_proj"] },
  "train": { "batch_size": 16, "epochs": 2, "max_length": 512, "clip_norm": 1.0 },
  "evaluate": { "max_new_tokens": 2, "references": [], "tasks": "seen", "when": "end" },
  "sweep": { "method": [$1], "order": [["quiz", "guests", "desks"]], "learning_rate": [$2], "seed": [0] } }
JSON
}
sweep() { # NAME METHOD RATE [WEIGHTS]
  spec "$2" "$3" >"$work/$1.json"
  "$SLAO" sweep "$work/$1.json" -o "$work/$1.h5" --progress none --set "weights=${4:-fp32}" >"$work/stdout" 2>"$work/stderr" || {
    echo "FAILED: $1" >&2; cat "$work/stderr" >&2; exit 1; }
}
sweep fresh '"inclora"' 1e-30
sweep fresh-ab '"lorm-ab"' 1e-30
sweep inclora '"inclora"' 1e-2
sweep olora '{"name": "olora", "l1": 0.5, "l2": 0.01}' 1e-2
sweep nlora '{"name": "nlora", "l": 0.001}' 1e-2
sweep ewc '{"name": "ewc", "l": 50, "gamma": 0.5}' 1e-2
sweep inflora '{"name": "inflora", "threshold": 0.9}' 1e-2
sweep sdlora '"sdlora"' 1e-2
sweep lorm-ba '"lorm-ba"' 1e-2
sweep lorm-ab '"lorm-ab"' 1e-2
sweep corda '"corda"' 1e-2
sweep corda-first '{"name": "corda", "components": "first"}' 1e-2 file # it reads the weights themselves
"$python" "$here/methods_numpy.py" "$work"

# A state that is gone is told, not taken for that of a first task.
for method in ewc inflora corda lorm-ba lorm-ab; do
  "$python" - "$work/$method.store" <<'PY'
import json, pathlib, sys
store = pathlib.Path(sys.argv[1])
for path in (store / "steps").rglob("*.json"):
    record = json.load(open(path))
    if record["kind"] == "finetune" and record["task"] == "quiz":
        (store / "adapters" / record["key"] / "method_state.safetensors").unlink()
    elif record["kind"] == "finetune" and record["task"] == "guests":
        path.unlink()
PY
  code=0
  "$SLAO" sweep "$work/$method.json" -o "$work/$method.h5" --progress none >"$work/stdout" 2>"$work/stderr" || code=$?
  [ $code -ne 0 ] && grep -q "$method, task guests: the state that the task before left is gone" "$work/stderr" || {
    echo "FAILED: $method without its state: exit code $code" >&2; cat "$work/stderr" >&2; exit 1; }
  echo "$method: exit code $code without its state"
done

refused() { # METHOD PART: exit 2, the message holds PART and the key's path
  spec "$1" 1e-2 >"$work/bad.json"
  local code=0
  "$SLAO" sweep "$work/bad.json" -o "$work/bad.h5" >"$work/stdout" 2>"$work/stderr" || code=$?
  [ $code -eq 2 ] || { echo "FAILED: exit code $code, not 2: $1" >&2; exit 1; }
  grep -qF "sweep.method[0]" "$work/stderr" && grep -qF -- "$2" "$work/stderr" || {
    echo "FAILED: $1: $(cat "$work/stderr")" >&2; exit 1; }
}
refused '{"name": "olora", "l1": -1}' 'l1 is -1'
refused '{"name": "olora", "l3": 1}' 'no option "l3"'
refused '{"name": "ewc", "gamma": 1.5}' 'gamma is 1.5'
refused '{"name": "inflora", "threshold": 2}' 'threshold is 2'
refused '{"name": "corda", "components": "fist"}' 'did you mean "first"'
refused '{"name": "sdlora", "magnitude": "big"}' 'magnitude must be a number'
refused '{"name": "nlora", "l": "inf"}' 'l must be a number'
echo "bad options are refused"
