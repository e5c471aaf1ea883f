#!/usr/bin/env bash
# Models of every family, as folders and GGUF files: loss, logits and all LoRA gradients equal those of transformers and
# peft one sequence at a time (tests/reference/make_tiny_models.py made the values), while slao packs the sequences
# without padding and computes their common prefix once.
set -euo pipefail
fixtures=$SLAO_SOURCE/tests/fixtures/families
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

probe() { # MODEL CASE OUT
  "$SLAO" probe --model "$1" --adapter "$fixtures/$2/adapter" --tokens "$fixtures/$2/tokens.json" -o "$3" --weights fp32 >/dev/null
  "$SLAO" probe --model "$1" --adapter "$fixtures/$2/adapter" --tokens "$fixtures/$2/tokens.json" -o "$work/file" --weights file >/dev/null
  cmp "$3" "$work/file" || { echo "$1: weights left in the file give other values than in fp32"; exit 1; }
}
agrees() { "$python" "$SLAO_SOURCE/tests/compare_probe.py" "$1" "$fixtures/$2/expected.safetensors"; }

for case in llama2 llama3 llama-linear mistral qwen2 qwen2-window; do
  echo "== $case"
  probe "$fixtures/$case" "$case" "$work/$case"
  agrees "$work/$case" "$case"
done

echo "== GGUF files"
for case in llama-linear mistral qwen2; do
  probe "$fixtures/$case.gguf" "$case" "$work/gguf"
  cmp "$work/gguf" "$work/$case" || { echo "$case.gguf computes other values than the folder"; exit 1; }
done
probe "$fixtures/llama3.gguf" llama3 "$work/gguf" # its divisors are rounded
agrees "$work/gguf" llama3

echo "== lengths and biases that matter: without them the values are others"
differs() { # CASE SED-SCRIPT
  rm -rf "$work/changed"
  cp -r "$fixtures/$1" "$work/changed"
  sed -i "$2" "$work/changed/config.json"
  cmp -s "$fixtures/$1/config.json" "$work/changed/config.json" && { echo "no change by $2"; exit 1; }
  probe "$work/changed" "$1" "$work/out"
  if agrees "$work/out" "$1" >"$work/report"; then
    echo "$1 agrees with transformers after $2"
    exit 1
  fi
}
differs llama3 's/"rope_type": "llama3"/"rope_type": "linear"/; /low_freq_factor/d; /high_freq_factor/d; /original_max/d'
differs llama3 's/"low_freq_factor": 1.0/"low_freq_factor": 2.0/'
differs llama3 's/"original_max_position_embeddings": 32/"original_max_position_embeddings": 64/'
differs llama-linear 's/"factor": 4.0/"factor": 1.0/'
differs mistral 's/"sliding_window": 16/"sliding_window": 17/'
differs mistral 's/"sliding_window": 16/"sliding_window": null/'
differs qwen2-window 's/"sliding_window": 20/"sliding_window": 19/'
differs qwen2-window 's/"sliding_attention"/"full_attention"/'

"$python" "$SLAO_SOURCE/tests/cli/model_files.py" "$work"
