#!/usr/bin/env bash
# slao export of every method: the adapter it writes after the last task scores, by slao eval, what the sweep recorded;
# also where what is evaluated is a stack of pairs, or kept beside the trained adapter.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cd "$work"
"$python" - "$SLAO" "$SLAO_SOURCE" <<'PY'
import json
import pathlib
import re
import subprocess
import sys

import h5py
import numpy
from safetensors.numpy import load_file

slao, source = sys.argv[1:]
methods = re.findall(r'\{\.name = "([^"]+)"', pathlib.Path(source, "src/continual/method.c").read_text())
tasks, labels = ["stones", "rivers", "clouds"], ["water", "mill", "harbour", "note", "boat", "answer"]
(pathlib.Path("data/TC")).mkdir(parents=True)
pathlib.Path("data/instruction_config.json").write_text(json.dumps(
    {"TC": [{"instruction_type": "zero-shot", "instruction": "what is the answer?\n"}]}))
for t, task in enumerate(tasks):
    place = pathlib.Path("data/TC", task)
    place.mkdir()
    (place / "labels.json").write_text(json.dumps(labels))
    (place / "train.json").write_text(json.dumps(
        [{"sentence": f"the {task}, {i}", "label": labels[(i + t) % 6]} for i in range(12)]))
    # the k-th label stands k + 1 times: even a model that says one thing only tells by its score what that is
    (place / "test.json").write_text(json.dumps(
        [{"sentence": f"the {label} and the {task}, {i}", "label": label} for k, label in enumerate(labels)
         for i in range(k + 1)]))
pathlib.Path("spec.json").write_text(json.dumps({
    "name": "all", "model": "model", "benchmark": {"format": "cl_benchmark", "path": "data"},
    "evaluate": {"when": "end", "score": "rank", "references": []},
    "sweep": {"method": methods, "order": [tasks], "lambda": [0.5], "learning_rate": [3e-2]}}))


def run(*arguments):
    done = subprocess.run([slao, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def change(folder):
    """s B A of all modules."""
    tensors = load_file(f"{folder}/adapter_model.safetensors")
    said = json.loads(pathlib.Path(folder, "adapter_config.json").read_text())
    return {name: said["lora_alpha"] / a.shape[0] * tensors[name.replace("lora_A", "lora_B")].astype(float) @ a
            for name, a in tensors.items() if "lora_A" in name}


run("sweep", "spec.json", "-o", "all.h5", "--progress", "none")
file, compared, seen, apart = h5py.File("all.h5"), 0, set(), set()
for row in file["trials"]:
    method, trial = row["method"].decode(), row["id"].decode()
    assert row["status"] == b"done", method
    recorded = file["trial"][trial]["accuracy"][-1]
    run("export", "all.h5", "--trial", trial, "-o", f"out/{method}")
    for task, score in zip(tasks, recorded, strict=True):
        if numpy.isnan(score):
            continue
        told = json.loads(run("eval", "--model", "model", "--adapter", f"out/{method}", "--benchmark", "data", "--task",
                              task, "--score", "rank", "--json"))
        assert abs(told["score"] - score) < 1e-12, f"{method}, {task}: exported {told['score']}, recorded {score}"
        compared += 1
    seen.add(tuple(recorded))
    if method != "multitask":
        run("export", "all.h5", "--trial", trial, "--which", "finetuned", "-o", f"tuned/{method}")
        merged, tuned = change(f"out/{method}"), change(f"tuned/{method}")
        if max(numpy.abs(merged[name] - tuned[name]).max() for name in merged) > 1e-4:
            apart.add(method)
    else:
        done = subprocess.run([slao, "export", "all.h5", "--trial", trial, "--step", "1", "-o", "none"],
                              capture_output=True, text=True)
        assert done.returncode == 2 and "no adapter after task 1" in done.stderr, done
assert len(file["trials"]) == len(methods) > 20 and compared > 3 * len(methods) - 5
assert len(seen) > 5, f"the scores tell too little apart: {seen}"
assert {"inclora", "olora", "sdlora", "corda", "lorm-ab", "lorm-ba", "slao", "average"} <= apart, apart
print(f"{compared} scores of {len(methods)} methods; {len(seen)} different rows; {len(apart)} evaluate something else "
      "than they train")
PY
