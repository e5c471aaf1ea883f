#!/usr/bin/env bash
# slao bench: the table, and 100,000 dummy steps on 8 oversubscribed ranks beside a simulated cluster of 1024.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
"$SLAO" bench --help | grep -q scheduler
"$SLAO" bench schedular 2>"$work/message" && exit 1
grep -q 'did you mean scheduler?' "$work/message"
"$SLAO" bench scheduler --cluster 0 2>/dev/null && exit 1
timeout -k 2 300 mpirun -n 8 --oversubscribe --bind-to none "$SLAO" bench scheduler --steps 100000 --json >"$work/out"
python3 - "$work/out" <<'PY'
import json
import sys

bench = json.load(open(sys.argv[1]))
crew, sim = bench["crew"], bench["simulation"]
assert crew["ranks"] == 8 and crew["steps"] == 100000, crew
assert crew["steps_per_second"] > 500, crew
assert sim["ranks"] == 1024 and sim["steps"] > 50000, sim
assert sim["messages"] == 2 * (sim["steps"] + sim["ranks"]), sim
assert 1 <= sim["makespan_to_bound"] < 1.05, sim
assert 0.5 < sim["utilisation"] <= 1, sim
PY
echo "slao bench scheduler: ok"
