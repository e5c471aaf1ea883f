#!/usr/bin/env bash
# Every text of the benchmark data has the token ids that the Python package tokenizers gives it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/data/tokenize_data.py" "$SLAO" \
  "$(dirname "$SLAO")/tests/tokenize_texts" "$SLAO_MODEL" "$SLAO_DATA" "$work"
