"""AA and BWT of every setting (method comparison): each trial a dot, the mean over seeds and orders, and its standard
deviation; published numbers hollow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, published, style
from ..results import Results

PANELS = (("AA", "AA, %"), ("BWT", "BWT, points"))

#: Rows beyond which a figure is no longer taken in, and characters of a row's name in a line.
MOST_ROWS = 40
NAME_WIDTH = 30

#: (row's trials, metric) -> published value in percent, or None
Published = Callable[[pd.DataFrame, str], float | None]


def draw_row(axes: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """One row of a panel: dots, mean, standard deviation, from values in percent."""
    if not len(values):
        axes.text(0.5, row, "no data", transform=axes.get_yaxis_transform(), ha="center", va="center",
                  color=style.GREY, fontsize=6)
        return
    # Dots of equal value stay visible: spread a little, in an order that does not depend on chance.
    spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(values, row + spread, "o", color=colour, alpha=0.35 if len(values) < 30 else 0.15, markersize=2.5,
              markeredgewidth=0)
    deviation = values.std(ddof=1) if len(values) > 1 else 0
    bar = axes.errorbar(values.mean(), row, xerr=deviation, fmt="D", color=colour, markersize=3.5, capsize=2,
                        elinewidth=0.9, markeredgecolor=style.PAPER, markeredgewidth=0.4)
    text = f"{values.mean():.1f}" + (f" ± {deviation:.1f}" if len(values) > 1 else "")
    style.tip(bar.lines[0], f"{text}, {labels.count(len(values), 'trial')}")


def draw_rows(rows: dict[str, pd.DataFrame], colours: dict[str, str], title: str, known: Published) -> Figure:
    """Two panels, AA and BWT, with a row for each group of trials."""
    figure = style.new_figure(height=0.8 + style.row_height(list(rows)) * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    marked = False
    for axes, (metric, name) in zip(panels, PANELS):
        for row, (label, group) in enumerate(rows.items()):
            draw_row(axes, row, 100 * group[metric].dropna().to_numpy(dtype=float), colours[label])
            value = known(group, metric)
            if value is not None:
                marked = True
                mark, = axes.plot(value, row, "v", fillstyle="none", color=style.GREY, markersize=4, markeredgewidth=0.8)
                style.tip(mark, f"published: {value:.1f}")
        axes.set_xlabel(name)
        axes.grid(axis="x", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_yticks(range(len(rows)), list(rows))
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    panels[1].axvline(0, color=style.GREY, linewidth=0.6)
    figure.suptitle(title + (f"\nhollow: published {published.MARK}" if marked else ""), x=0.01, ha="left", fontsize=7)
    return figure


def rows_on_page(names: Sequence[str]) -> int:
    """How many rows with such names a figure has."""
    return min(MOST_ROWS, int((style.PAGE - 1.2) / style.row_height(names)))


def what_is_shown(trials: pd.DataFrame) -> str:
    """The line on top of such a figure."""
    orders = labels.count(trials["order"].nunique(), "order")
    return f"mean ± sd over {orders}, {labels.count(trials['seed'].nunique(), 'seed')}; dots: trials"


def published_of(benchmark: str) -> Published:
    """What is published of a setting."""
    def known(group: pd.DataFrame, metric: str) -> float | None:
        first = group.iloc[0]
        if not published.as_published(first):
            return None
        method = published.method_name(str(first["method"]))
        return published.scores(metric, benchmark, [method]).get(method)
    return known


def drawings(results: Results) -> Iterator[style.Drawing]:
    trials = labels.with_settings(results)
    methods = list(dict.fromkeys(trials["method"]))
    for benchmark, part in trials.groupby("benchmark", sort=False):
        if part[[metric for metric, _ in PANELS]].isna().all(axis=None):
            continue
        groups = [(style.wrapped(str(setting), NAME_WIDTH), group) for setting, group in part.groupby("setting", sort=False)]
        most = rows_on_page([name for name, _ in groups])
        for start in range(0, len(groups), most):
            rows = dict(groups[start:start + most])
            colours = {label: style.COLOURS[methods.index(group["method"].iloc[0]) % len(style.COLOURS)]
                       for label, group in rows.items()}
            name = labels.named("metrics", benchmark, trials) + (f"-part{start // most + 1}" if len(groups) > most else "")
            caption = f"Average accuracy and backward transfer of every setting; {benchmark}."
            if published.scores("AA", str(benchmark)):
                caption += " " + published.footnote()
            yield style.Drawing(name, caption, lambda rows=rows, colours=colours, part=part, b=str(benchmark):
                                draw_rows(rows, colours, what_is_shown(part), published_of(b)))
