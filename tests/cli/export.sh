#!/usr/bin/env bash
# slao export on a small sweep: the adapters of the store under the names of trial, step and kind; what merging them
# by hand gives; and what is not there refused with exit code 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
cd "$work"
"$python" "$SLAO_SOURCE/tests/make_small_model.py" model
cat >spec.json <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 8, "test_samples": 2 },
  "train": { "epochs": 1, "max_length": 400 }, "evaluate": { "when": "end", "max_new_tokens": 2, "references": [] },
  "sweep": { "method": ["slao", "seqlora"], "order": [["quiz", "desks", "diary"]], "lambda": [0.25],
             "learning_rate": [1e-2] } }
JSON
"$SLAO" sweep spec.json -o small.h5 --progress none >/dev/null
trial() { # METHOD: its id
  "$python" -c 'import sys, h5py
for row in h5py.File("small.h5")["trials"]:
    if row["method"].decode() == sys.argv[1]: print(row["id"].decode())' "$1"
}
slao=$(trial slao) seqlora=$(trial seqlora)
same() { cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors"; }
for i in 1 2 3; do
  "$SLAO" export small.h5 --trial "$slao" --step $i --which finetuned -o ft$i >/dev/null
  "$SLAO" export small.h5 --trial "${slao:0:6}" --step $i -o merged$i >text
  grep -q "after task $i" text
done
"$SLAO" export small.h5 --trial "$seqlora" -o last >/dev/null
"$SLAO" export small.h5 --trial "$seqlora" --which finetuned --step 3 --store small.store -o last2 >/dev/null
same ft1 merged1   # merging task 1 is the identity
same last last2    # SeqLoRA evaluates what it trains
cmp -s ft1/adapter_model.safetensors ft2/adapter_model.safetensors && { echo "fine-tuning changed nothing"; exit 1; }
"$SLAO" merge --rule asymmetric --lambda 0.25 ft1 ft2 ft3 -o by-hand >/dev/null
same merged3 by-hand

"$SLAO" inspect small.h5 | grep "^$slao" | grep -q 'slao  *0.25 .* done .* quiz,desks,diary$'
"$SLAO" inspect --json small.h5 >results.json
"$SLAO" inspect merged3 | grep -q '^modules        q_proj v_proj; 4 in layers 0 to 1$'
"$SLAO" inspect --json merged3 >adapter.json
"$python" - <<'PY'
import json

import h5py
import numpy
from safetensors.numpy import load_file

told, file = json.load(open("results.json")), h5py.File("small.h5")
assert told["kind"] == "results" and told["fingerprint"] == file.attrs["fingerprint"] and told["name"] == "small", told
for row, trial in zip(file["trials"], told["trials"], strict=True):
    assert trial["id"] == row["id"].decode() and trial["method"] == row["method"].decode(), trial
    assert trial["order"] == row["order"].decode() and trial["learning_rate"] == row["learning_rate"], trial
    assert trial["AA"] == row["AA"] or numpy.isnan(row["AA"]) and trial["AA"] is None, trial
told, tensors = json.load(open("adapter.json")), load_file("merged3/adapter_model.safetensors")
norm = sum(((tensors[k.replace("lora_A", "lora_B")].astype(float) @ a.astype(float)) ** 2).sum()
           for k, a in tensors.items() if "lora_A" in k) ** 0.5 * told["scale_most"]
assert abs(told["norm"] / norm - 1) < 1e-6 and told["parameters"] == sum(x.size for x in tensors.values()), told
assert told["kind"] == "adapter" and told["rank_least"] == told["rank_most"] == 8, told
h5py.File("other.h5", "w").create_dataset("x", data=1)
PY
head -c 3000 small.h5 >cut.h5
for file in other cut; do
  code=0
  "$SLAO" inspect $file.h5 2>stderr || code=$?
  [ $code -eq 2 ] && grep -q "$file.h5" stderr || { echo "inspect $file.h5: exit code $code"; cat stderr; exit 1; }
done

refused() { # WORDS ARGUMENTS...
  local words=$1 code=0
  shift
  "$SLAO" export "$@" -o refused >stdout 2>stderr || code=$?
  [ $code -eq 2 ] || { echo "exit code $code, not 2: export $*"; cat stderr; exit 1; }
  grep -qF -- "$words" stderr || { echo "no \"$words\" in the message of: export $*"; cat stderr; exit 1; }
  [ ! -e refused ] || { echo "a refused export left a folder: export $*"; exit 1; }
}
refused 'there is no store none.store' none.h5 --trial "$slao"
refused 'no trial of this sweep has an id that begins with zz' small.h5 --trial zz
refused 'no trial of this sweep' small.h5 --trial ''
refused 'tasks 1 to 3' small.h5 --trial "$slao" --step 4
refused 'tasks 1 to 3' small.h5 --trial "$slao" --step 0
refused 'merged or finetuned' small.h5 --trial "$slao" --which tuned
refused '--trial is missing' small.h5
rm small.store/steps/*.json
refused 'has not run yet' small.h5 --trial "$slao"
echo "exported adapters are those of the sweep"
