#!/usr/bin/env bash
# Every committed study parses and plans, at the paper's size and with its small preset, and has the structure that
# experiments/README.md tells of. A random model of the paper's depth stands for Llama-2-7B.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/Llama-2-7b-chat-hf" 32 64 32
SLAO_MODELS=$work "$python" "$SLAO_SOURCE/tests/data/experiments.py" "$SLAO" "$SLAO_SOURCE/experiments"
