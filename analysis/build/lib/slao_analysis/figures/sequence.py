"""The score of each task over the sequence: a figure per order, a panel per task, a line per setting."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results
from .matrix import mean_matrix

#: Lines that can still be told apart in a small panel.
MOST_LINES = 7


def _draw_panel(axes: Axes, task: str, position: int, matrices: dict[str, pd.DataFrame]) -> None:
    axes.axvline(position, color=style.LIGHT, linewidth=2.5, zorder=0)
    for index, (setting, matrix) in enumerate(matrices.items()):
        look = {"marker": "o", "markersize": 1.8, **style.line_style(index)}
        scores = 100 * matrix[task]
        if len(matrix) > 2 and (matrix.loc[1:].notna().sum() == 1).all():
            # Each task trained alone: a hollow mark, no sequence.
            look |= {"marker": "D", "markersize": 3.5, "fillstyle": "none", "zorder": 5, "linestyle": "none"}
            scores = scores.loc[1:]
        axes.plot(scores.index, scores, label=setting, **look)  # with gaps where nothing was evaluated
    axes.set_title(task, pad=2)
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 50, 100])


def _draw_figure(matrices: dict[str, pd.DataFrame]) -> Figure:
    tasks = list(next(iter(matrices.values())).columns)
    columns = min(len(tasks), 3)
    rows = math.ceil(len(tasks) / columns)
    figure = style.new_figure(height=0.55 + 0.85 * rows + 0.13 * len(matrices))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for position, (axes, task) in enumerate(zip(panels.flat, tasks), 1):
        _draw_panel(axes, task, position, matrices)
    for axes in list(panels.flat)[len(tasks):]:
        axes.set_axis_off()
    for axes in list(panels.flat)[max(len(tasks) - columns, 0):len(tasks)]:
        axes.tick_params(labelbottom=True)
    panels[0, 0].set_xlim(-0.3, len(tasks) + 0.3)
    panels[0, 0].locator_params(axis="x", integer=True, nbins=5)
    figure.supxlabel("tasks trained (grey: the panel's own)", fontsize=7)
    figure.supylabel("score, %", fontsize=7)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=2, handlelength=2.4)
    return figure


@style.styled
def draw(results: Results) -> list[tuple[str, Figure]]:
    figures = []
    trials = labels.with_settings(results)
    for number, order in enumerate(dict.fromkeys(trials["order"]), 1):
        group = trials[trials["order"] == order]
        matrices = {
            str(setting): mean_matrix(results, part) for setting, part in group.groupby("setting", sort=False)
        }
        known = [setting for setting, matrix in matrices.items() if not matrix.loc[1:].isna().all(axis=None)]
        for part in range(0, len(known), MOST_LINES):
            chosen = {setting: matrices[setting] for setting in known[part:part + MOST_LINES]}
            suffix = f"-part{part // MOST_LINES + 1}" if len(known) > MOST_LINES else ""
            figures.append((f"sequence-order{number}{suffix}", _draw_figure(chosen)))
    return figures
