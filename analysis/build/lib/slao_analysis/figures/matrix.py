"""Accuracy matrices as heat maps: one per setting and order, mean over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import labels, style
from ..results import Results


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


def _draw_one(matrix: pd.DataFrame, title: str) -> Figure:
    tasks = list(matrix.columns)
    if matrix.loc[0].isna().all():
        matrix = matrix.drop(index=0)
    n = len(tasks)
    figure = style.new_figure(height=1.05 + 0.17 * len(matrix) + 0.045 * max(map(len, tasks)))
    axes = figure.subplots()
    values = matrix.to_numpy(dtype=float)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=style.SCORES, vmin=0, vmax=1, aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    _write_cells(axes, values, size=7 if n <= 8 else 5.5)
    # Cells of the task just trained: what is left of them is the past, right of them the future.
    for after in range(1, n + 1):
        row = list(matrix.index).index(after)
        axes.add_patch(Rectangle((after - 1.5, row - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=1.2))
    axes.set_xticks(range(n), tasks, rotation=90 if n > 3 else 0)
    axes.set_yticks(range(len(matrix)), ["untrained" if i == 0 else tasks[i - 1] for i in matrix.index])
    axes.tick_params(length=0)
    axes.set_xlabel("evaluated on")
    axes.set_ylabel("after training on")
    axes.set_title(title)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0", "50", "100 %"])
    bar.outline.set_visible(False)
    return figure


@style.styled
def draw(results: Results) -> list[tuple[str, Figure]]:
    figures = []
    trials = labels.with_settings(results)
    for (setting, order), group in trials.groupby(["setting", "order"], sort=False):
        matrix = mean_matrix(results, group)
        if matrix.loc[1:].isna().all(axis=None):
            continue
        name = labels.order_label(group.iloc[0])
        seeds = group["seed"].nunique()
        title = f"{setting}, {name}" + (f"\nmean of {seeds} seeds" if seeds > 1 else "")
        number = list(dict.fromkeys(trials["order"])).index(order) + 1
        figures.append((f"matrix-{labels.slug(setting)}-order{number}", _draw_one(matrix, title)))
    return figures
