# The results file as h5py, pandas and h5ls see it: written by test_results from records of known numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$(dirname "$SLAO")/tests/test_results" "$folder/out.h5" >"$folder/fingerprint"
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/cli/results_file.py" "$folder/out.h5" "$(cat "$folder/fingerprint")"
h5ls -r "$folder/out.h5" >"$folder/listing"
grep -q '^/trial/0a0000000000/accuracy *Dataset {3, 3}$' "$folder/listing"
PYTHONPATH=$SLAO_SOURCE/analysis "$SLAO_SOURCE/build/python/bin/python" -B -m slao_analysis table "$folder/out.h5" >"$folder/table"
sed 's,</*u>,,g; s,\*\*,,g' "$folder/table" | grep -q '^| SLAO | 1/√i | 2/2 | 59.2 ± 3.5 | -2.5 ± 7.1 | '
