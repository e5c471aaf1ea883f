#!/usr/bin/env bash
# slao inspect on the default model, on the tiny folder, and on what is neither.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fixtures=$SLAO_SOURCE/tests/fixtures

expect() { # PATTERN FILE
  grep -q -- "$1" "$2" || { echo "no \"$1\" in:"; cat "$2"; exit 1; }
}

refused() { # PATTERN ARGUMENTS...: exit code 2, the pattern in the message, nothing on stdout
  local pattern=$1 code=0
  shift
  "$SLAO" inspect "$@" >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq 2 ] || { echo "inspect $*: exit code $code, not 2"; cat "$work/err"; exit 1; }
  expect "$pattern" "$work/err"
  [ ! -s "$work/out" ] || { echo "inspect $*: a refusal prints results"; exit 1; }
}

"$SLAO" inspect "$SLAO_MODEL" >"$work/text"
expect '^parameters  *134515008; 106203456 without the embedding$' "$work/text"
expect '^tensors  *272: 61 F32 210 Q4_1 1 Q8_0$' "$work/text"
expect '^tokens  *bos 1; end 2$' "$work/text"

"$SLAO" inspect --json "$SLAO_MODEL" >"$work/json"
"$SLAO" inspect --json "$fixtures/tiny" >"$work/tiny"
python3 - "$work/json" "$work/tiny" "$work/text" <<'PY'
import json
import sys

model, tiny = (json.load(open(path)) for path in sys.argv[1:3])
assert model["kind"] == "model" and model["architecture"] == "llama", model
assert model["parameters"] == 134515008 and model["parameters_without_embedding"] == 106203456, model
assert model["tensor_types"] == {"F32": 61, "Q4_1": 210, "Q8_0": 1} and model["tensors"] == 272, model
assert model["tied_head"] is True and model["rope_theta"] == 100000, model
assert (model["layers"], model["heads"], model["kv_heads"], model["head_dim"]) == (30, 9, 3, 64), model
assert model["hash"] in open(sys.argv[3]).read() and len(model["hash"]) == 32, model
assert tiny["tensor_types"] == {"BF16": 20} and tiny["end_tokens"] == [3, 2] and tiny["eos"] == 3, tiny
assert tiny["bytes"] == 2 * tiny["parameters"], tiny
PY

refused 'no file or folder' "$work/nothing"
refused 'usage: slao inspect'
refused 'is none of what slao can look into' "$work"
echo text >"$work/text.gguf"
refused "$work/text.gguf is none of" "$work/text.gguf"
head -c 2000000 "$SLAO_MODEL" >"$work/short.gguf"
refused "$work/short.gguf: tensor .* truncated" "$work/short.gguf"
head -c 100000 "$SLAO_MODEL" >"$work/shorter.gguf"
refused "$work/shorter.gguf: byte .* tokenizer.ggml.tokens: .* truncated" "$work/shorter.gguf"
mkdir "$work/folder"
cp "$fixtures/tiny/config.json" "$work/folder"
refused "$work/folder/model.safetensors is missing" "$work/folder"
head -c 30000 "$fixtures/tiny/model.safetensors" >"$work/folder/model.safetensors"
refused 'model.safetensors: tensor .* truncated' "$work/folder"
cp "$fixtures/tiny/model.safetensors" "$work/folder"
sed 's/"model_type": "llama"/"model_type": "gpt2"/' "$fixtures/tiny/config.json" >"$work/folder/config.json"
refused 'config.json: model_type is "gpt2"' "$work/folder"
