#!/usr/bin/env bash
# slao bench gemm, train and eval: what their JSON holds, that parts add up, that the losses and the score are those of
# slao's own trainer and evaluator, and what is refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
suite=$SLAO_SOURCE/experiments/quickstart/suite
common=(--model "$work/model" --benchmark "$suite" --tasks quiz,desks --examples 12)

"$SLAO" bench gemm --model "$work/model" --rows 64 --json >"$work/gemm.json"
"$SLAO" bench train "${common[@]}" --batch-size 5 --json >"$work/train.json"
"$SLAO" bench eval "${common[@]}" --json >"$work/eval.json"
"$SLAO" eval --model "$work/model" --benchmark "$suite" --task desks --limit 12 --json >"$work/desks.json"
"$python" - "$work" <<'END'
import json, math, pathlib, sys

folder = pathlib.Path(sys.argv[1])
gemm, train, scored, desks = (json.loads((folder / f"{name}.json").read_text()) for name in ("gemm", "train", "eval", "desks"))
assert len(gemm["products"]) == 8
rates = [("blas_gflops", "gemm_gflops_per_core"), ("slao_gflops", "slao_gflops_per_core")]
if "bf16_gflops_per_core" in gemm:  # the CPU has a unit for it
    rates.append(("bf16_gflops", "bf16_gflops_per_core"))
for rate, whole in rates:
    slowest, fastest = (pick(row[rate] for row in gemm["products"]) for pick in (min, max))
    assert 0 < slowest <= gemm[whole] <= fastest
for result in (train, scored):
    assert result["matmul_precision"] == "fp32"
    assert result["peak_memory_bytes"] > 1e6 and result["machine"]["gemm_gflops_per_core"] > 0
    assert [task["task"] for task in result["tasks"]] == ["quiz", "desks"]
    for task in result["tasks"]:
        assert task["examples"] == 12 and task["tokens"] > 12
        assert math.isclose(task["tokens_per_second"], task["tokens"] / task["seconds"])
        measured = sum(part["seconds"] for part in task["parts"].values())
        assert 0.5 * task["seconds"] < measured <= task["seconds"], (measured, task["seconds"])
assert all(task["loss_first"] > 0 and task["loss_first"] != task["loss_last"] and task["exact_match"] is None for task in train["tasks"])
assert scored["tasks"][1]["exact_match"] == desks["score"] and scored["tasks"][1]["tokens"] == desks["tokens"]
END

refused() { # the message must hold $1
  local message=$1 code=0
  shift
  "$SLAO" bench "$@" >"$work/out" 2>&1 || code=$?
  [ $code = 2 ] && grep -qF -- "$message" "$work/out" || {
    echo "FAILED: bench $* gives $code: $(cat "$work/out")" >&2
    exit 1
  }
}
refused "did you mean train?" trian
refused "quizz" train --model "$work/model" --benchmark "$suite" --tasks quizz
refused "--batch-size" train "${common[@]}" --batch-size 0
refused "--tasks" eval --model "$work/model" --benchmark "$suite"
refused "--rows" gemm --model "$work/model" --rows 0
