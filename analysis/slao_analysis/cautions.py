"""What a reader of the numbers should know before believing them."""

from __future__ import annotations

import numpy as np

from . import labels
from .results import Results
from .statistics import FEWEST_PAIRS, Comparison

#: Test examples below which one task's score is rough.
FEW_EXAMPLES = 100


def cautions(results: Results, found: list[Comparison]) -> list[str]:
    """One sentence each, the gravest first."""
    return [*_failed(results), *_few_runs(results, found), *_tasks(results), *_examples(results), *_files(results),
            *_notes(results)]


def _notes(results: Results) -> list[str]:
    """What the files lack; known only once their tables were read."""
    results.read_all()
    return results.notes


def _failed(results: Results) -> list[str]:
    said = []
    what = {"failed": "failed", "partial": "did not run to the end", "missing": "did not run"}
    trials = labels.with_settings(results)
    for status, text in what.items():
        own = trials[trials["status"] == status]
        if own.empty:
            continue
        settings = list(dict.fromkeys(own["setting"]))
        more = f" and {len(settings) - 4} more settings" if len(settings) > 4 else ""
        said.append(f"{len(own)} of {labels.count(len(trials), 'trial')} {text} ({', '.join(settings[:4])}{more}): means "
                    "are over the rest, which may not be comparable.")
    return said


def _few_runs(results: Results, found: list[Comparison]) -> list[str]:
    said = []
    trials = results.trials
    if trials["seed"].nunique() == 1:
        said.append("A single seed: what chance does in initialisation and shuffling cannot be told from what a method "
                    "does.")
    for benchmark, part in trials.groupby("benchmark", sort=False):
        if part["order"].nunique() == 1:
            said.append(f"{benchmark}: a single order of the tasks; how much the order matters is unknown.")
    few = [c for c in found if c.pairs < FEWEST_PAIRS]
    if few:
        said.append(f"{len(few)} of {labels.count(len(found), 'comparison')} have fewer than {FEWEST_PAIRS} pairs: no test "
                    "at 5 % can find a difference in them, however large.")
    settings = trials.groupby(results.setting_columns, dropna=False).ngroups
    if settings > 1:
        said.append(f"Of {settings} settings the best was picked on the same test sets that it is judged by: it looks "
                    "better than it is. Choose on a split of train.")
    return said


def _tasks(results: Results) -> list[str]:
    said = []
    for file in results.files:
        sweep = file.spec.get("sweep")
        order = sweep.get("order") if isinstance(sweep, dict) else None
        skips = [entry for entry in (order if isinstance(order, list) else [order])
                 if isinstance(entry, dict) and entry.get("missing_tasks") == "skip"]
        if skips or file.spec.get("missing_tasks") == "skip" or (
                isinstance(file.spec.get("benchmark"), dict) and file.spec["benchmark"].get("missing_tasks") == "skip"):
            said.append(f"{file.path.name}: tasks that the benchmark's folder lacks were skipped.")
    partly = [name for name in dict.fromkeys(results.trials["benchmark"]) if " of " in name]
    said += [f"Tasks are missing: {name}. Published numbers are of all tasks, and are not shown." for name in partly]
    done = results.trials[results.trials["status"] == "done"]
    unscored = [trial for trial in done["id"] if np.isnan(results.final_scores(trial)).all()]
    if unscored:
        said.append(f"{labels.count(len(unscored), 'finished trial')} without final scores: {', '.join(unscored[:4])}"
                    + ("…" if len(unscored) > 4 else "") + ".")
    return said


def _examples(results: Results) -> list[str]:
    said = []
    cells = results.accuracy
    if len(cells):
        examples = cells.groupby("task")["examples"].min()
        few = examples[examples < FEW_EXAMPLES]
        if len(few):
            fewest = int(few.min())
            if fewest > 0:
                error = 100 * np.sqrt(0.25 / fewest)
                said.append(f"{labels.count(len(few), 'task')} with fewer than {FEW_EXAMPLES} test examples, {fewest} the "
                            f"fewest: its scores have a standard error of up to {error:.0f} points.")
    sizes = cells.groupby("task")[["unanswerable", "examples"]].max()
    said += [f"{row.Index}: {int(row.unanswerable)} of {labels.count(int(row.examples), 'test example')} with a label that "
             "is no label of the task: kept, and counted wrong whatever is answered."
             for row in sizes[sizes["unanswerable"] > 0].itertuples()]
    return said


def _files(results: Results) -> list[str]:
    said = []
    for attribute, text in (("blas", "BLAS kernels"), ("cpu", "kinds of CPU"), ("git_commit", "versions of slao")):
        values = {str(file.attributes.get(attribute, "")) for file in results.files} - {""}
        if len(values) > 1:
            said.append(f"The files were made by different {text} ({', '.join(sorted(values))}): equal settings may differ "
                        "in the last bits.")
    return said
