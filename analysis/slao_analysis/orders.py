"""What the order of the tasks changes: MOPD, AOPD, and the spread of each task's final score.

From the final scores, not from /orders: so it is there for any file, for several together, and by task.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import labels
from .results import Results


def spreads(results: Results) -> pd.DataFrame:
    """A row per benchmark, setting, seed and task: orders (how many have a final score), spread (largest - least,
    NaN below two orders)."""
    trials = labels.with_settings(results)
    rows = []
    for (benchmark, setting, seed), group in trials.groupby(["benchmark", "setting", "seed"], sort=False):
        finals = {}
        for trial, order in zip(group["id"], group["order"]):
            scores = results.final_scores(trial)
            if not np.isnan(scores).any():
                finals[order] = dict(zip(results.tasks(trial), scores))
        for task in str(group["order"].iloc[0]).split(","):
            scores = [final[task] for final in finals.values()]
            spread = max(scores) - min(scores) if len(scores) > 1 else np.nan
            rows.append((benchmark, setting, seed, task, len(scores), spread))
    return pd.DataFrame(rows, columns=["benchmark", "setting", "seed", "task", "orders", "spread"])


def sensitivity(results: Results) -> pd.DataFrame:
    """A row per benchmark, setting and seed: n_orders, MOPD (largest spread of a task), AOPD (mean over tasks)."""
    by_task = spreads(results)
    grouped = by_task.groupby(["benchmark", "setting", "seed"], sort=False)
    return grouped.agg(n_orders=("orders", "first"), MOPD=("spread", "max"), AOPD=("spread", "mean")).reset_index()
