"""Writes a results file with made-up scores, in the layout of slao's results files:

    python make_results.py OUT.h5 [--tasks 15] [--seeds 3] [--orders 2] [--learning-rates 2] [--ranks 2] [--inits]
                                  [--missing] [--no-arrays]

The metrics are computed here, cell by cell from their definitions, by nothing that slao or slao_analysis has.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import h5py
import numpy as np

TEXT = h5py.string_dtype("utf-8")
NAMES = (
    "dbpedia", "amazon", "yahoo", "agnews", "yelp", "MNLI", "QQP", "RTE", "SST-2", "WiC", "CB", "COPA", "BoolQA",
    "MultiRC", "IMDB", "task002_quoref_answer_generation", "task073_commonsenseqa_answer_generation",
    "task1290_xsum_summarization", "task1510_evalution_relation_extraction", "task1572_samsum_summary",
    "task1590_diplomacy_text_generation", "task1687_sentiment140_classification",
    "task1729_personachat_generate_next", "task181_outcome_extraction", "task363_sst2_polarity_classification",
    "task511_reddit_tifu_long_text_summarization", "task591_sciq_answer_generation",
    "task639_multi_woz_user_utterance_generation", "task748_glucose_reverse_cause_event_detection",
    "task875_emotion_classification",
)
SCHEDULES = ("0.1", "0.5", "0.9", "1/sqrt(i)")
METRICS = ("AA", "AA_micro", "BWT", "FWT", "fwt_individual", "forgetting", "intransigence")
MODULES = ("q_proj", "v_proj")
PAIR_BYTES = 1024
INITS = tuple({"slao.init": name} for name in ("random", "last-ft"))
CATEGORIES = ("TC", "QA")  # of the tasks, in turn
UNANSWERABLE = {"MNLI": 3}  # test examples without an answer
#: slao and seqlora are trained alike
TRAININGS = {"slao": 0, "seqlora": 0}


@dataclass(frozen=True)
class Sweep:
    """What is crossed. The scores of a trial depend on it and on nothing else."""

    n_tasks: int = 5
    seeds: int = 3
    orders: int = 2
    methods: tuple[str, ...] = ("seqlora", "slao", "individual")
    schedules: tuple[str, ...] = SCHEDULES
    learning_rates: tuple[float, ...] = (1e-4,)
    ranks: tuple[int, ...] = (8,)
    #: values of further keys, a mapping for each combination: `slao.init` concerns slao alone, `train.epochs` all
    options: tuple[Mapping[str, object], ...] = ({},)
    missing: bool = False  # leaves trials out
    arrays: bool = True  # /trial/ID/..., and more steps than those of one trial
    layers: int = 4
    benchmark: str = "CL_Benchmark"
    model: str = "models/SmolLM2-135M"
    mpi_ranks: int = 3


def metrics(a: list[list[float]], base: list[float], alone: list[float], examples: list[int]) -> dict[str, float]:
    """From a[j][i], the score on task i after training task j, both from 0."""
    last = len(a) - 1
    several = last > 0
    nan = math.nan
    return {
        "AA": sum(a[last]) / len(a),
        "AA_micro": sum(n * x for n, x in zip(examples, a[last])) / sum(examples),
        "BWT": sum(a[last][i] - a[i][i] for i in range(last)) / last if several else nan,
        "FWT": sum(a[i - 1][i] - base[i] for i in range(1, last + 1)) / last if several else nan,
        "fwt_individual": sum(a[i][i] - alone[i] for i in range(last + 1)) / len(a),
        "forgetting": sum(max(a[j][i] for j in range(i, last)) - a[last][i] for i in range(last)) / last
        if several else nan,
        "intransigence": sum(alone[i] - a[i][i] for i in range(last + 1)) / len(a),
    }


def describe(dataset: h5py.Dataset, text: str, units: str | None = None) -> None:
    dataset.attrs["description"] = text
    if units:
        dataset.attrs["units"] = units


def write_table(file: h5py.File, name: str, rows: list[dict[str, object]]) -> None:
    kinds = {str: TEXT, int: np.int64, float: np.float64}
    dtype = np.dtype([(column, kinds[type(value)]) for column, value in rows[0].items()])
    describe(file.create_dataset(name, data=np.array([tuple(row.values()) for row in rows], dtype=dtype)),
             f"the table {name}")


def number_of(text: str) -> float:
    """A schedule as a number: its own, or one between 0 and 1 that its name stands for."""
    try:
        return float(text)
    except ValueError:
        return int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 2**16


def weight_of(method: str, schedule: str, options: Mapping[str, object]) -> float:
    """How much a made-up setting forgets: SeqLoRA most."""
    weight = {"": 1.0, "1/sqrt(i)": 0.4}.get(schedule) or number_of(schedule)
    return weight * {"inclora": 0.7}.get(method, 1.0) + sum(0.4 * number_of(f"{k}={v}") for k, v in options.items())


def scores_of(random: np.random.Generator, method: str, weight: float, n: int) -> tuple[np.ndarray, ...]:
    """Scores that look like something: tasks are learned, and forgotten more by some settings than by others."""
    base = random.uniform(0.02, 0.3, n)
    alone = random.uniform(0.7, 0.95, n)
    j, i = np.indices((n, n))
    reached = alone[i] - 0.15 * (1 - min(weight, 1))
    kept = reached * np.exp(-0.25 * weight * np.maximum(j - i, 0) / math.sqrt(n))
    a = np.where(i > j, base[i] + 0.1 * j / n, kept)
    a = np.clip(a + random.normal(0, 0.015, a.shape), 0, 1)
    if method == "individual":
        a = np.where(np.eye(n, dtype=bool), alone[:, None], math.nan)
    return a, base, alone


def options_of(setting: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in setting.items() if "." in k}


def settings_of(sweep: Sweep) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for method, rate, rank in itertools.product(sweep.methods, sweep.learning_rates, sweep.ranks):
        slao = method == "slao"
        for schedule, options in itertools.product(sweep.schedules if slao else ("",), sweep.options):
            applies = {k: v if slao or not k.startswith("slao.") else "" if isinstance(v, str) else math.nan
                       for k, v in options.items()}
            setting = {"method": method, "lambda": schedule, "learning_rate": rate, "lora_rank": rank, **applies}
            found.setdefault(repr(setting), setting)  # those that an option means nothing to count once
    return list(found.values())


class Clock:
    """Steps put on the ranks, each on the one that is free first."""

    def __init__(self, ranks: int) -> None:
        self.free = [0.0] * ranks
        self.rows: list[dict[str, object]] = []
        self.keys: dict[tuple, str] = {}
        self.ends: dict[str, float] = {}

    def run(self, identity: tuple, kind: str, task: str, parents: list[str], seconds: float, state: float) -> str:
        if identity in self.keys:
            row = next(row for row in reversed(self.rows) if row["key"] == self.keys[identity]) \
                if len(self.rows) < 500 else None
            if row:
                row["shared_by"] += 1
            return self.keys[identity]
        key = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
        rank = self.free.index(min(self.free))
        start = max([self.free[rank], *(self.ends[parent] for parent in parents)])
        self.free[rank] = self.ends[key] = start + seconds
        began = datetime(2026, 1, 31, 12, tzinfo=timezone.utc) + timedelta(seconds=int(start))
        self.rows.append({
            "key": key, "parent": ",".join(parents), "kind": kind, "task": task,
            "started": began.strftime("%Y-%m-%dT%H:%M:%SZ"), "seconds": seconds, "tokens": int(seconds * 80),
            "mpi_rank": rank, "host": f"host-{'ab'[rank % 2]}", "state_bytes": state, "shared_by": 1,
        })
        self.keys[identity] = key
        return key

    def trial(self, setting: dict[str, object], number: int, tasks: list[str], seed: int) -> None:
        method = setting["method"]
        training = "sequence" if method in ("slao", "seqlora") else method
        base = (training, setting["learning_rate"], setting["lora_rank"], *options_of(setting).values(), seed)
        finetune = merge = None
        for position, task in enumerate(tasks, 1):
            prefix = (task,) if method == "individual" else tuple(tasks[:position])
            pairs = position if method == "inclora" else 1
            parents = [finetune] if finetune and method != "individual" else []
            finetune = self.run((*base, prefix), "finetune", task, parents, 20.0 + position, float(PAIR_BYTES * pairs))
            last = finetune
            if method == "slao":
                parents = [merge, finetune] if merge else [finetune]
                merge = last = self.run((*base, prefix, setting["lambda"]), "merge", task, parents, 0.02,
                                        2.0 * PAIR_BYTES)
            for other in tasks[:position]:
                self.run((last, other), "evaluate", other, [last], 1.5, math.nan)


def write_trial(group: h5py.Group, sweep: Sweep, tasks: list[str], a: np.ndarray, base: np.ndarray, alone: np.ndarray,
                ran: bool, training: list[int], schedule: str) -> None:
    n, random = len(tasks), np.random.default_rng(training)
    describe(group.create_dataset("tasks", data=tasks, dtype=TEXT), "tasks")
    describe(group.create_dataset("modules", data=MODULES, dtype=TEXT), "modules")
    describe(group.create_dataset("accuracy", data=a), "scores", "fraction")
    describe(group.create_dataset("accuracy_base", data=base), "scores", "fraction")
    describe(group.create_dataset("accuracy_individual", data=alone), "scores", "fraction")
    final = np.diag(a) if np.isnan(a[-1]).any() else a[-1]
    examples = group.create_dataset("example_scores", (n,), dtype=h5py.vlen_dtype(np.float64))
    describe(examples, "scores by example", "fraction")
    for i, score in enumerate(final):
        # The same examples are easy for all: the first ones are right.
        count = 0 if math.isnan(score) else 40
        examples[i] = (np.arange(count) < round((0 if math.isnan(score) else score) * count)).astype(float)
    counts = [25 + 5 * (i % 2) for i in range(n)] if ran else [0] * n
    losses = [3 * np.exp(-np.arange(c) / 6) + 0.3 + random.exponential(0.1, c) for c in counts]
    describe(group.create_dataset("loss", data=np.concatenate(losses)), "loss", "nat per token")
    describe(group.create_dataset("loss_steps", data=counts), "optimiser steps of each task")
    if not ran:
        return
    shape = (n, sweep.layers, len(MODULES))
    for name, size in (("orthogonality", 1e-6), ("interference_A", 1.2), ("interference_B", 0.4)):
        describe(group.create_dataset(name, data=size * random.uniform(0.5, 1.5, shape)), name)
    group["distance"] = np.cumsum(random.uniform(0.5, 1, n))
    weights = [1 / math.sqrt(i) if schedule == "1/sqrt(i)" else number_of(schedule) if schedule else math.nan
               for i in range(1, n + 1)]
    group["lambda"] = np.array(weights)
    for name, level in (("cosine_A", 0.7), ("cosine_B", 0.2)):
        values = np.clip(level + random.normal(0, 0.1, (n, n, *shape[1:])), -1, 1)
        values = (values + values.transpose(1, 0, 2, 3)) / 2
        values[np.arange(n), np.arange(n)] = 1
        group[name] = values


def write(path: Path, sweep: Sweep | None = None, **parts: object) -> Path:
    """Writes the file; parts are those of a Sweep."""
    sweep = sweep or Sweep(**parts)
    n = sweep.n_tasks
    names = NAMES[:n]
    sequences = [list(names[k % n:] + names[:k % n])[:: 1 if k < n else -1] for k in range(sweep.orders)]
    trials, cells, order_rows, groups, clock = [], [], [], {}, Clock(sweep.mpi_ranks)
    for setting in settings_of(sweep):
        method, schedule, options = str(setting["method"]), str(setting["lambda"]), options_of(setting)
        key = "|".join(map(str, setting.values()))
        rate_code = int(round(setting["learning_rate"] * 1e7))
        for seed in range(sweep.seeds):
            finals = []
            for number, tasks in enumerate(sequences):
                identifier = hashlib.sha256(f"{key}|{seed}|{number}|{n}".encode()).hexdigest()[:12]
                chance = np.random.default_rng([seed, number, n, rate_code, setting["lora_rank"]])
                a, base, alone = scores_of(chance, method, weight_of(method, schedule, options), n)
                examples = [100 + 50 * (i % 3) for i in range(n)]
                status, values = "done", metrics(a.tolist(), base.tolist(), alone.tolist(), examples)
                if method == "individual":
                    values = dict.fromkeys(METRICS, math.nan) | {"AA": float(np.mean(np.diag(a)))}
                if sweep.missing and (schedule == "0.9" or (method == "seqlora" and seed == 0)):
                    status, values = "missing", dict.fromkeys(METRICS, math.nan)
                    a = np.full_like(a, math.nan)
                    if schedule == "0.9" and seed == 0:
                        status, a[0] = "partial", base
                    elif method == "seqlora" and number == 0:
                        status = "failed"
                pairs = {"slao": 2, "inclora": n}.get(method, 1)
                trials.append({
                    "id": identifier, "method": method, "order": ",".join(tasks),
                    "order_name": "O4" if number == 0 and n == 15 else "", "lambda": schedule,
                    "learning_rate": setting["learning_rate"], "seed": seed, "lora_rank": setting["lora_rank"],
                    **options, "status": status, **values,
                    "train_seconds": 12.5 * n, "eval_seconds": 3.0 * n, "train_tokens": 1000 * n,
                    "state_bytes": float(PAIR_BYTES * pairs), "peak_memory_bytes": math.nan,
                })
                ran = status in ("done", "partial")
                rows = [(0, base)] if ran else []
                rows += [(after, a[after - 1]) for after in range(1, n + 1)]
                cells += [
                    {"trial": identifier, "after": after, "task": task, "score": float(score), "examples": count,
                     "unanswerable": UNANSWERABLE.get(task, 0)}
                    for after, row in rows for task, score, count in zip(tasks, row, examples) if not math.isnan(score)
                ]
                final = np.diag(a) if method == "individual" else a[-1]
                if not np.isnan(final).any():
                    finals.append(dict(zip(tasks, final.tolist())))
                if ran and (sweep.arrays or not clock.rows):
                    clock.trial(setting, number, tasks, seed)
                training = [seed, number, rate_code, setting["lora_rank"],
                            TRAININGS.get(method, len(method) + 1), int(number_of(repr(options)) * 2**16)]
                groups[identifier] = (tasks, a, base, alone, ran, training, schedule)
            spread = [max(f[name] for f in finals) - min(f[name] for f in finals) for name in names] if finals else []
            means = [sum(f.values()) / n for f in finals]
            defined = len(finals) >= 2
            order_rows.append({
                **{k: v for k, v in setting.items() if k in ("method", "lambda", "learning_rate")}, "seed": seed,
                "lora_rank": setting["lora_rank"], **options,
                "n_orders": len(finals), "MOPD": max(spread) if defined else math.nan,
                "AOPD": sum(spread) / n if defined else math.nan,
                "AA_mean": float(np.mean(means)) if defined else math.nan,
                "AA_sd": float(np.std(means, ddof=1)) if defined else math.nan,
            })
    spec = {"name": f"synthetic-{n}", "model": sweep.model,
            "benchmark": {"format": "cl_benchmark", "path": f"data/{sweep.benchmark}", "train_samples": 200},
            "sweep": {"seed": list(range(sweep.seeds)), "order": sequences}}
    categories = [
        {"trial": identifier, "category": category, "n_tasks": len(own), "AA": float(np.mean(own))}
        for identifier, (tasks, a, *_) in groups.items() for category in CATEGORIES
        if (own := [score for task, score in zip(tasks, np.diag(a) if np.isnan(a[-1]).any() else a[-1])
                    if CATEGORIES[names.index(task) % 2] == category])
    ]
    with h5py.File(path, "w") as file:
        file.attrs.update({"schema_version": 1, "name": f"synthetic-{n}", "spec": json.dumps(spec),
                           "fingerprint": "f" * 32, "slao_version": "0", "git_commit": "0",
                           "started": "2026-01-31T12:00:00Z", "finished": "", "hosts": "host-a,host-b",
                           "ranks": sweep.mpi_ranks, "mpi": "", "blas": "", "cpu": ""})
        write_table(file, "trials", sorted(trials, key=lambda row: row["id"]))
        write_table(file, "accuracy", cells)
        write_table(file, "categories", categories)
        write_table(file, "orders", order_rows)
        write_table(file, "steps", clock.rows)
        for identifier, (tasks, a, base, alone, ran, training, schedule) in groups.items() if sweep.arrays else ():
            write_trial(file.create_group(f"trial/{identifier}"), sweep, tasks, a, base, alone, ran, training, schedule)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--tasks", type=int, default=5, choices=range(1, len(NAMES) + 1), metavar="1..30")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=2)
    parser.add_argument("--learning-rates", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--methods", default="seqlora,slao,individual", help="separated by commas")
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help="of slao, separated by commas")
    parser.add_argument("--inits", action="store_true", help="sweep slao.init")
    parser.add_argument("--missing", action="store_true", help="leave some trials out")
    parser.add_argument("--no-arrays", action="store_true", help="without /trial/ID, and steps of one trial only")
    o = parser.parse_args()
    write(o.path, n_tasks=o.tasks, seeds=o.seeds, orders=o.orders, methods=tuple(o.methods.split(",")),
          schedules=tuple(o.schedules.split(",")), learning_rates=tuple(1e-4 * 2**k for k in range(o.learning_rates)),
          ranks=tuple(4 * 2**k for k in range(o.ranks)),
          options=INITS if o.inits else ({},), missing=o.missing, arrays=not o.no_arrays)
