#!/usr/bin/env bash
# The analysis package: its own tests, and that it installs and gives its command.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
export PYTHONDONTWRITEBYTECODE=1
"$python" -m pytest -q "$SLAO_SOURCE/analysis"

cp -r "$SLAO_SOURCE/analysis" "$folder/source" # setuptools builds in the source folder
"$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --target "$folder/installed" "$folder/source"
"$python" "$folder/source/tests/make_results.py" "$folder/out.h5" --tasks 2 --seeds 1
PYTHONPATH=$folder/installed "$python" "$folder/installed/bin/slao-analysis" table "$folder/out.h5" >"$folder/table"
grep -q '^| SLAO | 1/√i | 2/2 | ' "$folder/table"
PYTHONPATH=$folder/installed "$python" "$folder/installed/bin/slao-analysis" compare "$folder/out.h5" >"$folder/sentences"
grep -q '^SLAO λ=1/√i − SeqLoRA on AA: .* 2 pairs: too few to tell' "$folder/sentences"
