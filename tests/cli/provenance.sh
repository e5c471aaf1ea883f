#!/usr/bin/env bash
# What computed each step, in its record and in the results file; going on with another vector level is told.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 8, "test_samples": 4 },
  "evaluate": { "max_new_tokens": 4, "tasks": "seen", "references": [] },
  "sweep": { "method": ["slao"], "order": [["quiz", "guests"]], "lambda": [0.3], "learning_rate": [1e-2], "seed": [5] } }
JSON
sweep=("$SLAO" sweep "$work/spec.json" --progress none -o "$work/out.h5")
SLAO_VEC=baseline "${sweep[@]}" >"$work/stdout" 2>"$work/stderr" || { cat "$work/stderr"; exit 1; }
if grep "another kind of machine" "$work/stderr"; then exit 1; fi
"${sweep[@]}" --set 'sweep.lambda=[0.3, 0.9]' >"$work/stdout" 2>"$work/stderr" || { cat "$work/stderr"; exit 1; }
level=$("$SLAO" --version | sed -n 's/.*vector level \([^,]*\).*/\1/p')
if [ "$level" != baseline ]; then # a CPU that has another one
  grep -q "steps were done on another kind of machine (.*vector level baseline) than this one (.*vector level $level)" \
    "$work/stderr" || { cat "$work/stderr"; exit 1; }
fi
"$python" - "$work" "$level" <<'PY'
import json
import pathlib
import sys

import h5py

work, level = pathlib.Path(sys.argv[1]), sys.argv[2]
records = {path.stem: json.loads(path.read_text()) for path in (work / "out.store/steps").glob("*.json")}
file = h5py.File(work / "out.h5")
steps, origins, inputs = file["steps"][:], file["provenance"][:], file["inputs"][:]
hashes = {(row["input"].decode(), row["task"].decode()): row["hash"].decode() for row in inputs}
assert set(hashes) == {("model", ""), ("tokenizer", "")} | {(k, t) for k in ("train", "test") for t in ("quiz", "guests")}
assert {row["machine"].decode().rpartition(" ")[2] for row in origins} == {"baseline", level}
assert sum(origins["steps"]) == len(steps) == len(records)
for step in steps:
    record, origin = records[step["key"].decode()], origins[step["provenance"]]
    for key in ("version", "commit", "mpi", "blas", "hdf5", "cpu", "machine", "host"):
        assert record[key] and record[key] == origin[key].decode(), key
    assert (record["threads"], record["numeric_version"]) == (origin["threads"], origin["numeric_version"])
    assert (record["model"], record["tokenizer"]) == (hashes["model", ""], hashes["tokenizer", ""])
    kind, task = record["kind"], record["task"]
    assert record.get("seed", -1) == step["seed"] == (-1 if kind == "evaluate" else 5), kind
    reads = {"finetune": "train", "evaluate": "test"}.get(kind)
    assert record.get("data") == ({task: hashes[reads, task]} if reads else None), (kind, record.get("data"))
PY
