"""Writes a results file with made-up scores, in the layout of slao's results files:

    python synthetic.py OUT.h5 [--tasks 15] [--seeds 3] [--orders 2] [--missing]

The metrics are computed here, cell by cell from their definitions, by nothing that slao or slao_analysis has.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from pathlib import Path

import h5py
import numpy as np

TEXT = h5py.string_dtype("utf-8")
NAMES = ("dbpedia", "amazon", "yahoo", "agnews", "yelp", "MNLI", "QQP", "RTE", "SST-2", "WiC", "CB", "COPA", "BoolQA",
         "MultiRC", "IMDB")
SETTINGS = (("seqlora", ""), ("slao", "0.1"), ("slao", "0.5"), ("slao", "0.9"), ("slao", "1/sqrt(i)"),
            ("individual", ""))
METRICS = ("AA", "AA_micro", "BWT", "FWT", "fwt_individual", "forgetting", "intransigence")


def metrics(a: list[list[float]], base: list[float], alone: list[float], examples: list[int]) -> dict[str, float]:
    """From a[j][i], the score on task i after training task j, both from 0."""
    last = len(a) - 1
    several = last > 0
    nan = math.nan
    result = {
        "AA": sum(a[last]) / len(a),
        "AA_micro": sum(n * x for n, x in zip(examples, a[last])) / sum(examples),
        "BWT": sum(a[last][i] - a[i][i] for i in range(last)) / last if several else nan,
        "FWT": sum(a[i - 1][i] - base[i] for i in range(1, last + 1)) / last if several else nan,
        "fwt_individual": sum(a[i][i] - alone[i] for i in range(last + 1)) / len(a),
        "forgetting": sum(max(a[j][i] for j in range(i, last)) - a[last][i] for i in range(last)) / last
        if several else nan,
        "intransigence": sum(alone[i] - a[i][i] for i in range(last + 1)) / len(a),
    }
    return result


def describe(dataset: h5py.Dataset, text: str, units: str | None = None) -> None:
    dataset.attrs["description"] = text
    if units:
        dataset.attrs["units"] = units


def write_table(file: h5py.File, name: str, rows: list[dict[str, object]]) -> None:
    kinds = {str: TEXT, int: np.int64, float: np.float64}
    dtype = np.dtype([(column, kinds[type(value)]) for column, value in rows[0].items()])
    describe(file.create_dataset(name, data=np.array([tuple(row.values()) for row in rows], dtype=dtype)),
             f"the table {name}")


def scores_of(random: np.random.Generator, method: str, weight: float, n: int) -> tuple[np.ndarray, ...]:
    """Scores that look like something: tasks are learned, and forgotten more by some settings than by others."""
    base = random.uniform(0.02, 0.3, n)
    alone = random.uniform(0.7, 0.95, n)
    a = np.empty((n, n))
    for j in range(n):
        for i in range(n):
            reached = alone[i] - 0.15 * (1 - weight)
            a[j, i] = base[i] + 0.1 * j / n if i > j else reached * math.exp(-0.25 * weight * (j - i) / math.sqrt(n))
    a = np.clip(a + random.normal(0, 0.015, a.shape), 0, 1)
    if method == "individual":
        a = np.where(np.eye(n, dtype=bool), alone[:, None], math.nan)
    return a, base, alone


def write(path: Path, n_tasks: int, seeds: int = 3, orders: int = 2, missing: bool = False) -> None:
    names = NAMES[:n_tasks]
    sequences = [list(names[k:] + names[:k]) for k in range(orders)]
    trials, cells, order_rows, steps, groups = [], [], [], [], {}
    for method, schedule in SETTINGS:
        for seed in range(seeds):
            finals = []
            for number, tasks in enumerate(sequences):
                identifier = hashlib.sha256(f"{method}{schedule}{seed}{number}".encode()).hexdigest()[:12]
                weight = {"": 1.0, "1/sqrt(i)": 0.4}.get(schedule) or float(schedule)
                a, base, alone = scores_of(np.random.default_rng([seed, number, n_tasks]), method, weight, n_tasks)
                examples = [100 + 50 * (i % 3) for i in range(n_tasks)]
                status, values = "done", metrics(a.tolist(), base.tolist(), alone.tolist(), examples)
                if method == "individual":
                    values = dict.fromkeys(METRICS, math.nan) | {"AA": float(np.mean(np.diag(a)))}
                if missing and (schedule == "0.9" or (method == "seqlora" and seed == 0)):
                    status, values = ("missing", dict.fromkeys(METRICS, math.nan))
                    a = np.full_like(a, math.nan)
                    if schedule == "0.9" and seed == 0:
                        status, a[0] = "partial", base
                trials.append({
                    "id": identifier, "method": method, "order": ",".join(tasks),
                    "order_name": "O4" if number == 0 and n_tasks == 15 else "", "lambda": schedule,
                    "learning_rate": 1e-4, "seed": seed, "lora_rank": 8, "status": status, **values,
                    "train_seconds": 12.5 * n_tasks, "eval_seconds": 3.0 * n_tasks, "train_tokens": 1000 * n_tasks,
                    "state_bytes": 4096.0, "peak_memory_bytes": math.nan,
                })
                rows = [(0, base)] if status != "missing" else []
                rows += [(after, a[after - 1]) for after in range(1, n_tasks + 1)]
                cells += [
                    {"trial": identifier, "after": after, "task": task, "score": float(score), "examples": n}
                    for after, row in rows for task, score, n in zip(tasks, row, examples) if not math.isnan(score)
                ]
                final = np.diag(a) if method == "individual" else a[-1]
                if not np.isnan(final).any():
                    finals.append(dict(zip(tasks, final.tolist())))
                curve_seed = [seed, number, 1 if method == "individual" else 0]
                groups[identifier] = (tasks, a, base, alone, status, np.random.default_rng(curve_seed))
            spread = [max(f[name] for f in finals) - min(f[name] for f in finals) for name in names] if finals else []
            means = [sum(f.values()) / n_tasks for f in finals]
            defined = len(finals) >= 2
            order_rows.append({
                "method": method, "lambda": schedule, "learning_rate": 1e-4, "seed": seed, "lora_rank": 8,
                "n_orders": len(finals), "MOPD": max(spread) if defined else math.nan,
                "AOPD": sum(spread) / n_tasks if defined else math.nan,
                "AA_mean": float(np.mean(means)) if defined else math.nan,
                "AA_sd": float(np.std(means, ddof=1)) if defined else math.nan,
            })
    steps.append({"key": "0" * 32, "parent": "", "kind": "finetune", "task": names[0], "started": "2026-01-31T12:00:00Z",
                  "seconds": 12.5, "tokens": 1000, "mpi_rank": 0, "host": "host-a", "state_bytes": 2048.0,
                  "shared_by": len(trials)})
    with h5py.File(path, "w") as file:
        file.attrs.update({"schema_version": 1, "name": f"synthetic-{n_tasks}", "spec": "{}", "fingerprint": "f" * 32,
                           "slao_version": "0", "git_commit": "0", "started": "", "finished": "", "hosts": "host-a",
                           "ranks": 1, "mpi": "", "blas": "", "cpu": ""})
        write_table(file, "trials", sorted(trials, key=lambda row: row["id"]))
        write_table(file, "accuracy", cells)
        write_table(file, "orders", order_rows)
        write_table(file, "steps", steps)
        for identifier, (tasks, a, base, alone, status, random) in groups.items():
            group = file.create_group(f"trial/{identifier}")
            describe(group.create_dataset("tasks", data=tasks, dtype=TEXT), "tasks")
            describe(group.create_dataset("accuracy", data=a), "scores", "fraction")
            describe(group.create_dataset("accuracy_base", data=base), "scores", "fraction")
            describe(group.create_dataset("accuracy_individual", data=alone), "scores", "fraction")
            counts = [0] * n_tasks if status == "missing" else [25 + 5 * (i % 2) for i in range(n_tasks)]
            losses = [3 * np.exp(-np.arange(n) / 6) + 0.3 + random.exponential(0.1, n) for n in counts]
            describe(group.create_dataset("loss", data=np.concatenate(losses)), "loss", "nat per token")
            describe(group.create_dataset("loss_steps", data=counts), "optimiser steps of each task")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--tasks", type=int, default=5, choices=range(1, len(NAMES) + 1), metavar="1..15")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=2)
    parser.add_argument("--missing", action="store_true", help="leave some trials out")
    options = parser.parse_args()
    write(options.path, options.tasks, options.seeds, options.orders, options.missing)
