"""Accuracy matrices as heat maps: one per setting and order, mean over seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import labels, style
from ..results import Results
from ..trainings import numbered_orders

#: Tasks whose scores can be written into the cells.
MOST_WRITTEN = 15

#: Tasks whose names can be written below the columns.
MOST_NAMED = 20


def mean_matrix(results: Results, trials: pd.DataFrame) -> pd.DataFrame:
    """The mean of the trials' matrices over those that have the cell."""
    matrices = [results.matrix(trial) for trial in trials["id"]]
    stacked = np.stack([matrix.to_numpy(dtype=float) for matrix in matrices])
    known = (~np.isnan(stacked)).sum(axis=0)
    mean = np.where(known, np.nansum(stacked, axis=0) / np.maximum(known, 1), np.nan)
    return pd.DataFrame(mean, index=matrices[0].index, columns=matrices[0].columns)


def _write_cells(axes: Axes, values: np.ndarray, size: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.text(column, row, "·", ha="center", va="center", color=style.GREY, fontsize=size)
        else:
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=size,
                      color="white" if value < 0.55 else "black")


def draw_one(matrix: pd.DataFrame, title: str) -> Figure:
    """The heat map of one matrix; the row `untrained` only where it is known."""
    tasks = list(matrix.columns)
    shown = labels.task_labels(tasks)
    if matrix.loc[0].isna().all():
        matrix = matrix.drop(index=0)
    n = len(tasks)
    names = 0.045 * max(map(len, shown)) if n <= MOST_NAMED else 0.1
    figure = style.new_figure(height=1.1 + (0.17 if n <= 15 else 0.1) * len(matrix) + names)
    axes = figure.subplots()
    values = matrix.to_numpy(dtype=float)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=style.SCORES, vmin=0, vmax=1, aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if n <= MOST_WRITTEN:
        _write_cells(axes, values, size=7 if n <= 8 else 5.5)
    # Cells of the task just trained: what is left of them is the past, right of them the future.
    for after in range(1, n + 1):
        row = list(matrix.index).index(after)
        axes.add_patch(Rectangle((after - 1.5, row - 0.5), 1, 1, fill=False, edgecolor="white",
                                 linewidth=1.2 if n <= 15 else 0.6))
    size = 6.5 if n <= 15 else 5
    rows = ["untrained" if i == 0 else shown[i - 1] for i in matrix.index]
    if n > MOST_NAMED:  # columns by number, the numbers beside the names of the rows
        rows = [name if i == 0 else f"{name}  {i}" for name, i in zip(rows, matrix.index)]
        numbers = [i for i in range(1, n + 1) if i == 1 or i % 5 == 0]
        axes.set_xticks([i - 1 for i in numbers], [str(i) for i in numbers], fontsize=size)
    else:
        axes.set_xticks(range(n), shown, rotation=90 if n > 3 else 0, fontsize=size)
    axes.set_yticks(range(len(matrix)), rows, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("evaluated on")
    axes.set_ylabel("after training on")
    figure.suptitle(title, x=0.01, ha="left", fontsize=7.5)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0", "50", "100 %"])
    bar.outline.set_visible(False)
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    for number, name, trials in numbered_orders(results):
        for setting, group in trials.groupby("setting", sort=False):
            known = group[[not results.matrix(trial).loc[1:].isna().all(axis=None) for trial in group["id"]]]
            if known.empty:
                continue
            seeds = known["seed"].nunique()
            title = f"{style.wrapped(str(setting), 54)}\n{name}" + (f", mean of {seeds} seeds" if seeds > 1 else "")
            yield style.Drawing(
                f"matrix-{labels.slug(str(setting))}-order{number}",
                f"Score on each task (columns) after training on each (rows): {setting}, {name}. Framed: the task "
                "just trained.",
                lambda known=known, title=title: draw_one(mean_matrix(results, known), title),
            )
