#!/usr/bin/env bash
# slao bench qr: every grid of 1 and 2 ranks, times that are there, a crossover that follows from them; bad shapes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
run=(timeout -k 2 120 mpirun -n 2 --oversubscribe --bind-to none "$SLAO" bench qr)
"${run[@]}" --repeats 1 --shape 576x8 --shape 256x256 --json >"$work/out"
python3 - "$work/out" <<'PY'
import json
import sys

bench = json.load(open(sys.argv[1]))
shapes = bench["shapes"]
assert [(s["rows"], s["columns"]) for s in shapes] == [(576, 8), (256, 256)], shapes
for shape in shapes:
    assert shape["lapack_seconds"] > 0
    assert [(g["ranks"], g["grid_rows"], g["grid_columns"]) for g in shape["grids"]] == [(1, 1, 1), (2, 2, 1)], shape
    assert all(g["seconds"] > 0 for g in shape["grids"])
for row in bench["crossover"]:
    for key, share in (("columns", 1), ("columns_spread", row["ranks"])):
        faster = [s["columns"] for s in shapes
                  if min(g["seconds"] for g in s["grids"] if g["ranks"] == row["ranks"]) * share < s["lapack_seconds"]]
        expected = None if 256 not in faster else min(faster) if 8 in faster else 256
        assert row[key] == expected, (row, key, shapes)
PY
"${run[@]}" --repeats 1 --shape 64x4 >"$work/text"
grep -q '64 x 4 .* 2 x 1' "$work/text"
for shape in 4x64 64 64x0 64x4x2 x; do
  code=0
  "$SLAO" bench qr --shape "$shape" 2>"$work/message" || code=$?
  [ $code -eq 2 ] && grep -q "must be like 4096x16" "$work/message" || { echo "$shape: $code"; cat "$work/message"; exit 1; }
done
echo "slao bench qr: ok"
