"""The score of each task over the sequence: a figure per order, a panel per task, a line per setting."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results, is_diagonal
from ..trainings import numbered_orders
from .matrix import mean_matrix

#: Lines that can still be told apart in a small panel.
MOST_LINES = 7


def _draw_panel(axes: Axes, title: str, position: int, matrices: dict[str, pd.DataFrame],
                looks: dict[str, int], small: bool) -> None:
    axes.axvline(position, color=style.LIGHT, linewidth=2.5, zorder=0)
    for setting, matrix in matrices.items():
        look = {"marker": "o", "markersize": 1.8, **style.line_style(looks[setting])}
        scores = 100 * matrix.iloc[:, position - 1]
        if is_diagonal(matrix):
            # Each task trained alone: a hollow mark, no sequence.
            look |= {"marker": "D", "markersize": 3.5, "fillstyle": "none", "zorder": 5, "linestyle": "none"}
            scores = scores.loc[1:]
        axes.plot(scores.index, scores, label=setting, **look)  # with gaps where nothing was evaluated
    axes.set_title(title, pad=2, fontsize=7 if small else 7.5)
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 50, 100])


def draw_figure(matrices: dict[str, pd.DataFrame], looks: dict[str, int]) -> Figure:
    """A panel for each task of the matrices, which are those of settings over the same order."""
    tasks = list(next(iter(matrices.values())).columns)
    columns = min(len(tasks), 3 if len(tasks) <= 15 else 4)
    rows = math.ceil(len(tasks) / columns)
    figure = style.new_figure(height=0.55 + (0.85 if rows <= 5 else 0.75) * rows + 0.13 * len(matrices))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    titles = labels.task_labels(tasks, 14 if columns <= 3 else 9)
    for position, (axes, title) in enumerate(zip(panels.flat, titles), 1):
        _draw_panel(axes, title, position, matrices, looks, columns > 3)
    for axes in list(panels.flat)[len(tasks):]:
        axes.set_axis_off()
    for axes in list(panels.flat)[max(len(tasks) - columns, 0):len(tasks)]:
        axes.tick_params(labelbottom=True)
    panels[0, 0].set_xlim(-0.3, len(tasks) + 0.3)
    panels[0, 0].locator_params(axis="x", integer=True, nbins=5 if columns <= 3 else 3)
    figure.supxlabel("tasks trained (grey: the panel's own)", fontsize=7)
    figure.supylabel("score, %", fontsize=7)
    style.legend(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    looks = {setting: i for i, setting in enumerate(dict.fromkeys(labels.with_settings(results)["setting"]))}
    for number, name, trials in numbered_orders(results):
        known = {
            str(setting): part for setting, part in trials.groupby("setting", sort=False)
            if any(not results.matrix(trial).loc[1:].isna().all(axis=None) for trial in part["id"])
        }
        settings = list(known)
        for start in range(0, len(settings), MOST_LINES):
            chosen = settings[start:start + MOST_LINES]
            suffix = f"-part{start // MOST_LINES + 1}" if len(settings) > MOST_LINES else ""
            yield style.Drawing(
                f"sequence-order{number}{suffix}",
                f"Score of each task while the tasks after it are trained, mean over seeds; {name}.",
                lambda chosen=chosen, known=known: draw_figure(
                    {setting: mean_matrix(results, known[setting]) for setting in chosen}, looks),
            )
