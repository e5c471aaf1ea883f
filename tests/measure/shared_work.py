#!/usr/bin/env python3
"""That a sweep shares work and that sharing changes nothing: runs it, and some of its trials by themselves.

    tests/measure/shared_work.py build/release/slao [tests/measure/shared_work.json] --ranks 2 --alone 4

Of a sweep of SLAO over schedules and orders it counts the steps in /steps: a fine-tune for each distinct prefix of the
orders, a merge for each prefix of two tasks or more and lambdas so far, an evaluation of each adapter on each of its tasks
(under evaluate.tasks = seen, without references). Then trials drawn with --seed run alone, each in a store of its own,
and every dataset of theirs must be what the sweep gave, bit for bit. Needs h5py."""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import h5py
import numpy

TIMES = {"train_seconds", "eval_seconds", "peak_memory_bytes"}


def sweep(slao, spec, output, ranks, *settings):
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", slao, "sweep", spec, "-o", output,
               "--progress", "none", *(part for setting in settings for part in ("--set", setting))]
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def expected_counts(trials):
    """Steps by kind, from the orders and schedules alone. Merges are told apart by lambda's values so far: "1/i" and
    0.5 begin alike."""
    prefixes, merges, evaluations = set(), set(), set()
    for trial in trials:
        tasks, schedule = trial["order"].decode().split(","), trial["lambda"].decode()
        values = tuple({"1/i": 1 / i, "1/sqrt(i)": i**-0.5}.get(schedule) or float(schedule)
                       for i in range(2, len(tasks) + 1))
        for length in range(1, len(tasks) + 1):
            prefix = tuple(tasks[:length])
            prefixes.add(prefix)
            adapter = prefix if length == 1 else (prefix, values[:length - 1])
            if length > 1:
                merges.add(adapter)
            evaluations |= {(adapter, task) for task in prefix}
    return {"finetune": len(prefixes), "merge": len(merges), "evaluate": len(evaluations)}


def same(whole, alone, trial):
    """Every dataset of the trial, bit for bit, and its row but for the times."""
    names = set(whole[f"trial/{trial}"])
    if set(alone[f"trial/{trial}"]) != names:
        return "datasets"
    for name in names:
        a, b = (file[f"trial/{trial}/{name}"][()] for file in (whole, alone))
        ragged = a.dtype == object  # texts, or an array per task
        if ([repr(x) for x in a] != [repr(x) for x in b]) if ragged else a.tobytes() != b.tobytes():
            return name
    rows = [next(row for row in file["trials"][:] if row["id"].decode() == trial) for file in (whole, alone)]
    for name in set(rows[0].dtype.names) - TIMES:
        if not numpy.array_equal(*(row[name] for row in rows)) and not all(row[name] != row[name] for row in rows):
            return f"/trials {name}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slao")
    parser.add_argument("spec", nargs="?", default=str(pathlib.Path(__file__).with_suffix(".json")))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--alone", type=int, default=4, help="trials that run by themselves")
    parser.add_argument("--seed", type=int, default=0)
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        seconds = sweep(choices.slao, choices.spec, f"{work}/whole.h5", choices.ranks)
        whole = h5py.File(f"{work}/whole.h5")
        trials, kinds = whole["trials"][:], [kind.decode() for kind in whole["steps"]["kind"]]
        found, wanted = {kind: kinds.count(kind) for kind in set(kinds)}, expected_counts(trials)
        n_tasks = sum(trial["order"].count(b",") + 1 for trial in trials)
        print(f"{len(trials)} trials in {seconds:.1f} s: {found}; without sharing {n_tasks} fine-tunes", flush=True)
        if found != wanted:
            sys.exit(f"FAILED: {found} steps ran, not {wanted}")
        for number, trial in enumerate(random.Random(choices.seed).sample(list(trials), choices.alone)):
            name, order, schedule = (trial[key].decode() for key in ("id", "order", "lambda"))
            sweep(choices.slao, choices.spec, f"{work}/{number}.h5", 1, f"sweep.order={json.dumps([order.split(',')])}",
                  f"sweep.lambda={json.dumps([schedule])}")
            different = same(whole, h5py.File(f"{work}/{number}.h5"), name)
            if different:
                sys.exit(f"FAILED: trial {name} ({order}, lambda {schedule}) alone differs in {different}")
            print(f"trial {name} ({order}, lambda {schedule}) alone: the same", flush=True)


if __name__ == "__main__":
    main()
