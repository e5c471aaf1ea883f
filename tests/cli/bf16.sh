#!/usr/bin/env bash
# Products in bf16: on a CPU with a unit for them values lie around those of transformers in fp32, and a sweep gives the same
# fingerprint on one and two ranks, another than in fp32; without a unit it is refused, and nothing is computed in another precision.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
fixture=$SLAO_SOURCE/tests/fixtures/tiny-llama
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$SLAO_SOURCE/tests/expect.sh"
probe=("$SLAO" probe --model "$fixture" --adapter "$fixture/adapter" --tokens "$fixture/tokens.json"
  -o "$work/ours.safetensors" --steps 3 --lr 1e-2 --matmul-precision bf16)
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model", "matmul_precision": "bf16",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 16, "test_samples": 8 },
  "evaluate": { "max_new_tokens": 4, "references": [] },
  "sweep": { "method": ["slao"], "order": [["quiz", "guests"], ["guests", "quiz"]], "lambda": [0.3], "learning_rate": [1e-2] } }
JSON
sweep=("$SLAO" sweep "$work/spec.json" --progress none)

expect 2 "${probe[@]}" --matmul-precision fp16
grep -q "it is one of: fp32, bf16" "$work/stderr" || fail "the names are not told"
export SLAO_BF16=none
expect 3 "${probe[@]}"
grep -q "no unit for products in bf16" "$work/stderr" || fail "the unit is not missed"
[ ! -e "$work/ours.safetensors" ] || fail "something was computed all the same"
expect 3 "${sweep[@]}" -o "$work/none.h5"
grep -q '"matmul_precision": "fp32"' "$work/stderr" || fail "the key is not told"
[ ! -e "$work/none.store" ] || fail "a store was begun all the same"
expect 0 "$SLAO" plan "$work/spec.json"
grep -q "^time  *not known: this CPU has no unit for products in bf16" "$work/stdout" || fail "the plan does not say why it knows no time"
unset SLAO_BF16

if ! "$SLAO" --version | grep -q "bf16 by"; then
  expect 3 "${probe[@]}"
  echo "bf16: ok, this CPU has no unit for it"
  exit 0
fi
expect 0 "${probe[@]}"
"$python" "$SLAO_SOURCE/tests/compare_probe.py" "$work/ours.safetensors" "$fixture/expected.safetensors" bf16
cp "$work/ours.safetensors" "$work/bf16.safetensors"
expect 0 "${probe[@]}" --weights file
cmp "$work/ours.safetensors" "$work/bf16.safetensors" || fail "weights in the file give other bits"
if "$python" "$SLAO_SOURCE/tests/compare_probe.py" "$work/ours.safetensors" "$fixture/expected.safetensors"; then
  fail "this is as exact as fp32"
fi
loss_of() { # PRECISION MICRO_TOKENS [THREADS]: of the first step
  expect 0 "$SLAO" bench train --model "$work/model" --benchmark "$SLAO_SOURCE/experiments/quickstart/suite" --tasks quiz --examples 8 \
    --matmul-precision "$1" --micro-tokens "$2" --threads "${3:-1}" --json
  sed 's/.*"loss_first":\([^,]*\).*/\1/' "$work/stdout"
}
whole=$(loss_of bf16 0) parts=$(loss_of bf16 1) fp32=$(loss_of fp32 0) # what texts have in common is a pass of its own in parts
awk "BEGIN { exit !(($whole - $parts)^2 < 1e-8 && ($whole - $fp32)^2 > 1e-6) }" || fail "loss $whole, in parts $parts, in fp32 $fp32"
one=$(loss_of bf16 60) two=$(loss_of bf16 60 2) # a micro-batch each
[ "$one" = "$two" ] || fail "loss $one on one thread, $two on two"
expect 0 "${sweep[@]}" -o "$work/one.h5"
wanted=$(fingerprint)
expect 0 mpirun -n 2 --oversubscribe --bind-to none "${sweep[@]}" -o "$work/two.h5"
[ "$(fingerprint)" = "$wanted" ] || fail "two ranks: $(fingerprint), not $wanted"
expect 0 "${sweep[@]}" -o "$work/one.h5" --set matmul_precision=fp32
[ "$(fingerprint)" != "$wanted" ] || fail "fp32 has the fingerprint of bf16"
SLAO_BF16=none expect 3 "${sweep[@]}" -o "$work/one.h5" --fresh
expect 0 "$SLAO" plan "$work/spec.json" -o "$work/one.h5"
grep -q "^fine-tune steps  *[0-9]*  *[0-9]*  *[0-9]*  *0$" "$work/stdout" || fail "a refused --fresh has forgotten steps"
echo "bf16: ok"
