#!/usr/bin/env bash
# ROUGE-L equals the rouge-score package's on random texts.
set -euo pipefail
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/compare_rouge.py" "$(dirname "$SLAO")/tests/rouge_scores"
