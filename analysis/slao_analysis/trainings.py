"""Distinct trainings: settings that differ only in how they merge share theirs, and are one line in what is drawn of
training (losses, similarity, geometry)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd

from . import labels, published
from .results import Results


@dataclass
class Training:
    """Settings that were trained alike over one order: their label, and one trial for each seed."""

    members: list[pd.Series]
    by_seed: dict[int, str]  # seed -> hash of the losses
    trials: dict[int, str]  # seed -> a trial

    @property
    def label(self) -> str:
        if len(self.members) == 1:
            return str(self.members[0]["setting"])
        methods = dict.fromkeys(published.method_name(str(member["method"])) for member in self.members)
        return f"{', '.join(methods)} ({len(self.members)} settings)"


def of_order(results: Results, trials: pd.DataFrame) -> list[Training]:
    """The distinct trainings among the trials (rows of `labels.with_settings`) of one order."""
    hashes = {
        trial: hashlib.sha1(loss.tobytes()).hexdigest()
        for trial, loss in results.arrays(trials["id"], "loss") if len(loss)
    }
    found: list[Training] = []
    for _, group in trials.groupby("setting", sort=False):
        own = {int(row.seed): row.id for row in group.itertuples() if row.id in hashes}
        if not own:
            continue
        by_seed = {seed: hashes[trial] for seed, trial in own.items()}
        for training in found:
            common = by_seed.keys() & training.by_seed.keys()
            if common and all(by_seed[seed] == training.by_seed[seed] for seed in common):
                training.members.append(group.iloc[0])
                training.by_seed |= by_seed
                training.trials = own | training.trials
                break
        else:
            found.append(Training([group.iloc[0]], by_seed, own))
    return found


def numbered_orders(results: Results) -> list[tuple[int, str, pd.DataFrame]]:
    """(number from 1, label, trials with settings) of each order of the file."""
    trials = labels.with_settings(results)
    names = labels.order_names(results.trials)
    groups = dict(tuple(trials.groupby("order", sort=False)))
    return [(number, names[order], groups[order]) for number, order in enumerate(dict.fromkeys(trials["order"]), 1)]
