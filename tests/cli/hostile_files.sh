#!/usr/bin/env bash
# safetensors, GGUF and JSON files made to harm: exit code 2 with file and place, no crash, no big allocation.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$SLAO_SOURCE/tests/cli/hostile_files.py" "$work"
