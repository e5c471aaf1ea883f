#!/usr/bin/env bash
# A tiny Llama with an adapter on every linear module: loss, logits, all gradients and three AdamW steps equal those
# of transformers and peft (tests/reference/make_tiny_models.py made the values).
set -euo pipefail
fixture=$SLAO_SOURCE/tests/fixtures/tiny-llama
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SLAO" probe --model "$fixture" --adapter "$fixture/adapter" --tokens "$fixture/tokens.json" \
  -o "$work/ours.safetensors" --steps 3 --lr 1e-2
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/compare_probe.py" \
  "$work/ours.safetensors" "$fixture/expected.safetensors"
