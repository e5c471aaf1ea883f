"""Where small steps end: error of the first-order prediction of each training, and how far it went, against the
learning rate; the median over tasks, orders and seeds, a line for each setting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results
from .sequence import MOST_LINES

X = "learning_rate"

#: dataset, a number for each task of a trial -> title of its panel
PANELS = {"linearisation_error": "linearisation error", "distance_from_start": r"$||\theta - \theta_{start}||$"}

#: learning rate -> values of all tasks of all trials with it
Points = dict[float, np.ndarray]


def _points(results: Results, trials: pd.DataFrame, name: str) -> Points:
    rates = dict(zip(trials["id"], trials[X]))
    found: dict[float, list[np.ndarray]] = {}
    for trial, values in results.arrays(trials["id"], name):
        known = np.asarray(values, dtype=float).ravel()
        found.setdefault(float(rates[trial]), []).append(known[np.isfinite(known) & (known > 0)])
    joined = {rate: np.concatenate(parts) for rate, parts in sorted(found.items())}
    return {rate: values for rate, values in joined.items() if len(values)}


def draw_panels(lines: list[tuple[str, dict[str, Points]]], offset: int) -> Figure:
    """Two panels, logarithmic both ways; bands are the middle 80 %."""
    figure = style.new_figure(height=1.9 + style.plural_height(len(lines)))
    for axes, (name, title) in zip(figure.subplots(1, 2), PANELS.items()):
        rates: set[float] = set()
        for index, (label, measures) in enumerate(lines):
            points = measures[name]
            if not points:
                continue
            look = style.line_style(offset + index)
            low, middle, high = np.array([np.quantile(values, [0.1, 0.5, 0.9]) for values in points.values()]).T
            line, = axes.plot(list(points), middle, marker="o", markersize=2.5, label=label, **look)
            style.tip(line, label)
            axes.fill_between(list(points), low, high, color=look["color"], alpha=0.1, linewidth=0)
            rates |= points.keys()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sorted(rates), [labels.number_text(rate) for rate in sorted(rates)], rotation=90)
        axes.minorticks_off()
        axes.set_title(title, fontsize=7)
        axes.set_xlabel(labels.column_name(X))
        axes.grid(axis="y", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
    handles, names = figure.axes[0].get_legend_handles_labels()
    style.legend(figure, handles, names)
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    trials = labels.with_settings(results, without=[X])
    if trials[X].nunique() < 2:
        return
    for benchmark, part in trials.groupby("benchmark", sort=False):
        lines = [(str(setting), {name: _points(results, group, name) for name in PANELS})
                 for setting, group in part.groupby("setting", sort=False)]
        lines = [(label, measures) for label, measures in lines if measures["linearisation_error"]]
        for start in range(0, len(lines), MOST_LINES):
            chosen = lines[start:start + MOST_LINES]
            suffix = f"-part{start // MOST_LINES + 1}" if len(lines) > MOST_LINES else ""
            yield style.Drawing(
                labels.named("regime", benchmark, trials) + suffix,
                "Error of the first-order prediction of what training a task changes in its loss, relative to the change "
                "(0: the regime of small steps; from 1 on the prediction says nothing), and the distance that the training "
                f"went, against the learning rate; medians over tasks, orders and seeds, bands: the middle 80 %; {benchmark}.",
                lambda chosen=chosen, start=start: draw_panels(chosen, start),
            )
