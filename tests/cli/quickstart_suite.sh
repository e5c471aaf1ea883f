#!/usr/bin/env bash
# The quickstart's benchmark as committed is what its script writes, byte for byte, and its splits share nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
quickstart=$SLAO_SOURCE/experiments/quickstart
PYTHONHASHSEED=1 python3 "$quickstart/make_suite.py" "$folder/again"
diff -r "$quickstart/suite" "$folder/again"
python3 - "$quickstart/suite" <<'PY'
import collections
import json
import pathlib
import sys

tasks = sorted(p.parent for p in pathlib.Path(sys.argv[1]).glob("*/*/labels.json"))
assert len(tasks) == 5, tasks
all_labels = []
for task in tasks:
    train, test, labels = (json.loads((task / f"{name}.json").read_text()) for name in ("train", "test", "labels"))
    all_labels += labels
    assert len(train) >= 200 and len(test) == 100, task
    sentences = [row["sentence"] for row in train + test]
    assert len(set(sentences)) == len(sentences), f"{task}: a sentence comes twice"
    for rows in (train, test):
        counts = collections.Counter(row["label"] for row in rows)
        assert set(counts) == set(labels), task
        assert max(counts.values()) - min(counts.values()) <= 1, f"{task}: unbalanced {counts}"
assert len(set(all_labels)) == len(all_labels), "two tasks share a label"
print(f"{len(tasks)} tasks, labels: {', '.join(all_labels)}")
PY
