"""What the order of the tasks changes: MOPD and AOPD of each setting, and the spread of each task's final score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import labels, orders, style
from ..results import Results
from .metrics import NAME_WIDTH, rows_on_page

#: Inches that the columns of the map of tasks have, and how many it has at most.
COLUMNS_WIDTH = 2.1
MOST_COLUMNS = 12


def draw_measures(spread: pd.DataFrame) -> Figure:
    """MOPD and AOPD: a row per setting, a faint dot per seed."""
    settings = list(dict.fromkeys(spread["setting"]))
    names = [style.wrapped(setting, NAME_WIDTH) for setting in settings]
    figure = style.new_figure(height=0.85 + 1.1 * style.row_height(names) * len(settings))
    axes = figure.subplots()
    for metric, shift, colour, marker in (("MOPD", -0.14, style.COLOURS[1], "D"), ("AOPD", 0.14, style.COLOURS[0], "o")):
        for row, setting in enumerate(settings):
            values = 100 * spread.loc[spread["setting"] == setting, metric].dropna().to_numpy(dtype=float)
            if not len(values):
                continue
            axes.plot(values, np.full(len(values), row + shift), "o", color=colour, alpha=0.3, markersize=2.5,
                      markeredgewidth=0)
            mean, = axes.plot(values.mean(), row + shift, marker, color=colour, markersize=3.5, linestyle="none",
                              markeredgecolor=style.PAPER, markeredgewidth=0.4, label=metric if row == 0 else None)
            style.tip(mean, f"{setting}: {metric} {values.mean():.1f}")
    axes.set_yticks(range(len(settings)), names)
    axes.set_ylim(len(settings) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("best − worst order, points")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)
    handles = [axes.plot([], [], marker, color=colour, linestyle="none", markersize=3.5)[0]
               for marker, colour in (("D", style.COLOURS[1]), ("o", style.COLOURS[0]))]
    style.legend(figure, handles, ["MOPD: the worst task", "AOPD: mean over tasks"])
    return figure


def draw_tasks(by_task: pd.DataFrame) -> Figure:
    """A map of tasks and settings: largest minus smallest final score over orders, mean over seeds."""
    table = by_task.pivot_table(index="task", columns="setting", values="spread", aggfunc="mean", sort=False)
    table = 100 * table.loc[table.mean(axis=1).sort_values(ascending=False, kind="stable").index]
    tasks = labels.task_labels(list(table.index), 16)
    names = [style.wrapped(setting, NAME_WIDTH) for setting in table.columns]
    longest = max(len(line) for name in names for line in name.split("\n"))
    small = len(tasks) > 15
    figure = style.new_figure(height=0.3 + max((0.12 if small else 0.17) * len(tasks), 1.2) + 0.06 * longest)
    axes = figure.subplots()
    values = table.to_numpy(dtype=float)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=style.SCORES, vmin=0, aspect="auto")
    top = np.nanmax(values)
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, "·" if np.isnan(value) else f"{value:.0f}", ha="center", va="center",
                  fontsize=5.5 if small else 6.5,
                  color=style.GREY if np.isnan(value) else "white" if value < 0.55 * top else "black")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 2 else 0)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=5.5 if small else 6.5)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("best − worst order, points", fontsize=6.5)
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=4)
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    by_task, measures = orders.spreads(results), orders.sensitivity(results)
    for benchmark, own in measures.groupby("benchmark", sort=False):
        known = own[own["MOPD"].notna()]
        if known.empty:
            continue
        count = labels.count(int(known["n_orders"].max()), "order")
        settings = list(dict.fromkeys(known["setting"]))
        names = [style.wrapped(setting, NAME_WIDTH) for setting in settings]
        most = rows_on_page(names)
        for start in range(0, len(settings), most):
            chosen = known[known["setting"].isin(settings[start:start + most])]
            part = f"-part{start // most + 1}" if len(settings) > most else ""
            yield style.Drawing(
                labels.named("orders", benchmark, measures) + part,
                f"How much the final score of a task depends on the order of the tasks, over {count}: the largest "
                f"difference of any task (MOPD) and the mean over tasks (AOPD); {benchmark}. Faint: single seeds.",
                lambda chosen=chosen: draw_measures(chosen),
            )
        tasks = by_task[(by_task["benchmark"] == benchmark) & by_task["spread"].notna()]
        most = min(MOST_COLUMNS, int(COLUMNS_WIDTH / style.row_height(names)))
        for start in range(0, len(settings), most):
            chosen = tasks[tasks["setting"].isin(settings[start:start + most])]
            part = f"-part{start // most + 1}" if len(settings) > most else ""
            yield style.Drawing(
                labels.named("orders-tasks", benchmark, measures) + part,
                f"Best minus worst final score of each task over {count}, in points, mean over seeds; {benchmark}.",
                lambda chosen=chosen: draw_tasks(chosen),
            )
