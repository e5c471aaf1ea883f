#!/usr/bin/env bash
# Six sweeps that are killed at random moments and resumed (torture.py, which says how to run many, and one again).
set -euo pipefail
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/cli/torture.py" 6 --seed 6
