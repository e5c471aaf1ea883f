"""AA and BWT against lambda, learning rate, rank, T or any other swept number: a figure for each that was swept; the
mean over orders and seeds with its 95 % interval."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, statistics, style
from ..results import Results
from .metrics import PANELS
from .sequence import MOST_LINES

#: An axis whose largest value is so many times its smallest is logarithmic.
LOGARITHMIC = 8

RESAMPLES = 2000


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def swept(results: Results) -> list[str]:
    """Columns with at least two numbers among their values, T included."""
    columns = [c for c in results.setting_columns if c != "method"] + ["T"]
    return [c for c in columns if results.trials[c].map(_number).nunique() > 1]


def _summary(group: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    known = group.dropna(subset=[metric])
    values = 100 * known[metric].to_numpy(dtype=float)
    if not len(values):
        return math.nan, math.nan, math.nan
    low, high = statistics.run_interval(values, known["order"], known["seed"], resamples=RESAMPLES)
    return float(values.mean()), low, high


def _draw_line(axes: Axes, group: pd.DataFrame, x: str, metric: str, look: dict[str, object], label: str) -> None:
    """Numbers as a line with its band; what has no number (SeqLoRA has no lambda) as a level across the panel."""
    numbers = group[x].map(_number)
    points = [(value, *_summary(part, metric)) for value, part in group.groupby(numbers)]
    if points:
        at, mean, low, high = map(np.array, zip(*points))
        line, = axes.plot(at, mean, marker="o", markersize=2.5, label=label, **look)
        style.tip(line, label)
        # Where a band cannot be known, three runs being the fewest, its end is the mean: no band.
        axes.fill_between(at, np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high),
                          color=look["color"], alpha=0.15, linewidth=0)
    elif group[x].map(labels.is_absent).all():
        mean, low, high = _summary(group, metric)
        axes.axhline(mean, label=label, linewidth=0.9, **look)
        if not math.isnan(low):
            axes.axhspan(low, high, color=look["color"], alpha=0.1, linewidth=0)


def _draw_schedules(axes: Axes, lines: list[tuple[str, pd.DataFrame]], x: str, metric: str, offset: int,
                    right: float, width: float) -> list[tuple[float, str]]:
    """Values that are no numbers (1/sqrt(i)) to the right of those that are; returns their places."""
    names = sorted({str(value) for _, group in lines for value in group[x]
                    if not labels.is_absent(value) and math.isnan(_number(value))})
    places = [(right + width * (i + 1), name) for i, name in enumerate(names)]
    for index, (label, group) in enumerate(lines):
        look = style.line_style(offset + index)
        for at, name in places:
            part = group[group[x].astype(str) == name]
            if part.empty:
                continue
            mean, low, high = _summary(part, metric)
            shift = width * 0.25 * (index - (len(lines) - 1) / 2) / max(len(lines) - 1, 1)
            error = None if math.isnan(low) else [[max(mean - low, 0)], [max(high - mean, 0)]]
            numbers = group[x].map(_number).notna().any()
            axes.errorbar(at + shift, mean, yerr=error, fmt="s", markersize=3, color=look["color"], capsize=1.5,
                          elinewidth=0.8, label=None if numbers else label)
    return places


def draw_against(x: str, lines: list[tuple[str, pd.DataFrame]], offset: int) -> Figure:
    """Two panels, AA and BWT against x, a line for each group of trials."""
    figure = style.new_figure(height=1.9 + style.plural_height(len(lines)))
    panels = figure.subplots(1, 2)
    numbers = np.array(sorted({value for _, group in lines for value in group[x].map(_number).dropna()}))
    logarithmic = numbers.min() > 0 and numbers.max() / numbers.min() >= LOGARITHMIC and x != "lambda"
    for axes, (metric, title) in zip(panels, PANELS):
        for index, (label, group) in enumerate(lines):
            _draw_line(axes, group, x, metric, style.line_style(offset + index), label)
        axes.set_xlabel(labels.column_name(x))
        axes.set_ylabel(title)
        if logarithmic:
            axes.set_xscale("log")
        width = (numbers.max() - numbers.min()) / 3
        places = [] if logarithmic else _draw_schedules(axes, lines, x, metric, offset, numbers.max(), width)
        _set_ticks(axes, numbers, places)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
    panels[1].axhline(0, color=style.GREY, linewidth=0.6, zorder=0)
    handles, names = panels[0].get_legend_handles_labels()
    first = dict(zip(reversed(names), reversed(handles)))
    style.legend(figure, [first[name] for name in dict.fromkeys(names)], list(dict.fromkeys(names)))
    return figure


def _set_ticks(axes: Axes, numbers: np.ndarray, places: list[tuple[float, str]]) -> None:
    """Ticks at values that were run, as many as fit, and at schedules."""
    room = 4 - min(len(places), 2)
    step = math.ceil(len(numbers) / room)
    chosen = list(numbers[::step])
    if axes.get_xscale() == "linear" and len(chosen) > 2:
        span = numbers.max() - numbers.min() + (places[-1][0] - numbers.max() if places else 0)
        spaced = chosen[:1]
        for value in chosen[1:]:
            if value - spaced[-1] >= span / 6:
                spaced.append(value)
        chosen = spaced
    axes.set_xticks([*chosen, *(at for at, _ in places)],
                    [*(labels.number_text(value) for value in chosen), *(labels.pretty_lambda(name) for _, name in places)],
                    rotation=0 if len(chosen) + len(places) <= 4 and all(len(labels.number_text(v)) <= 5 for v in chosen) else 45)
    axes.minorticks_off()


def drawings(results: Results) -> list[style.Drawing]:
    found = []
    for x in swept(results):
        trials = labels.with_settings(results, without=[x])
        trials = trials[trials["AA"].notna() | trials["BWT"].notna()]
        parts = [("", trials)] if x == "T" else list(trials.groupby("benchmark", sort=False))
        for benchmark, part in parts:
            if part[x].map(_number).nunique() < 2:
                continue
            lines = [(str(setting), group) for setting, group in part.groupby("setting", sort=False)]
            for start in range(0, len(lines), MOST_LINES):
                chosen = lines[start:start + MOST_LINES]
                if not any(group[x].map(_number).notna().any() for _, group in chosen):
                    continue
                name = f"sensitivity-{labels.slug(x)}" + (
                    f"-{labels.slug(str(benchmark))}" if len(parts) > 1 else "") + (
                    f"-part{start // MOST_LINES + 1}" if len(lines) > MOST_LINES else "")
                found.append(style.Drawing(
                    name, f"Average accuracy and backward transfer against {labels.column_name(x)}: mean over orders "
                    "and seeds; bands: 95 % by bootstrap, from three runs on. Level lines: settings for which it means "
                    "nothing." + (f" {benchmark}." if benchmark else ""),
                    lambda x=x, chosen=chosen, start=start: draw_against(x, chosen, start),
                ))
    return found
