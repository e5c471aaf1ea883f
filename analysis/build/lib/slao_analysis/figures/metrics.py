"""AA and BWT of every setting: each trial a dot, the mean over seeds and orders, and its standard deviation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results

PANELS = (("AA", "average accuracy, %"), ("BWT", "backward transfer, points"))


def _draw_panel(axes: Axes, trials: pd.DataFrame, settings: list[str], metric: str, colours: dict[str, str]) -> None:
    for row, setting in enumerate(settings):
        group = trials[trials["setting"] == setting]
        values = 100 * group[metric].dropna().to_numpy()
        if not len(values):
            axes.text(0.5, row, "no data", transform=axes.get_yaxis_transform(), ha="center", va="center",
                      color=style.GREY, fontsize=6)
            continue
        colour = colours[group["method"].iloc[0]]
        # Dots of equal value stay visible: spread a little, in an order that does not depend on chance.
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(values, row + spread, "o", color=colour, alpha=0.35, markersize=2.5, markeredgewidth=0)
        deviation = values.std(ddof=1) if len(values) > 1 else 0
        axes.errorbar(values.mean(), row, xerr=deviation, fmt="D", color=colour, markersize=3.5, capsize=2,
                      elinewidth=0.9, markeredgecolor="white", markeredgewidth=0.4)


@style.styled
def draw(results: Results) -> list[tuple[str, Figure]]:
    trials = labels.with_settings(results)
    if trials[[metric for metric, _ in PANELS]].isna().all(axis=None):
        return []
    settings = list(dict.fromkeys(trials["setting"]))
    methods = list(dict.fromkeys(trials["method"]))
    colours = {method: style.COLOURS[i % len(style.COLOURS)] for i, method in enumerate(methods)}
    figure = style.new_figure(height=0.75 + 0.17 * len(settings))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (metric, title) in zip(panels, PANELS):
        _draw_panel(axes, trials, settings, metric, colours)
        axes.set_xlabel(title)
        axes.grid(axis="x", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=4)
    panels[0].set_yticks(range(len(settings)), settings)
    panels[0].set_ylim(len(settings) - 0.5, -0.5)
    panels[1].axvline(0, color=style.GREY, linewidth=0.6)
    orders, seeds = trials["order"].nunique(), trials["seed"].nunique()
    figure.suptitle(f"mean ± sd over {_count(orders, 'order')}, {_count(seeds, 'seed')}; dots: trials", x=0.01,
                    ha="left", fontsize=7)
    return [("metrics", figure)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
